// Package datagram reads and writes UDP datagrams many at a time: recvmmsg and
// sendmmsg on Linux, one by one elsewhere. Nothing is allocated for a datagram.
//
// Sockets of one address share its datagrams ([Shared]): the kernel
// keeps the datagrams of one peer on one socket, so each socket can have a
// goroutine and memory of its own. A reply leaves from the address that the
// request came to, also on a host with several.
package datagram

import "net/netip"

const (
	// Max is how many datagrams, or runs of them, one system call moves, and how
	// many datagrams make the longest run that is sent.
	Max = 64
	// Size is how much of a datagram is read at least; of a longer one the rest may
	// be cut off.
	Size = 1536
)

// Options are how a socket is bound and waited on.
type Options uint8

const (
	// Shared lets several sockets be bound to the same address.
	Shared Options = 1 << iota
	// OwnThread makes Read wait on a thread instead of in the Go runtime's poller:
	// better for a busy server's few sockets, worse for many idle ones.
	OwnThread
	// Runs lets consecutive datagrams from or to one peer, as a gateway sends them,
	// cross the kernel as one and be cut at its edge (UDP_GRO, UDP_SEGMENT), where
	// the system can do that. One Read may return thousands of datagrams then. It
	// takes 4 MiB with OwnThread, else 1 MiB.
	Runs
)

// Packet is a datagram and its other end.
type Packet struct {
	Data []byte
	Peer Peer
}

// Addr is the peer's address and port. An IPv4 address is one, not mapped.
func (p *Peer) Addr() netip.AddrPort { return p.addr() }
