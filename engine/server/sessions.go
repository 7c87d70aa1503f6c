package server

import (
	"encoding/binary"

	"muster/protocol"
)

// sessionCache keeps the keyed sessions of the tickets seen last: setting up the
// ciphers costs more than opening a datagram. A ticket has one of four places;
// only sessions under which a record opened are kept, so a stranger pushes none out.
type sessionCache struct {
	sets [sessionSets][4]*protocol.Session
	hand uint32
}

// sessionSets times 4 sessions of about 1.3 KiB are 10 MiB a loop.
const sessionSets = 2048

func (c *sessionCache) set(t *protocol.Ticket) *[4]*protocol.Session {
	return &c.sets[binary.LittleEndian.Uint32(t[12:])%sessionSets] // of its random bytes
}

// find returns the session of a ticket, nil if it is not kept.
func (c *sessionCache) find(t *protocol.Ticket) *protocol.Session {
	for _, s := range c.set(t) {
		if s != nil && s.Ticket == *t {
			return s
		}
	}
	return nil
}

// add keeps a session in place of the one that is its turn, unless it is kept.
func (c *sessionCache) add(s *protocol.Session) {
	set := c.set(&s.Ticket)
	for i, kept := range set {
		if kept == s {
			return
		}
		if kept == nil {
			set[i] = s
			return
		}
	}
	c.hand++
	set[c.hand%4] = s
}
