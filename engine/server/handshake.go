package server

import (
	"context"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"muster/engine"
	"muster/protocol"
)

// handshake is a Hello on its way through a worker.
type handshake struct {
	conn   *conn
	source netip.Addr
	record []byte
}

// guesses bounds wrong passwords by project and source.
type guesses struct {
	mu      sync.Mutex
	limiter limiter
}

type guess struct {
	project, organization string
	source                [8]byte
}

// open says whether a password may be tried; wrong makes it count.
func (g *guesses) open(k guess, now int64, wrong bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.limiter.bucket(maphash.Comparable(g.limiter.seed, k), now)
	if wrong {
		b.spent += 60
	}
	return b.has(g.limiter.burst)
}

// handshakesTogether is how many replies a worker gives back to an event loop at
// once: waking it costs as much as a handshake.
const handshakesTogether = 16

// worker answers handshakes until the channel closes: those that wait, one after
// the other, and then their loops get the replies.
func (s *Server) worker() {
	yieldToOthers()
	for h := range s.handshakes {
		replies := map[*loop]greetings{}
		for n := 1; h != nil; n++ {
			g := greeted{conn: h.conn}
			g.reply, g.granted = s.greet(h.record, h.source)
			replies[h.conn.loop] = append(replies[h.conn.loop], g)
			h = nil
			if n < handshakesTogether {
				select {
				case h = <-s.handshakes:
				default:
				}
			}
		}
		for l, list := range replies {
			_ = l.gnet.Execute(context.Background(), list) // an error: shutting down
		}
	}
}

// greet opens a Hello and makes its reply; nil means that it can't be read.
func (s *Server) greet(record []byte, source netip.Addr) (out []byte, granted bool) {
	hello, err := protocol.OpenHello(s.key, record)
	if err != nil {
		s.Stats.Malformed.Add(1)
		s.log.Debug("handshake refused", "error", err)
		return nil, false
	}
	now := s.now()
	attempt := guess{hello.Project, hello.Organization, network(source)}
	if !s.guesses.open(attempt, s.uptime.Load(), false) {
		s.Stats.Limited.Add(1)
		return protocol.AppendReject(nil, protocol.RejectBusy), false
	}
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
		s.guesses.open(attempt, s.uptime.Load(), a.Code == protocol.WrongPassword)
		s.decider.Deny(a.Project, a.Code, hello.UUID)
	}
	if out, err = hello.AppendReply(nil, reply); err != nil {
		s.notices.Tell(slog.LevelError, "handshake reply", 1, "the answer to a handshake could not be made; report this line to muster's makers", "error", err)
		return nil, false
	}
	return out, a.Code == protocol.OK
}
