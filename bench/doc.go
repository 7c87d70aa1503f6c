// Package bench is muster's load generator: a fleet of simulated devices that
// speak the real protocol over real sockets, a measure of what the server
// spends, and an audit of what it counted.
package bench
