package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"muster/license"
	"muster/protocol"
)

const (
	// ticketMargin is how long before its end a ticket is replaced at the latest.
	ticketMargin = 2 * time.Minute
	// ticketRetry is how long to wait after a handshake that was to replace a
	// ticket has failed, plus a random part. The old one serves meanwhile.
	ticketRetry = time.Minute
)

// Ticket resumes a session on a new connection without a handshake.
type Ticket struct {
	session *protocol.Session
	records *atomic.Uint64 // that were sealed under it, over all connections
}

func newTicket(s *protocol.Session) Ticket { return Ticket{s, new(atomic.Uint64)} }

// Session seals and opens records under the ticket, for who has a transport of
// their own. What is sealed with it is not counted: see docs/PROTOCOL.md section 5.
func (t Ticket) Session() *protocol.Session { return t.session }

// Valid says whether there is a ticket that has not expired yet and may seal
// another record.
func (t Ticket) Valid(now time.Time) bool {
	return t.session != nil && t.expires().After(now) && t.records.Load() < protocol.MaxTicketRecords
}

func (t Ticket) expires() time.Time { return time.Unix(int64(t.session.Ticket.Expires()), 0) }

// ErrTicket means that the server does not know the ticket (any more), or that it
// has sealed as many records as it may: make a new handshake.
var ErrTicket = errors.New("the server does not accept the ticket; a new handshake is needed")

var errSpent = fmt.Errorf("%d records were sealed under this ticket (%w)", protocol.MaxTicketRecords, ErrTicket)

// spend counts one record; an error if there may be none.
func (t Ticket) spend() error {
	if t.records.Add(1) > protocol.MaxTicketRecords {
		return errSpent
	}
	return nil
}

// ticketRenewal draws when to replace a ticket that was got now: in the last
// eighth of its life, but not in the last minutes. The eighth is long because
// devices which got their tickets together, after the server's keys were rotated,
// are not to come together again.
func ticketRenewal(now, expires time.Time) time.Time {
	life := max(0, expires.Sub(now))
	margin := min(ticketMargin, life/16)
	return expires.Add(-margin - rand.N(life/8-margin+1))
}

// renewTicket makes a new handshake when the ticket's time has come, at the first
// TCP address of a round that is about to begin. If that fails for whatever
// reason, the round goes on with the old ticket.
func (c *Client) renewTicket(ctx context.Context, list []license.Address) {
	now := c.clock()
	if !c.ticket.Valid(now) || now.Before(c.ticketRenewal) {
		return
	}
	err := attempt(ctx, len(list)+1, byTCP(list)[0], func(ctx context.Context, a license.Address) error {
		conn, err := dialOne(ctx, a, c.key, protocol.UUID(c.state.UUID), Ticket{})
		if err == nil {
			c.greet(conn)
			c.keep(conn)
		}
		return err
	})
	if err != nil {
		c.ticketRenewal = now.Add(jittered(ticketRetry))
	}
}
