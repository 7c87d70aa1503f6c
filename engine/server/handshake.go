package server

import (
	"context"
	"crypto/subtle"
	"time"

	"muster/engine"
	"muster/license"
	"muster/protocol"
)

// handshake is a Hello on its way through a worker.
type handshake struct {
	conn   *conn
	record []byte
}

// worker answers handshakes until the channel closes.
func (s *Server) worker() {
	for h := range s.handshakes {
		g := &greeted{conn: h.conn, reply: s.greet(h.record)}
		_ = h.conn.loop.gnet.Execute(context.Background(), g) // an error: shutting down
	}
}

// greet opens a Hello and makes its reply; nil means that it can't be read.
func (s *Server) greet(record []byte) []byte {
	hello, err := protocol.OpenHello(s.key, record)
	if err != nil {
		s.Stats.Malformed.Add(1)
		s.log.Debug("handshake refused", "error", err)
		return nil
	}
	project, code := s.admit(&hello.Hello)
	reply := &protocol.HelloReply{Code: code, Time: uint64(s.now() / 1e6)}
	if code == protocol.OK {
		ticket, keys := s.tickets.issue(time.Unix(0, s.now()), project.Ordinal, generation(project, hello.Password, s.seconds.Load()))
		reply.Ticket, reply.Up, reply.Down = ticket[:], keys.Up[:], keys.Down[:]
		s.Stats.Handshakes.Add(1)
	} else {
		s.denied(project, code)
	}
	out, err := hello.AppendReply(nil, reply)
	if err != nil {
		s.log.Error("handshake reply", "error", err)
		return nil
	}
	return out
}

// admit resolves what a Hello asks for [CLI-1], in the order of [ERR-1]:
// organization, project, password.
func (s *Server) admit(h *protocol.Hello) (*engine.Project, protocol.Code) {
	if !s.ready.Load() {
		return nil, protocol.NotServing
	}
	cat := s.core.Catalog()
	var p *engine.Project
	ok := false
	switch {
	case h.Project == "" && h.Organization == "":
		return nil, protocol.NoProjectGiven
	case h.Project == "":
		if p, ok = cat.DefaultProject(h.Organization); !ok {
			return nil, protocol.NoDefaultProject
		}
	case !license.ValidProjectID(h.Project):
		return nil, protocol.BadProjectID
	default:
		if p, ok = cat.Project(h.Project); !ok {
			return nil, protocol.NoSuchProject
		}
		if h.Organization != "" && h.Organization != p.Organization {
			return p, protocol.ProjectOfOther
		}
	}
	switch {
	case p.Disabled:
		return p, protocol.ProjectDisabled
	case generation(p, h.Password, s.seconds.Load()) == 0:
		return p, protocol.WrongPassword
	}
	return p, protocol.OK
}

// generation is the generation of the password given, 0 if it is wrong [PRJ-3].
func generation(p *engine.Project, password string, now int64) uint32 {
	found := uint32(0)
	if equal(p.Password, password) {
		found = p.Generation
	}
	for i := range p.Old {
		if o := &p.Old[i]; now < o.Until && equal(o.Password, password) && found == 0 {
			found = o.Generation
		}
	}
	return found
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// denied records a refused handshake [STAT-4]; it is the decider's to count.
func (s *Server) denied(p *engine.Project, code protocol.Code) {
	ordinal := uint32(0)
	if p != nil {
		ordinal = p.Ordinal
	}
	go func() { // the worker need not wait for the journal; the decider's queue bounds these
		_ = s.decider.Do(context.Background(), func(c *engine.Core) error {
			c.Deny(ordinal, code)
			return nil
		})
	}()
}
