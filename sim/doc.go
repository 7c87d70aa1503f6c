// Package sim tests the licensing rules.
package sim
