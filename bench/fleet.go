package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

// Load is the shape of a fleet's traffic.
type Load struct {
	Devices   int  // in all, spread over the connections
	Conns     int  // TCP connections
	Depth     int  // requests outstanding on each connection, unless Rate is set
	PerRecord int  // messages in a sealed record
	UDP       bool // each record is a datagram
	// Rate is the fleet's requests per second, sent on schedule whether answers
	// come or not; 0 sends the next request when one is answered.
	Rate float64
	// Renew makes every so manieth request a check-in, the others are reports;
	// 0: reports only.
	Renew int
	// Uses are what devices ask for at check-in, in turn.
	Uses []client.Use
	// Module is what their reports count.
	Module string
}

// check lists every fault of a load.
func (l *Load) check() error {
	var faults []error
	fault := func(bad bool, format string, a ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, a...))
		}
	}
	fault(l.Conns < 1 || l.Conns > 60_000, "%d connections: expected 1 to 60000", l.Conns)
	fault(l.Depth < 1 || l.Depth > 4096, "depth %d: expected 1 to 4096", l.Depth)
	fault(l.PerRecord < 1 || l.PerRecord > min(l.Depth, 256), "%d messages a record: expected 1 to the depth, at most 256", l.PerRecord)
	fault(l.UDP && l.PerRecord > 8, "%d messages a record: a datagram has room for 8 reports", l.PerRecord)
	fault(l.Devices < l.Conns*l.Depth, "%d devices: every connection needs at least as many as its depth, %d in all", l.Devices, l.Conns*l.Depth)
	fault(len(l.Uses) == 0, "no use: say what devices ask for")
	return errors.Join(faults...)
}

// Told is what the devices were told; it must equal what the server counts.
type Told struct {
	Granted atomic.Uint64 // check-ins granted
	Refused atomic.Uint64 // requests refused
	Reports atomic.Uint64 // reports acknowledged
	Busy    atomic.Uint64 // answers that asked to come back later; the request is sent again
	Other   atomic.Uint64 // answers that should not be: out of step, no stream
	// Items are sums by item ordinal.
	mu    sync.Mutex
	items map[uint32]*ToldItem
}

// ToldItem is what devices were told about one item.
type ToldItem struct {
	Name    string
	Granted uint64 // check-ins
	Seats   uint64 // devices that were granted it
	Uses    uint64 // acknowledged
}

// Items returns the sums by item name.
func (t *Told) Items() map[string]ToldItem {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]ToldItem{}
	for _, i := range t.items {
		out[i.Name] = *i
	}
	return out
}

// Fleet is devices on connections under one license key. What it was told by
// the server is counted in Told.
type Fleet struct {
	Told  Told
	load  Load
	key   license.LicenseKey
	conns []*gateway
}

// NewFleet connects a fleet.
func NewFleet(ctx context.Context, licenseKey string, load Load) (*Fleet, error) {
	if err := load.check(); err != nil {
		return nil, err
	}
	key, err := license.ParseLicenseKey(licenseKey)
	if err != nil {
		return nil, err
	}
	f := &Fleet{load: load, key: key}
	f.Told.items = map[uint32]*ToldItem{}
	for i := range load.Conns {
		n := load.Devices / load.Conns
		if i < load.Devices%load.Conns {
			n++
		}
		g := newGateway(f, n)
		if g.conn, err = client.Dial(ctx, key, protocol.UUID{}, client.Ticket{}); err != nil {
			f.Close()
			return nil, fmt.Errorf("connection %d of %d: %w", i+1, load.Conns, err)
		}
		f.conns = append(f.conns, g)
	}
	return f, nil
}

// Latency merges the latencies of all connections since the last call.
func (f *Fleet) Latency() *Histogram {
	all := NewHistogram()
	for _, g := range f.conns {
		all.Add(g.latency)
		g.latency.Reset()
	}
	return all
}

// Close closes all connections.
func (f *Fleet) Close() {
	for _, g := range f.conns {
		_ = g.conn.Close()
	}
}

// Reconnect makes new connections under the old tickets, after the server went
// away. Requests that were not answered are sent again, with their numbers.
func (f *Fleet) Reconnect(ctx context.Context) error {
	for i, g := range f.conns {
		conn, err := client.Dial(ctx, f.key, protocol.UUID{}, g.conn.Ticket())
		if err != nil {
			return fmt.Errorf("connection %d of %d: %w", i+1, len(f.conns), err)
		}
		_ = g.conn.Close()
		g.conn = conn
		g.resend()
	}
	return nil
}

// Outstanding is how many requests are without an answer.
func (f *Fleet) Outstanding() (n int) {
	for _, g := range f.conns {
		n += len(g.flights) - len(g.free)
	}
	return n
}

// CheckIn checks every device in, once, all at the same time. The latencies of
// this rush are not kept. First contact is TCP; a load by UDP goes over to
// datagrams then.
func (f *Fleet) CheckIn(ctx context.Context) error {
	return f.each(func(g *gateway) (err error) {
		defer g.latency.Reset()
		if err = g.closedLoop(ctx, len(g.devices), 1); err == nil && f.load.UDP {
			g.conn, err = overUDP(g.conn)
		}
		return err
	})
}

// Run lets the devices report in turn until ctx ends, and waits for the last answers.
func (f *Fleet) Run(ctx context.Context) error {
	return f.each(func(g *gateway) error {
		if f.load.Rate > 0 {
			return g.openLoop(ctx, f.load.Rate/float64(len(f.conns)))
		}
		return g.closedLoop(ctx, 0, f.load.Renew)
	})
}

// each runs step on every connection at once. The error is the first one.
func (f *Fleet) each(step func(*gateway) error) error {
	var wg sync.WaitGroup
	faults := make([]error, len(f.conns))
	for i, g := range f.conns {
		wg.Go(func() { faults[i] = step(g) })
	}
	wg.Wait()
	f.collect()
	faults = slices.DeleteFunc(faults, func(err error) bool { return err == nil })
	switch len(faults) {
	case 0:
		return nil
	case 1:
		return faults[0]
	}
	return fmt.Errorf("%w, and so on %d other connections", faults[0], len(faults)-1)
}

// collect sums up what the devices were told, item by item.
func (f *Fleet) collect() {
	f.Told.mu.Lock()
	defer f.Told.mu.Unlock()
	clear(f.Told.items)
	for _, g := range f.conns {
		for ordinal, i := range g.items {
			sum := f.Told.items[ordinal]
			if sum == nil {
				sum = &ToldItem{Name: i.Name}
				f.Told.items[ordinal] = sum
			}
			sum.Granted, sum.Seats, sum.Uses = sum.Granted+i.Granted, sum.Seats+i.Seats, sum.Uses+i.Uses
		}
	}
}

// device is one simulated device. It has one request outstanding at most.
type device struct {
	uuid   protocol.UUID
	stream uint32
	token  uint64
	seq    uint32
	item   uint32
	use    uint16
	module uint16
	busy   bool // a request is outstanding
}

func newDevice(use int) (d device) {
	rand.Read(d.uuid[:])
	d.use = uint16(use)
	return d
}

// granted takes a first grant over.
func (d *device) granted(a *protocol.Answer, module string) (name string) {
	d.stream, d.token, d.seq, d.item = a.Stream, a.Token, a.Seq, a.Item
	if len(a.Grant) < 2 {
		return ""
	}
	n := int(binary.BigEndian.Uint16(a.Grant))
	grant, err := license.ParseGrant(a.Grant[2:min(2+n, len(a.Grant))])
	if err != nil {
		return ""
	}
	for _, m := range grant.Modules {
		if m.Name == module {
			d.module = m.Ordinal
		}
	}
	return grant.LicenseID + "/" + grant.ItemID
}

// slotNow is the slot of the wall clock: the fleet shares the server's machine.
func slotNow(now time.Time) uint32 { return uint32(now.Unix() / protocol.SlotSeconds) }
