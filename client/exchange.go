package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"muster/license"
	"muster/protocol"
)

// How long to wait between rounds over all addresses: at first, and at most
// after doubling (docs/PROTOCOL.md section 11).
const (
	waitFirst = time.Second
	waitMax   = 5 * time.Minute
)

// exchange sends one request, with the same number and tag however often, until
// it is answered: to every address in turn, round after round. A wait that would
// end after Options.Timeout or after ctx is not begun: the call fails at once.
func (c *Client) exchange(ctx context.Context, r *protocol.Request) (*protocol.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	c.nextID++
	r.ID = c.nextID
	if c.options.Exchange != nil {
		return c.options.Exchange(ctx, r)
	}
	for next := waitFirst; ; {
		a, err := c.round(ctx, r)
		wait := next
		switch {
		case err == nil && a.Kind == protocol.KindBusy:
			wait = time.Duration(a.RetryAfter) * time.Millisecond
			err = fmt.Errorf("%s: %w", hostOf(c.at), ErrServerBusy)
		case err == nil || final(err):
			return a, err
		case errors.Is(err, errUnreadable): // the same bytes again would change nothing
			return nil, fmt.Errorf("license server: %w", err)
		default:
			next = min(2*next, waitMax)
		}
		if !c.pause(ctx, jittered(wait)) {
			return nil, fmt.Errorf("license server: %w", err)
		}
	}
}

// jittered adds a random part, up to half, so that devices which lost the same
// server do not all come back at once. A server that says 0 is not asked in a
// tight loop either.
func jittered(wait time.Duration) time.Duration {
	return wait + rand.N(wait/2+20*time.Millisecond)
}

// pause waits; false if there is not the time for it.
func (c *Client) pause(ctx context.Context, wait time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= wait {
		return false
	}
	return c.sleep(ctx, wait) == nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// round asks one address after the other until one answers.
func (c *Client) round(ctx context.Context, r *protocol.Request) (answer *protocol.Answer, err error) {
	list := c.plan()
	c.renewTicket(ctx, list)
	err = walk(ctx, list, func(ctx context.Context, a license.Address) (err error) {
		answer, err = c.askAt(ctx, a, r)
		if errors.Is(err, ErrTicket) { // another server's, or too old, or spent: a new handshake, once
			c.ticket = Ticket{}
			answer, err = c.askAt(ctx, a, r)
		}
		return err
	})
	return answer, err
}

// plan is the order of a round: the side where the client is, main or standby,
// and there datagrams if the license key has an address for them, then the open
// connection. When that has died, a new one is made as if there had been none,
// main first. After a while on a standby the main comes first again [CLI-7].
func (c *Client) plan() []license.Address {
	all := c.addresses
	if c.udpOut() {
		all = byTCP(all)
	}
	connected := c.conn != nil || c.packets != nil
	side := connected && c.at.Standby && c.clock().Sub(c.mainTried) < mainRetry
	if !side {
		c.mainTried = c.clock()
	}
	rank := func(a license.Address) int {
		switch {
		case a.Standby != side:
			return 3
		case a.Transport == "udp":
			return 0
		case c.conn != nil && a == c.conn.address:
			return 1
		}
		return 2
	}
	return slices.SortedStableFunc(slices.Values(all), func(a, b license.Address) int { return rank(a) - rank(b) })
}

// askAt asks at one address, on the open connection if it leads there. A
// connection on which a request failed is closed, one that works is kept in
// place of the former one.
func (c *Client) askAt(ctx context.Context, a license.Address, r *protocol.Request) (*protocol.Answer, error) {
	if a.Transport == "udp" {
		return c.askByUDP(ctx, a, r)
	}
	conn := c.conn
	if conn == nil || conn.address != a {
		var err error
		if conn, err = dialOne(ctx, a, c.key, protocol.UUID(c.state.UUID), c.ticket); err != nil {
			return nil, err
		}
		c.greet(conn)
	}
	answer, err := conn.ask(ctx, r)
	if err != nil {
		_ = conn.Close()
		if conn == c.conn {
			c.conn = nil
		}
		return nil, err
	}
	c.keep(conn)
	c.syncClock(answer.Time)
	return answer, nil
}

// greet takes over what a handshake brought.
func (c *Client) greet(conn *Conn) {
	if conn.ticket != c.ticket {
		c.ticket = conn.ticket
		c.ticketRenewal = ticketRenewal(c.clock(), c.ticket.expires())
	}
	c.syncClock(conn.ServerTime)
}

// keep makes a connection the open one.
func (c *Client) keep(conn *Conn) {
	if conn != c.conn {
		_ = c.drop()
		c.conn = conn
	}
	c.at = conn.address
}

// ask sends a request and waits for its answer. 100 is an error here, like
// everything that sends a client to the next address.
func (c *Conn) ask(ctx context.Context, r *protocol.Request) (*protocol.Answer, error) {
	defer c.bound(ctx)()
	if err := c.Write(r); err != nil {
		return nil, err
	}
	var answer *protocol.Answer
	for answer == nil {
		err := c.Read(func(a *protocol.Answer) {
			if a.ID == r.ID {
				answer = keptAnswer(a)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	if answer.Kind == protocol.KindRefused && answer.Code == protocol.NotServing {
		return nil, &Error{Code: protocol.NotServing}
	}
	return answer, nil
}
