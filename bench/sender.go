package bench

import (
	"context"
	"slices"
	"time"

	"muster/protocol"
)

// sender is the writing half of an open loop, of many connections: after each tick
// it is one goroutine that has to get its turn, before those that read.
type sender struct {
	pace  *pace
	turns []*turn // of the connections that are left
	fault error   // of the first one that is not
}

// turn is a gateway of a sender.
type turn struct {
	*gateway
	arrivals *arrivals
	next     time.Time // when there is something to send
}

func newSender(p *pace, gateways []*gateway) *sender {
	s := &sender{pace: p}
	for _, g := range gateways {
		s.turns = append(s.turns, &turn{gateway: g, arrivals: g.arrivals(p)})
	}
	return s
}

// run sends requests when the pace says, until that or ctx ends or no connection is
// left, and then what was answered busy. When the server falls behind and no device
// is free, requests wait for a while, and their latency counts from when they were due.
func (s *sender) run(ctx context.Context) error {
	end, ends := s.pace.end()
	alarm, err := newAlarm(ctx)
	if err != nil {
		s.each(func(*turn) error { return err })
		return err
	}
	defer alarm.close()
	for over := false; !over; {
		now := time.Now()
		over = ctx.Err() != nil || ends && now.After(end) || len(s.turns) == 0
		next := now.Add(time.Second)
		s.each((*turn).take)
		for _, t := range s.turns {
			if t.next.Before(next) {
				next = t.next
			}
		}
		if !over {
			s.pace.wait(alarm, next)
		}
	}
	s.drain()
	return s.fault
}

// each does something with every connection, and is done with those where it fails.
func (s *sender) each(do func(*turn) error) {
	s.turns = slices.DeleteFunc(s.turns, func(t *turn) bool {
		err := do(t)
		if err != nil {
			s.fault = firstError(s.fault, err)
			_ = t.conn.Close() // ends the reading half
		}
		return err != nil
	})
}

// take sends what is due now.
func (t *turn) take() (err error) {
	now := time.Now()
	if t.next.After(now) {
		return nil
	}
	t.next, err = t.send(t.arrivals, now)
	t.miss(t.arrivals, now.Add(-patience))
	return err
}

// drain sends what was answered busy, until everything is answered or settleTime
// is over.
func (s *sender) drain() {
	end := time.Now().Add(settleTime)
	for _, t := range s.turns {
		t.miss(t.arrivals, time.Now())
		t.arrivals = &arrivals{}
		_ = t.conn.SetDeadline(end)
	}
	for open := true; open && time.Now().Before(end); time.Sleep(sendTick) {
		open = false
		s.each(func(t *turn) error {
			_, err := t.send(t.arrivals, time.Now())
			t.mu.Lock()
			open = open || len(t.free) < len(t.flights)
			t.mu.Unlock()
			return err
		})
	}
	s.each(func(t *turn) error {
		t.mu.Lock()
		t.ended = true
		t.mu.Unlock()
		return t.conn.Write(&protocol.Request{Kind: protocol.KindPing}) // wakes the reader
	})
}

// arrivals are a gateway's share of a pace: every so manieth record of it. Its
// requests are due together, at the moment of the first of them.
type arrivals struct {
	*pace
	n, stride  float64
	each, left int // requests: in a record, of the present one
	at         time.Time
	more       bool
}

func (g *gateway) arrivals(p *pace) *arrivals {
	per := g.fleet.load.PerRecord
	a := &arrivals{pace: p, n: float64(g.number * per), stride: float64(per * len(g.fleet.conns)), each: per, left: per}
	a.at, a.more = p.due(a.n)
	return a
}

func (a *arrivals) take() {
	if a.left--; a.left == 0 {
		a.left = a.each
		a.n += a.stride
		a.at, a.more = a.due(a.n)
	}
}

// patience is how long a request waits for a device that is free. Then it is
// missed: each of them waits for an answer, and does not ask twice.
const patience = time.Second

// miss passes over what was due before a moment and not sent.
func (g *gateway) miss(a *arrivals, before time.Time) {
	for a.more && a.at.Before(before) {
		g.fleet.Told.Missed.Add(1)
		a.take()
	}
}

// send sends what is due. next is when there is something to send again.
func (g *gateway) send(a *arrivals, now time.Time) (next time.Time, err error) {
	per := g.fleet.load.PerRecord
	for more := true; more; {
		g.batch = g.batch[:0]
		g.mu.Lock()
		g.findLost(now)
		for len(g.batch) < per {
			r := g.retry(now)
			if r == nil && a.more && !a.at.After(now) {
				if r = g.request(a.at, now, g.fleet.load.Mix.draw); r != nil {
					a.take()
				}
			}
			if r == nil {
				more = false
				break
			}
			g.batch = append(g.batch, r)
		}
		next = now.Add(time.Second)
		if a.more && a.at.Before(next) {
			next = a.at
		}
		if len(g.again) > 0 && g.again[0].at.Before(next) {
			next = g.again[0].at
		}
		g.mu.Unlock()
		if len(g.batch) == 0 {
			break
		}
		if err := g.conn.Append(g.batch...); err != nil {
			return next, err
		}
	}
	return next, g.conn.Flush()
}
