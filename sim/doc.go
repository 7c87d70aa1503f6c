// Package sim holds what tests share that look at the product as a whole: a real
// server in the process of the test. Its own tests hold the engine against a
// naive model of the rules.
package sim
