package server

import (
	"cmp"
	"context"
	"net/netip"
	"time"

	"muster/protocol"
)

// Guards are the limits on what peers may do to the TCP port; the zero value of
// a field is its default. All are for each source network (an IPv4 address, an
// IPv6 /64) or connection.
type Guards struct {
	// RecordTime closes a connection whose record is not complete so long after
	// it began, or that shows no valid record so long after it was opened.
	RecordTime time.Duration
	// IdleTime closes a connection on which nothing came for so long.
	IdleTime time.Duration
	// ConnectionRate and ConnectionBurst bound new connections of a source, in a
	// second and at once; more are closed with Reject 3.
	ConnectionRate, ConnectionBurst uint32
	// HandshakeRate and HandshakeBurst bound the handshakes of a source likewise.
	HandshakeRate, HandshakeBurst uint32
	// IncompleteMax and UnreadMax bound the bytes of incomplete records and of
	// answers that peers do not read, over all connections; one that would add more
	// is closed.
	IncompleteMax, UnreadMax uint64
	// ProxiedFrom are the networks of proxies that begin every connection with a
	// PROXY protocol version 2 header; connections from elsewhere may not.
	ProxiedFrom []netip.Prefix
}

// Defaults of Guards.
const (
	RecordTimeDefault      = 20 * time.Second
	IdleTimeDefault        = 15 * time.Minute
	ConnectionRateDefault  = 500
	ConnectionBurstDefault = 10_000
	HandshakeRateDefault   = 200
	HandshakeBurstDefault  = 5_000
	IncompleteMaxDefault   = 256 << 20
	UnreadMaxDefault       = 256 << 20
)

func (g Guards) withDefaults() Guards {
	g.RecordTime = cmp.Or(g.RecordTime, RecordTimeDefault)
	g.IdleTime = cmp.Or(g.IdleTime, IdleTimeDefault)
	g.ConnectionRate = cmp.Or(g.ConnectionRate, ConnectionRateDefault)
	g.ConnectionBurst = cmp.Or(g.ConnectionBurst, ConnectionBurstDefault)
	g.HandshakeRate = cmp.Or(g.HandshakeRate, HandshakeRateDefault)
	g.HandshakeBurst = cmp.Or(g.HandshakeBurst, HandshakeBurstDefault)
	g.IncompleteMax = cmp.Or(g.IncompleteMax, IncompleteMaxDefault)
	g.UnreadMax = cmp.Or(g.UnreadMax, UnreadMaxDefault)
	return g
}

// connections are the open ones of a loop, in no order. A sweep looks at some of
// them at a time, so that no pause shows.
type connections struct {
	list []*conn
	next int // of the sweep
}

func (cs *connections) add(c *conn) {
	c.index = len(cs.list)
	cs.list = append(cs.list, c)
}

func (cs *connections) remove(c *conn) {
	last := cs.list[len(cs.list)-1]
	cs.list[c.index] = last
	last.index = c.index
	cs.list[len(cs.list)-1] = nil
	cs.list = cs.list[:len(cs.list)-1]
}

// sweepMax is how many connections one sweep looks at, twice a second.
const sweepMax = 4096

// sweep closes connections whose time is over.
func (l *loop) sweep(now int64) {
	for range min(sweepMax, len(l.connections.list)) {
		if l.connections.next >= len(l.connections.list) {
			l.connections.next = 0
		}
		c := l.connections.list[l.connections.next]
		if c.overdue(now) {
			c.loop.server.Stats.Overdue.Add(1)
			c.close()
		} else if c.unread > 0 {
			c.outbound() // its peer may have read since
		}
		l.connections.next++
	}
}

// overdue says that a connection has had its time: to complete a record, to show
// a first valid one, or to send anything. now is in seconds of uptime.
func (c *conn) overdue(now int64) bool {
	g := &c.loop.server.config.Guards
	since := c.partial
	if !c.known && (since == 0 || c.opened < since) {
		since = c.opened
	}
	if since != 0 && now-since > int64(g.RecordTime/time.Second) {
		return true
	}
	return now-c.heard > int64(g.IdleTime/time.Second)
}

// buffered notes that so many bytes of an incomplete record wait; false closes
// the connection, when all connections together have too many.
func (c *conn) buffered(n int, now int64) bool {
	s := c.loop.server
	if !c.open {
		return false
	}
	switch {
	case n == 0:
		c.partial = 0
	case c.partial == 0:
		c.partial = now
	}
	grew := n > c.waiting
	total := s.Stats.Inbound.Add(int64(n - c.waiting))
	c.waiting = n
	if grew && total > int64(s.config.Guards.IncompleteMax) {
		s.Stats.Refused.Add(1)
		return false
	}
	return true
}

// outbound notes how much the peer has left unread; false says that it or all
// connections together have too much of that, and that it grew here.
func (c *conn) outbound() bool {
	n := c.gnet.OutboundBuffered()
	if n == c.unread { // as a rule 0
		return true
	}
	s := c.loop.server
	grew := n > c.unread
	total := s.Stats.Outbound.Add(int64(n - c.unread))
	c.unread = n
	return !grew || n <= outboundMax && total <= int64(s.config.Guards.UnreadMax)
}

// admit decides about a new connection: the limit of all, and that of its
// source. Of a full house the one that was opened longest ago without a valid
// record makes room.
func (c *conn) admit(now int64) bool {
	s := c.loop.server
	if !c.proxied && !c.loop.opens.allow(c.addr, now) {
		s.Stats.Limited.Add(1)
		return false
	}
	if s.Stats.Connections.Load() <= int64(s.config.ConnectionsMax) {
		return true
	}
	if victim := c.loop.stranger(c); victim != nil {
		s.Stats.Refused.Add(1)
		victim.close()
		return true
	}
	s.Stats.Refused.Add(1)
	return false
}

// stranger is a connection other than c that has shown no valid record yet, the
// oldest of a few that are looked at.
func (l *loop) stranger(c *conn) (oldest *conn) {
	const looks = 64
	list := l.connections.list
	for i := range min(looks, len(list)) {
		other := list[(l.connections.next+i)%len(list)]
		if other != c && !other.known && !other.hello && (oldest == nil || other.opened < oldest.opened) {
			oldest = other
		}
	}
	return oldest
}

// sweeper sweeps a loop's connections on its loop.
type sweeper struct {
	loop *loop
	now  int64
}

// Run implements gnet.Runnable.
func (s *sweeper) Run(context.Context) error {
	s.loop.sweep(s.now)
	return nil
}

// sweepAll has every loop look at some of its connections.
func (s *Server) sweepAll(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for g, l := range s.loops {
		_ = g.Execute(context.Background(), &sweeper{l, now}) // an error: shutting down
	}
}

// A connection's incomplete record, and what it leaves unread, are small parts
// of what all may have.
var (
	_ [IncompleteMaxDefault - 1024*protocol.MaxRecord]struct{}
	_ [UnreadMaxDefault - 128*outboundMax]struct{}
)
