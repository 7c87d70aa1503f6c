package server

import (
	"context"
	"time"

	"muster/engine"
	"muster/protocol"
)

// handshake is a Hello on its way through a worker.
type handshake struct {
	conn   *conn
	record []byte
}

// worker answers handshakes until the channel closes.
func (s *Server) worker() {
	yieldToOthers()
	for h := range s.handshakes {
		g := &greeted{conn: h.conn}
		g.reply, g.granted = s.greet(h.record)
		_ = h.conn.loop.gnet.Execute(context.Background(), g) // an error: shutting down
	}
}

// greet opens a Hello and makes its reply; nil means that it can't be read.
func (s *Server) greet(record []byte) (out []byte, granted bool) {
	hello, err := protocol.OpenHello(s.key, record)
	if err != nil {
		s.Stats.Malformed.Add(1)
		s.log.Debug("handshake refused", "error", err)
		return nil, false
	}
	now := s.now()
	a := engine.Admission{Code: protocol.NotServing}
	if s.ready.Load() {
		a = s.core.Catalog().Admit(hello.Project, hello.Organization, hello.Password, now/1e9)
	}
	reply := &protocol.HelloReply{Code: a.Code, Time: uint64(now / 1e6)}
	if a.Code == protocol.OK {
		ticket, keys := s.tickets.issue(time.Unix(0, now), a.Project, a.Generation)
		reply.Ticket, reply.Up, reply.Down = ticket[:], keys.Up[:], keys.Down[:]
		s.Stats.Handshakes.Add(1)
	} else if a.Code != protocol.NotServing {
		s.denied(a.Project, a.Code, hello.UUID)
	}
	if out, err = hello.AppendReply(nil, reply); err != nil {
		s.log.Error("handshake reply", "error", err)
		return nil, false
	}
	return out, a.Code == protocol.OK
}

// denied records a refused handshake [STAT-4]. Like every refusal it leaves when
// that is durable; guessing passwords goes no faster than the disk.
func (s *Server) denied(project uint32, code protocol.Code, client []byte) {
	var uuid protocol.UUID
	copy(uuid[:], client)                                               // there may be none
	_ = s.decider.Do(context.Background(), func(c *engine.Core) error { // an error: stopping
		c.Deny(project, code, 0, uuid)
		return nil
	})
}
