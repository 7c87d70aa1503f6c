package bench

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"muster/license"
	"muster/protocol"
)

// gateway is one connection and the devices behind it.
type gateway struct {
	fleet *Fleet
	conn  link

	mu      sync.Mutex // writer and reader of an open loop
	devices []device
	next    int // device that sends next
	sent    int // requests made so far, resends not counted
	flights []flight
	free    []uint32      // flights not in use
	again   []uint32      // flights to be sent again, they were answered busy
	pause   time.Duration // how long busy answers asked to wait
	ended   bool          // the writing half of an open loop is through
	items   map[uint32]*ToldItem

	batch   []*protocol.Request
	latency *Histogram
	asks    []*protocol.CheckIn
}

// flight is a request on its way. The request id is its number in the low bits
// and counts up above them, so that a late answer is told from the one awaited.
type flight struct {
	request protocol.Request
	line    [1]protocol.Line
	device  int
	due     time.Time // when it was to be sent: latency counts from here
}

// openFlights bounds what an open loop has outstanding on a connection.
const (
	openFlights = 1 << flightBits
	flightBits  = 12
	landed      = 1<<32 - 1 // request id of a flight that is free
)

// checkInPadding makes a check-in by datagram long enough for a grant, and leaves
// room for the check-in itself.
const checkInPadding = protocol.MaxDatagram - 400

// settleTime is how long the last answers may take after the end.
const settleTime = 10 * time.Second

func newGateway(f *Fleet, devices int) *gateway {
	g := &gateway{fleet: f, latency: NewHistogram(), items: map[uint32]*ToldItem{}}
	for i := range devices {
		g.devices = append(g.devices, newDevice(i%len(f.load.Uses)))
	}
	n := f.load.Depth
	if f.load.Rate > 0 {
		n = min(openFlights, devices)
	}
	g.flights = make([]flight, n)
	for i := range g.flights {
		g.free = append(g.free, uint32(i))
		g.flights[i].request.ID = landed
	}
	for _, u := range f.load.Uses {
		g.asks = append(g.asks, &protocol.CheckIn{
			Product: []byte(u.Product), Version: u.Version, Edition: []byte(u.Edition),
			Deployment: []byte(u.Deployment), ChargeWay: uint8(u.ChargeWay),
		})
	}
	return g
}

// closedLoop keeps Depth requests outstanding, PerRecord in a record, until
// limit requests were made (0: until ctx ends), and waits for the last answers.
func (g *gateway) closedLoop(ctx context.Context, limit, renew int) error {
	stop := context.AfterFunc(ctx, func() { g.conn.SetDeadline(time.Now().Add(settleTime)) })
	defer stop()
	g.sent = 0
	for {
		if err := g.fill(limit, renew, ctx.Err() == nil); err != nil {
			return err
		}
		if len(g.free) == len(g.flights) {
			return nil
		}
		if err := g.read(); errors.Is(err, errLost) {
			g.resend()
		} else if err != nil {
			return err
		}
		if err := g.rest(ctx); err != nil {
			return err
		}
	}
}

// busyMax is how long a fleet waits for a busy server. A longer wait means that
// something is full, such as the device table.
const busyMax = 5 * time.Second

// rest waits as busy answers asked.
func (g *gateway) rest(ctx context.Context) error {
	pause := g.pause
	if pause == 0 {
		return nil
	}
	g.pause = 0
	if pause > busyMax {
		return fmt.Errorf("the server asks to come back in %v: one of its limits is reached, see --devices-max", pause)
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	return nil
}

// fill sends as many whole records as there are free flights for; fresh says
// that new requests may be made, else only those answered busy go out again.
func (g *gateway) fill(limit, renew int, fresh bool) error {
	now := time.Now()
	per := g.fleet.load.PerRecord
	for {
		if fresh && limit == 0 && len(g.free)+len(g.again) < per {
			return g.conn.Flush() // the next answers make a record full
		}
		g.batch = g.batch[:0]
		for len(g.batch) < per {
			r := g.request(now, renew, fresh && (limit == 0 || g.sent < limit))
			if r == nil {
				break
			}
			g.batch = append(g.batch, r)
		}
		if len(g.batch) == 0 {
			return g.conn.Flush()
		}
		if err := g.conn.Append(g.batch...); err != nil {
			return err
		}
	}
}

// request makes the next request: one that was answered busy, or a fresh one of
// the next device that has none outstanding; nil if there is none.
func (g *gateway) request(due time.Time, renew int, fresh bool) *protocol.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.again); n > 0 {
		f := &g.flights[g.again[n-1]]
		g.again = g.again[:n-1]
		return &f.request
	}
	if len(g.free) == 0 || !fresh {
		return nil
	}
	d := g.idleDevice()
	if d < 0 {
		return nil
	}
	id := g.free[len(g.free)-1]
	g.free = g.free[:len(g.free)-1]
	f := &g.flights[id]
	f.device, f.due = d, due
	g.sent++
	g.compose(f, id|uint32(g.sent)<<flightBits, renew > 0 && mathrand.IntN(renew) == 0)
	return &f.request
}

// resend puts every request without an answer up for sending again.
func (g *gateway) resend() {
	idle := make([]bool, len(g.flights))
	for _, id := range g.free {
		idle[id] = true
	}
	g.again = g.again[:0]
	for id := range g.flights {
		if !idle[id] {
			g.again = append(g.again, uint32(id))
		}
	}
}

func (g *gateway) idleDevice() int {
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

func (g *gateway) compose(f *flight, id uint32, checkIn bool) {
	d := &g.devices[f.device]
	r := protocol.Request{Kind: protocol.KindReport, ID: id, UUID: d.uuid, Stream: d.stream, Token: d.token, Tag: mathrand.Uint32(), Item: d.item}
	if d.stream != 0 {
		d.seq++
		r.Seq = d.seq
	}
	if checkIn || d.stream == 0 {
		r.Kind, r.CheckIn = protocol.KindCheckIn, g.asks[d.use]
		if _, udp := g.conn.(*datagrams); udp {
			r.Padding = checkInPadding
		}
	} else {
		f.line[0] = protocol.Line{Slot: slotNow(f.due), Module: d.module, Count: 1}
		r.Lines = f.line[:]
	}
	f.request = r
}

// read settles the answers of one record.
func (g *gateway) read() error {
	var now time.Time
	return g.conn.Read(func(a *protocol.Answer) {
		if now.IsZero() {
			now = time.Now()
		}
		g.mu.Lock()
		g.settle(a, now)
		g.mu.Unlock()
	})
}

// settle takes note of an answer.
func (g *gateway) settle(a *protocol.Answer, now time.Time) {
	if a.Kind == protocol.KindPong {
		return
	}
	id := a.ID % openFlights
	if int(id) >= len(g.flights) || g.flights[id].request.ID != a.ID {
		return // it was answered before
	}
	f, told := &g.flights[id], &g.fleet.Told
	if a.Kind == protocol.KindBusy {
		told.Busy.Add(1)
		g.again = append(g.again, id)
		g.pause = max(g.pause, time.Duration(a.RetryAfter)*time.Millisecond)
		return
	}
	g.latency.Observe(now.Sub(f.due))
	d := &g.devices[f.device]
	d.busy = false
	g.free = append(g.free, id)
	item, report := f.request.Item, f.request.Kind == protocol.KindReport
	f.request.ID = landed
	switch {
	case a.Kind == protocol.KindGranted:
		told.Granted.Add(1)
		g.granted(d, a)
	case a.Kind == protocol.KindAccepted && report:
		told.Reports.Add(1)
		if i := g.items[item]; i != nil {
			i.Uses += uint64(f.line[0].Count)
		}
	case a.Kind == protocol.KindRefused:
		told.Refused.Add(1)
	default:
		told.Other.Add(1)
	}
}

func (g *gateway) granted(d *device, a *protocol.Answer) {
	first := d.stream == 0
	if first {
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
		if first {
			i.Seats++
		}
	}
}

// openLoop sends requests on schedule, rate a second, until ctx ends. When the
// server falls behind and all flights are out, requests wait, and their latency
// counts from when they were due.
func (g *gateway) openLoop(ctx context.Context, rate float64) error {
	reading := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { g.conn.SetDeadline(time.Now().Add(settleTime)) })
	defer stop()
	g.ended = false
	go func() { reading <- g.readToEnd() }()
	err := g.schedule(ctx, rate)
	return firstError(err, <-reading)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// schedule is the writing half of an open loop.
func (g *gateway) schedule(ctx context.Context, rate float64) error {
	interval := time.Duration(float64(time.Second) / rate)
	due := time.Now().Add(time.Duration(mathrand.Int64N(int64(interval) + 1)))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		g.batch = g.batch[:0]
		for now := time.Now(); due.Before(now) && len(g.batch) < protocol.MaxMessages/4; {
			r := g.request(due, g.fleet.load.Renew, true)
			if r == nil {
				break
			}
			g.batch = append(g.batch, r)
			due = due.Add(interval)
		}
		if len(g.batch) > 0 {
			if err := g.conn.Write(g.batch...); err != nil {
				return err
			}
		}
	}
	g.mu.Lock()
	g.ended = true
	g.mu.Unlock()
	return g.conn.Write(&protocol.Request{Kind: protocol.KindPing}) // wakes the reader
}

// readToEnd is the reading half: it ends when the writing half has and every
// flight is back, but for those that were answered busy.
func (g *gateway) readToEnd() error {
	for {
		g.mu.Lock()
		done := g.ended && len(g.free)+len(g.again) == len(g.flights)
		g.mu.Unlock()
		if done {
			return nil
		}
		if err := g.read(); errors.Is(err, errLost) {
			g.mu.Lock()
			g.resend()
			g.mu.Unlock()
		} else if err != nil {
			return err
		}
	}
}
