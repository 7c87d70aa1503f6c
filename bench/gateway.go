package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"muster/license"
	"muster/protocol"
)

// gateway is one connection and the devices behind it.
type gateway struct {
	fleet  *Fleet
	conn   link
	number int // among the fleet's

	mu      sync.Mutex // writer and reader of an open loop
	devices []device
	next    int    // device that sends next
	sent    uint32 // requests made so far, resends not counted
	flights []flight
	free    []uint32  // flights not in use
	again   []retry   // requests to be sent again, those that may go first in front
	looked  time.Time // for lost ones
	inTurn  bool      // every device once, whatever the load says
	ended   bool      // the writing half of an open loop is through
	items   map[uint32]*ToldItem

	visit   func(*protocol.Answer) // g.visited: made once
	came    time.Time              // the record of answers that is read
	due     time.Time              // when its last requests were
	same    int                    // how many of them were due then
	batch   []*protocol.Request
	latency *Histogram // shared with other gateways
	asks    []*protocol.CheckIn
}

// flight is a request on its way. The request id is its number in the low bits
// and counts up above them, so that a late answer is told from the one awaited.
type flight struct {
	request protocol.Request // of the writing half alone, but for reading
	lines   []protocol.Line
	awaits  uint32 // the answer to this request; landed: none
	device  int
	due     time.Time // when it was to be sent: latency counts from here
	sent    time.Time // when it was, or is to be again
}

// retry is a request that was answered busy, or whose answer is lost.
type retry struct {
	id uint32
	at time.Time // not before
}

// openFlights bounds what an open loop has outstanding on a connection.
const (
	openFlights = 1 << flightBits
	flightBits  = 12
	landed      = 1<<32 - 1 // awaited by a flight that is free
)

// checkInPadding makes a check-in by datagram long enough for a grant, and leaves
// room for the check-in itself.
const checkInPadding = protocol.MaxDatagram - 400

// settleTime is how long the last answers may take after the end.
const settleTime = 10 * time.Second

func newGateway(f *Fleet, number int, devices []device) *gateway {
	g := &gateway{fleet: f, number: number, latency: f.latencies[number%len(f.latencies)], items: map[uint32]*ToldItem{}}
	g.visit = g.visited
	g.devices = devices
	for i := range g.devices {
		g.devices[i] = newDevice(i % len(f.load.Uses))
	}
	n := f.load.Depth
	if n == 0 {
		n = min(openFlights, len(devices))
	}
	g.flights = make([]flight, n)
	for i := range g.flights {
		g.free = append(g.free, uint32(i))
		g.flights[i].awaits = landed
	}
	for _, u := range f.load.Uses {
		g.asks = append(g.asks, &protocol.CheckIn{
			Product: []byte(u.Product), Version: u.Version, Edition: []byte(u.Edition),
			Deployment: []byte(u.Deployment), ChargeWay: uint8(u.ChargeWay),
		})
	}
	return g
}

// closedLoop keeps as many requests outstanding as there are flights, PerRecord
// in a record, until limit requests were made (0: until ctx ends), and waits for
// the last answers.
func (g *gateway) closedLoop(ctx context.Context, limit int, draw func() act) error {
	_ = g.conn.SetDeadline(time.Time{}) // of the run before
	stop := context.AfterFunc(ctx, func() { g.conn.SetDeadline(time.Now().Add(settleTime)) })
	defer stop()
	left := limit
	g.inTurn = limit > 0
	for {
		made, err := g.fill(limit > 0, left, draw, ctx.Err() == nil)
		if err != nil {
			return err
		}
		left -= made
		switch flying := len(g.flights) - len(g.free); {
		case flying == 0:
			return nil
		case flying == len(g.again):
			err = g.rest(limit > 0)
		default:
			err = g.read()
		}
		if err != nil && !errors.Is(err, errLost) {
			return err
		}
	}
}

// rushDepth is how many requests of a first rush are outstanding on a connection.
const rushDepth = 128

// busyMax is how long the devices of a first rush wait for a busy server. A
// longer wait means that its device table is full.
const busyMax = 55 * time.Second

// rest waits until the first request that was answered busy may go again.
func (g *gateway) rest(rush bool) error {
	pause := time.Until(g.again[0].at)
	if rush && pause > busyMax {
		return fmt.Errorf("the server asks to come back in %v: its device table is full, see --devices-max", pause.Round(time.Second))
	}
	time.Sleep(pause)
	return nil
}

// fill sends as many whole records as there are free flights for; fresh says
// that new requests may be made, of a rush at most left, else only those answered
// busy go out again.
func (g *gateway) fill(rush bool, left int, draw func() act, fresh bool) (made int, err error) {
	now := time.Now()
	g.findLost(now)
	per := g.fleet.load.PerRecord
	for {
		if fresh && !rush && len(g.free)+len(g.again) < per {
			return made, g.conn.Flush() // the next answers make a record full
		}
		g.batch = g.batch[:0]
		for len(g.batch) < per {
			r := g.retry(now)
			if r == nil && fresh && (!rush || made < left && len(g.flights)-len(g.free) < rushDepth) {
				if r = g.request(now, now, draw); r != nil {
					made++
				}
			}
			if r == nil {
				break
			}
			g.batch = append(g.batch, r)
		}
		if len(g.batch) == 0 {
			return made, g.conn.Flush()
		}
		if err := g.conn.Append(g.batch...); err != nil {
			return made, err
		}
	}
}

// retry returns the next request that is to go again, nil if there is none now.
func (g *gateway) retry(now time.Time) *protocol.Request {
	for len(g.again) > 0 && !g.again[0].at.After(now) {
		id := g.again[0].id
		g.again = g.again[1:]
		if f := g.flight(id); f != nil {
			f.sent = now
			return &f.request
		}
	}
	return nil
}

// flight is the one that waits for an answer to a request; nil if it came.
func (g *gateway) flight(id uint32) *flight {
	i := int(id % openFlights)
	if id == landed || i >= len(g.flights) || g.flights[i].awaits != id {
		return nil
	}
	return &g.flights[i]
}

// later has a request sent again at a moment.
func (g *gateway) later(f *flight, at time.Time) {
	f.sent = at
	i, _ := slices.BinarySearchFunc(g.again, at, func(r retry, at time.Time) int { return cmp.Or(r.at.Compare(at), -1) })
	g.again = slices.Insert(g.again, i, retry{f.awaits, at})
}

// request makes a fresh request of the next device that has none outstanding;
// nil if there is none.
func (g *gateway) request(due, now time.Time, draw func() act) *protocol.Request {
	if len(g.free) == 0 {
		return nil
	}
	d := g.idleDevice()
	if d < 0 {
		return nil
	}
	id := g.free[len(g.free)-1]
	g.free = g.free[:len(g.free)-1]
	f := &g.flights[id]
	f.device, f.due, f.sent = d, due, now
	g.sent++
	g.compose(f, id|g.sent<<flightBits, draw())
	return &f.request
}

// resend puts every request without an answer up for sending again.
func (g *gateway) resend() { g.sentBefore(time.Now()) }

// findLost does that by datagram, where each of them may be lost, with those that
// were sent a while ago.
func (g *gateway) findLost(now time.Time) {
	if _, udp := g.conn.(*datagrams); udp && now.Sub(g.looked) > lossTime/4 {
		g.looked = now
		g.sentBefore(now.Add(-lossTime))
	}
}

func (g *gateway) sentBefore(sent time.Time) {
	now := time.Now()
	for i := range g.flights {
		if f := &g.flights[i]; f.awaits != landed && f.sent.Before(sent) {
			g.later(f, now)
		}
	}
}

func (g *gateway) idleDevice() int {
	if g.fleet.load.Random && !g.inTurn {
		g.next = mathrand.IntN(len(g.devices))
	}
	for range g.devices {
		d := g.next
		if g.next++; g.next == len(g.devices) {
			g.next = 0
		}
		if !g.devices[d].busy {
			g.devices[d].busy = true
			return d
		}
	}
	return -1
}

func (g *gateway) compose(f *flight, id uint32, a act) {
	d := &g.devices[f.device]
	if a == actNew {
		*d = newDevice(int(d.use))
		d.busy = true
	}
	r := protocol.Request{ID: id, UUID: d.uuid, Stream: d.stream, Token: d.token, Tag: mathrand.Uint32(), Item: d.item}
	if d.stream != 0 {
		d.seq++
		r.Seq = d.seq
	}
	switch {
	case !d.seat || a == actCheckIn:
		r.Kind, r.CheckIn = protocol.KindCheckIn, g.asks[d.use]
		if _, udp := g.conn.(*datagrams); udp {
			r.Padding = checkInPadding
		}
	case a == actRelease:
		r.Kind = protocol.KindRelease
	default:
		r.Kind = protocol.KindReport
		slot, lines := slotNow(f.due), 1
		if a == actLate {
			lines = max(g.fleet.load.LateSlots, 1)
		}
		f.lines = f.lines[:0]
		for i := range lines { // oldest first
			f.lines = append(f.lines, protocol.Line{Slot: slot - uint32(lines-1-i), Module: d.module, Count: 1})
		}
		r.Lines = f.lines
	}
	f.request, f.awaits = r, id
}

// read settles the answers of one record.
func (g *gateway) read() error {
	g.came = time.Time{}
	err := g.conn.Read(g.visit)
	if !g.came.IsZero() {
		g.observe()
		g.mu.Unlock()
	}
	return err
}

// visited settles an answer. The lock is taken with the first one of a record.
func (g *gateway) visited(a *protocol.Answer) {
	if g.came.IsZero() {
		g.mu.Lock()
		g.came = time.Now()
	}
	g.settle(a, g.came)
}

// observe counts the latency of the last answers of a record that were due together.
func (g *gateway) observe() {
	if g.same > 0 {
		g.latency.Observe(g.came.Sub(g.due), g.same)
		g.same = 0
	}
}

// settle takes note of an answer.
func (g *gateway) settle(a *protocol.Answer, now time.Time) {
	if a.Kind == protocol.KindPong {
		return
	}
	f, told := g.flight(a.ID), &g.fleet.Told
	if f == nil {
		return // it was answered before
	}
	if a.Kind == protocol.KindBusy {
		told.Busy.Add(1)
		g.later(f, now.Add(time.Duration(a.RetryAfter)*time.Millisecond))
		return
	}
	if !f.due.Equal(g.due) {
		g.observe()
		g.due = f.due
	}
	g.same++
	d := &g.devices[f.device]
	d.busy = false
	g.free = append(g.free, a.ID%openFlights)
	kind := f.request.Kind
	f.awaits = landed
	switch {
	case a.Kind == protocol.KindGranted:
		told.Granted.Add(1)
		g.granted(d, a)
	case a.Kind == protocol.KindAccepted && kind == protocol.KindReport:
		told.Reports.Add(1)
		told.Uses.Add(uint64(len(f.lines)))
		if i := g.items[f.request.Item]; i != nil {
			i.Uses += uint64(len(f.lines))
		}
	case a.Kind == protocol.KindAccepted && kind == protocol.KindRelease:
		told.Released.Add(1)
		g.released(d)
	case a.Kind == protocol.KindRefused:
		told.refused(a.Code)
		if a.Stream != 0 {
			d.stream, d.token, d.seq = a.Stream, a.Token, a.Seq
		}
	default:
		told.Other.Add(1)
	}
}

func (g *gateway) granted(d *device, a *protocol.Answer) {
	if d.stream == 0 {
		name := d.granted(a, g.fleet.load.Module)
		if len(a.Certificate) > 0 {
			g.asks[d.use].KnownCert = license.ProofID(a.Certificate)
		}
		if g.items[a.Item] == nil {
			g.items[a.Item] = &ToldItem{Name: name}
		}
	}
	if i := g.items[a.Item]; i != nil {
		i.Granted++
		if !d.seat {
			i.Seats++
		}
	}
	d.seat = true
}

func (g *gateway) released(d *device) {
	if i := g.items[d.item]; i != nil && d.seat {
		i.Seats--
	}
	d.seat = false
}

// readToEnd is the reading half: it ends when the writing half has and every
// flight is back, but for those that were answered busy.
func (g *gateway) readToEnd() error {
	for {
		g.mu.Lock()
		done := g.ended && len(g.free)+len(g.again) >= len(g.flights)
		g.mu.Unlock()
		if done {
			return nil
		}
		if err := g.read(); err != nil && !errors.Is(err, errLost) {
			return err
		}
	}
}
