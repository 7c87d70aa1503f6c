package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

// Told is what the devices were told; it must equal what the server counts.
type Told struct {
	Granted  atomic.Uint64 // check-ins granted
	Refused  atomic.Uint64 // requests refused
	Reports  atomic.Uint64 // reports acknowledged
	Uses     atomic.Uint64 // that were in them
	Released atomic.Uint64 // releases acknowledged
	Busy     atomic.Uint64 // answers that asked to come back later; the request is sent again
	Missed   atomic.Uint64 // requests of an open loop that were never sent: no device was free
	Other    atomic.Uint64 // answers that should not be: out of step, no stream
	// Items are sums by item ordinal, codes how often each was refused with.
	mu    sync.Mutex
	items map[uint32]*ToldItem
	codes map[protocol.Code]uint64
}

// Answered is how many requests have their answer.
func (t *Told) Answered() uint64 {
	return t.Granted.Load() + t.Refused.Load() + t.Reports.Load() + t.Released.Load() + t.Other.Load()
}

// Codes says how often each code was refused with.
func (t *Told) Codes() map[protocol.Code]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.codes)
}

func (t *Told) refused(code protocol.Code) {
	t.Refused.Add(1)
	t.mu.Lock()
	t.codes[code]++
	t.mu.Unlock()
}

// ToldItem is what devices were told about one item.
type ToldItem struct {
	Name    string
	Granted uint64 // check-ins
	Seats   uint64 // devices that were granted it and have not released it
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
	// latencies are one for each thread: one for each connection would take long to
	// be merged.
	latencies []*Histogram
	merged    *Histogram
}

// NewFleet connects a fleet.
func NewFleet(ctx context.Context, licenseKey string, load Load) (*Fleet, error) {
	if err := load.check(); err != nil {
		return nil, err
	}
	if len(load.Uses) == 0 {
		return nil, errors.New("no use: say what devices ask for")
	}
	key, err := license.ParseLicenseKey(licenseKey)
	if err != nil {
		return nil, err
	}
	f := &Fleet{load: load, key: key, merged: NewHistogram()}
	f.Told.items, f.Told.codes = map[uint32]*ToldItem{}, map[protocol.Code]uint64{}
	f.latencies = make([]*Histogram, runtime.GOMAXPROCS(0))
	for i := range f.latencies {
		f.latencies[i] = NewHistogram()
	}
	devices := makeDevices(load.Devices)
	for i := range load.Conns {
		n := load.Devices / load.Conns
		if i < load.Devices%load.Conns {
			n++
		}
		g := newGateway(f, i, devices[:n:n])
		devices = devices[n:]
		if g.conn, err = client.Dial(ctx, key, protocol.UUID{}, client.Ticket{}); err != nil {
			f.Close()
			return nil, fmt.Errorf("connection %d of %d: %w", i+1, load.Conns, err)
		}
		f.conns = append(f.conns, g)
	}
	return f, nil
}

// Latency merges the latencies of all connections since the last call. What it
// returns is borrowed until the next one: memory that is new to the kernel takes
// milliseconds, and the load would wait for it.
func (f *Fleet) Latency() *Histogram {
	f.merged.reset()
	for _, h := range f.latencies {
		f.merged.take(h)
	}
	return f.merged
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
	defer f.Latency()
	return f.each(func(g *gateway) (err error) {
		if err = g.closedLoop(ctx, len(g.devices), func() act { return actCheckIn }); err == nil && f.load.UDP {
			g.conn, err = overUDP(g.conn, socketOptions(len(f.conns)))
		}
		return err
	})
}

// Report lets every device report once, all at the same time: what a device's
// first report of a day costs more is behind it then.
func (f *Fleet) Report(ctx context.Context) error {
	defer f.Latency()
	return f.each(func(g *gateway) error {
		return g.closedLoop(ctx, len(g.devices), func() act { return actReport })
	})
}

// Run lets the devices do what the load's mix says, as fast as its depth allows,
// until ctx ends, and waits for the last answers.
func (f *Fleet) Run(ctx context.Context) error {
	return f.each(func(g *gateway) error { return g.closedLoop(ctx, 0, f.load.Mix.draw) })
}

// RunAt does that at a rate per second, on schedule, until ctx ends.
func (f *Fleet) RunAt(ctx context.Context, rate float64) error {
	return f.onSchedule(ctx, steady(time.Now(), rate))
}

// RunStages does that through stages, or until ctx ends.
func (f *Fleet) RunStages(ctx context.Context, stages ...Stage) error {
	return f.onSchedule(ctx, newPace(time.Now(), stages...))
}

// onSchedule sends by a pace, with as many senders as run at a time, and reads.
func (f *Fleet) onSchedule(ctx context.Context, p *pace) error {
	senders := min(runtime.GOMAXPROCS(0), len(f.conns))
	shares := make([][]*gateway, senders)
	for i, g := range f.conns {
		g.ended, g.inTurn = false, false
		_ = g.conn.SetDeadline(time.Time{})
		shares[i%senders] = append(shares[i%senders], g)
	}
	faults := make([]error, senders)
	var wg sync.WaitGroup
	for i, share := range shares {
		wg.Go(func() { faults[i] = newSender(p, share).run(ctx) })
	}
	err := f.each((*gateway).readToEnd)
	wg.Wait()
	return firstError(append(faults, err)...)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
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
	seat   bool // it has a seat, as far as it knows
}

func newDevice(use int) (d device) {
	rand.Read(d.uuid[:])
	d.use = uint16(use)
	return d
}

// granted takes a first grant over. name is that of its item.
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
