package server

import (
	"context"
	"net/netip"

	"github.com/panjf2000/gnet/v2"

	"muster/protocol"
)

// conn is one TCP connection. Only its event loop touches it.
type conn struct {
	gnet       gnet.Conn
	addr       netip.Addr // of the peer
	loop       *loop
	session    *protocol.Session // of the ticket last seen
	unanswered int
	open       bool // gnet does not check: a write after close hits a reused descriptor
	hello      bool // a handshake is under way
	known      bool // a record opened, or a handshake succeeded
	proxied    bool // a PROXY header is awaited

	// Of the guards; times in seconds of the server's uptime.
	index   int   // among the loop's connections
	waiting int   // bytes of an incomplete record
	unread  int   // bytes of answers that the peer has left unread, when last looked at
	opened  int64 // when the connection was
	heard   int64 // when the last bytes came
	partial int64 // since when a record is incomplete, 0: none is
}

// consume takes the whole records at the front of data and returns how many
// bytes they are. close says that the connection is beyond repair.
func (c *conn) consume(data []byte) (used int, close bool) {
	s := c.loop.server
	now := s.uptime.Load()
	c.heard = now
	if c.proxied {
		ok := false
		if used, ok = c.unproxy(data, now); !ok {
			return used, true
		}
	}
	for !c.proxied && len(data) > used {
		kind, size, err := protocol.Header(data[used:])
		if err != nil {
			s.Stats.Malformed.Add(1)
			c.reject(protocol.RejectMalformed)
			return used, true
		}
		if size == 0 || len(data)-used < size {
			break
		}
		if !c.record(kind, data[used:used+size]) {
			return used, true
		}
		used += size
	}
	return used, !c.buffered(len(data)-used, now)
}

// record handles one whole record, borrowed; false closes the connection.
func (c *conn) record(kind byte, rec []byte) bool {
	switch kind {
	case protocol.TypeRequest:
		return c.request(rec)
	case protocol.TypeHello:
		return c.handshake(rec)
	}
	c.loop.server.Stats.Malformed.Add(1)
	c.reject(protocol.RejectMalformed)
	return false
}

// request opens a sealed record and puts its messages into the loop's batch.
func (c *conn) request(rec []byte) bool {
	s := c.loop.server
	ticket := protocol.RequestTicket(rec)
	if c.session == nil || c.session.Ticket != *ticket || !s.tickets.live(s.seconds.Load(), ticket) {
		keys, ok := s.tickets.open(s.seconds.Load(), ticket)
		if !ok {
			s.Stats.UnknownTickets.Add(1)
			c.reject(protocol.RejectTicket)
			return true
		}
		c.session = protocol.NewServerSession(*ticket, keys)
	}
	c.loop.makeRoom()
	b := c.loop.filling
	end := b.end()
	plain, err := c.session.OpenRequest(b.plain, rec)
	if err != nil {
		s.Stats.Unsealed.Add(1)
		c.reject(protocol.RejectTicket)
		return false
	}
	b.plain, c.known = plain, true
	if err := c.messages(end); err != nil {
		s.Stats.Malformed.Add(1)
		s.log.Debug("malformed message", "error", err)
		c.reject(protocol.RejectMalformed)
		return false
	}
	return true
}

// messages decodes the messages of a record that was opened into the batch, which
// ended at start before. What does not fit the limits is answered busy at once.
func (c *conn) messages(start batchEnd) error {
	l := c.loop
	taken, now, err := l.server.gather(l.filling, start, &c.session.Ticket, c.addr, connUnanswered-c.unanswered, l.out[:0])
	for range taken {
		l.filling.owners = append(l.filling.owners, owner{c, c.session})
	}
	c.unanswered += taken
	l.cycleEnd()
	if err != nil {
		return err
	}
	if len(now) > 0 {
		l.out = now
		c.write(c.session.FinishReply(now, 0, l.nonces.Next()))
	}
	return nil
}

func (c *conn) reject(reason byte) {
	c.write(protocol.AppendReject(nil, reason))
}

// write sends b, or closes a connection that does not read its answers.
func (c *conn) write(b []byte) {
	if !c.open {
		return
	}
	_, _ = c.gnet.Write(b) // gnet closes the connection on an error
	if c.open && !c.outbound() {
		c.loop.server.Stats.SlowReaders.Add(1)
		c.close()
	}
}

// close ends the connection. gnet does it after the present event, so the
// connection is out of use here from now on.
func (c *conn) close() {
	if c.open {
		c.leave()
		_ = c.gnet.Close()
	}
}

// leave takes the connection out of what is counted and written to, once.
func (c *conn) leave() {
	if !c.open {
		return
	}
	c.open = false
	c.loop.connections.remove(c)
	c.loop.server.Stats.Connections.Add(-1)
	c.loop.server.Stats.Inbound.Add(int64(-c.waiting))
	c.loop.server.Stats.Outbound.Add(int64(-c.unread))
	c.waiting, c.unread = 0, 0
}

// handshake gives a Hello to a worker: it costs scalar multiplications.
func (c *conn) handshake(rec []byte) bool {
	s := c.loop.server
	if c.hello || len(rec) > protocol.HeaderBytes+protocol.MaxHello {
		s.Stats.Malformed.Add(1)
		c.reject(protocol.RejectMalformed)
		return false
	}
	if !c.loop.hellos.allow(c.addr, s.uptime.Load()) {
		s.Stats.Limited.Add(1)
		c.reject(protocol.RejectBusy)
		return false
	}
	h := &handshake{conn: c, source: c.addr, record: append([]byte(nil), rec...)}
	select {
	case s.handshakes <- h:
		c.hello = true
		return true
	default:
		s.Stats.Busy.Add(1)
		c.reject(protocol.RejectBusy)
		return false
	}
}

// greeted is a handshake's answer on its way back to the event loop.
type greeted struct {
	conn    *conn
	reply   []byte // nil: close the connection
	granted bool   // a ticket is in it
}

// greetings are answers for connections of one event loop.
type greetings []greeted

// Run implements gnet.Runnable.
func (list greetings) Run(context.Context) error {
	for i := range list {
		g := &list[i]
		g.conn.hello = false
		g.conn.known = g.conn.known || g.granted
		if g.reply == nil {
			g.conn.reject(protocol.RejectMalformed)
			g.conn.close()
			continue
		}
		g.conn.write(g.reply)
	}
	return nil
}
