// Package machine reads what tells one machine from another: the operating
// system's id, the processor, the mainboard's serial number and a network card.
// It returns digests only: the values themselves never leave it.
package machine
