package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

// Load is the shape of a fleet's traffic.
type Load struct {
	Devices   int           // in all, spread over the connections
	Conns     int           // TCP connections
	Depth     int           // requests outstanding on each connection
	PerRecord int           // messages in a sealed record
	Pace      time.Duration // pause of a device between two reports, 0: none
	Use       client.Use    // what devices ask for at check-in
	Module    string        // what their reports count
}

// Fleet is devices on connections under one license key. What it was told by
// the server is counted in Told.
type Fleet struct {
	load  Load
	key   license.LicenseKey
	conns []*gateway
	Told  Told
}

// Told is what the devices were told; it must equal what the server counts.
type Told struct {
	Granted  atomic.Uint64 // check-ins granted
	Refused  atomic.Uint64 // check-ins refused
	Reports  atomic.Uint64 // reports acknowledged
	Scans    atomic.Uint64 // scans in them
	Busy     atomic.Uint64 // answers that asked to come back later
	Seats    atomic.Uint64 // devices that hold a grant
	Failures atomic.Uint64 // connections that broke
}

// device is one simulated device.
type device struct {
	uuid   protocol.UUID
	stream uint32
	token  uint64
	seq    uint32
	item   uint32
	module uint16
}

// gateway is one connection and the devices behind it.
type gateway struct {
	fleet    *Fleet
	conn     *client.Conn
	devices  []device
	next     int                // device that sends next
	requests []protocol.Request // outstanding, by request id modulo the length
	sentAt   []time.Time
	batch    []*protocol.Request
	lines    []protocol.Line
	latency  *Histogram
	readAt   time.Time // when the record being settled was read
}

// NewFleet connects a fleet.
func NewFleet(ctx context.Context, licenseKey string, load Load) (*Fleet, error) {
	key, err := license.ParseLicenseKey(licenseKey)
	if err != nil {
		return nil, err
	}
	f := &Fleet{load: load, key: key}
	for i := range load.Conns {
		n := load.Devices/load.Conns + btoi(i < load.Devices%load.Conns)
		g := &gateway{fleet: f, latency: NewHistogram(), devices: make([]device, n)}
		for d := range g.devices {
			rand.Read(g.devices[d].uuid[:])
		}
		ring := 1
		for ring < 2*load.Depth {
			ring *= 2
		}
		g.requests, g.sentAt = make([]protocol.Request, ring), make([]time.Time, ring)
		g.lines = make([]protocol.Line, ring)
		if err := g.dial(ctx); err != nil {
			f.Close()
			return nil, fmt.Errorf("connection %d of %d: %w", i+1, load.Conns, err)
		}
		f.conns = append(f.conns, g)
	}
	return f, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (g *gateway) dial(ctx context.Context) (err error) {
	g.conn, err = client.Dial(ctx, g.fleet.key, protocol.UUID{}, client.Ticket{})
	return err
}

// Latency merges the latencies of all connections.
func (f *Fleet) Latency() *Histogram {
	all := NewHistogram()
	for _, g := range f.conns {
		all.Add(g.latency)
	}
	return all
}

// Close closes all connections.
func (f *Fleet) Close() {
	for _, g := range f.conns {
		_ = g.conn.Close()
	}
}

// each runs step on every connection at once and joins their errors.
func (f *Fleet) each(step func(*gateway) error) error {
	var wg sync.WaitGroup
	faults := make([]error, len(f.conns))
	for i, g := range f.conns {
		wg.Go(func() {
			if faults[i] = step(g); faults[i] != nil {
				f.Told.Failures.Add(1)
			}
		})
	}
	wg.Wait()
	return errors.Join(faults...)
}

// CheckIn checks every device in.
func (f *Fleet) CheckIn(ctx context.Context) error {
	use := f.load.Use
	in := &protocol.CheckIn{Product: []byte(use.Product), Version: use.Version, Edition: []byte(use.Edition), Deployment: []byte(use.Deployment)}
	return f.each(func(g *gateway) error {
		asked := 0
		return g.pump(ctx, func(r *protocol.Request) bool {
			if asked == len(g.devices) {
				return false
			}
			d := &g.devices[asked]
			*r = protocol.Request{Kind: protocol.KindCheckIn, UUID: d.uuid, Stream: d.stream, Token: d.token, Tag: mathrand.Uint32(), CheckIn: in}
			if d.stream != 0 {
				r.Seq = d.seq + 1
			}
			r.Item = uint32(asked) // remembers the device; a check-in has no item on the wire
			asked++
			return true
		})
	})
}

// Report lets the devices report one scan each, in turn, until ctx ends.
func (f *Fleet) Report(ctx context.Context) error {
	return f.each(func(g *gateway) error {
		return g.pump(ctx, func(r *protocol.Request) bool {
			if ctx.Err() != nil {
				return false
			}
			d := &g.devices[g.next]
			if g.next++; g.next == len(g.devices) {
				g.next = 0
			}
			if d.stream == 0 {
				return false
			}
			d.seq++
			*r = protocol.Request{Kind: protocol.KindReport, UUID: d.uuid, Stream: d.stream, Token: d.token, Seq: d.seq, Tag: mathrand.Uint32(), Item: d.item, Lines: r.Lines}
			r.Lines[0] = protocol.Line{Slot: uint32(time.Now().Unix() / protocol.SlotSeconds), Module: d.module, Count: 1}
			return true
		})
	})
}

// pump keeps Depth requests outstanding, PerRecord in a record, until fill says
// that there are no more, and waits for the last answers.
func (g *gateway) pump(ctx context.Context, fill func(*protocol.Request) bool) error {
	stop := context.AfterFunc(ctx, func() { g.conn.SetDeadline(time.Now().Add(10 * time.Second)) })
	defer stop()
	var id uint32
	outstanding, more := 0, true
	for {
		for more && g.fleet.load.Depth-outstanding >= g.fleet.load.PerRecord {
			n := 0
			if n, more = g.fillRecord(&id, fill); n > 0 {
				if err := g.conn.Append(g.batch...); err != nil {
					return err
				}
				outstanding += n
			}
		}
		if outstanding == 0 {
			return nil
		}
		if err := g.conn.Flush(); err != nil {
			return err
		}
		g.readAt = time.Time{}
		if err := g.conn.Read(func(a *protocol.Answer) { outstanding--; g.settle(a) }); err != nil {
			return err
		}
	}
}

// fillRecord makes the requests of one record.
func (g *gateway) fillRecord(id *uint32, fill func(*protocol.Request) bool) (n int, more bool) {
	g.batch = g.batch[:0]
	now := time.Now()
	for n < g.fleet.load.PerRecord {
		slot := int(*id) & (len(g.requests) - 1)
		r := &g.requests[slot]
		r.Lines = g.lines[slot : slot+1]
		if !fill(r) {
			return n, false
		}
		r.ID = *id
		g.sentAt[slot] = now
		g.batch = append(g.batch, r)
		*id++
		n++
	}
	return n, true
}

// settle takes note of an answer.
func (g *gateway) settle(a *protocol.Answer) {
	slot := int(a.ID) & (len(g.requests) - 1)
	if g.readAt.IsZero() {
		g.readAt = time.Now()
	}
	g.latency.Observe(g.readAt.Sub(g.sentAt[slot]))
	r, told := &g.requests[slot], &g.fleet.Told
	switch a.Kind {
	case protocol.KindGranted:
		d := &g.devices[r.Item]
		if d.stream == 0 {
			told.Seats.Add(1)
		}
		d.stream, d.token, d.seq, d.item = a.Stream, a.Token, a.Seq, a.Item
		d.module = g.module(a.Grant)
		told.Granted.Add(1)
	case protocol.KindAccepted:
		told.Reports.Add(1)
		told.Scans.Add(uint64(r.Lines[0].Count))
	case protocol.KindRefused:
		told.Refused.Add(1)
	default:
		told.Busy.Add(1)
	}
}

// module is the ordinal of the load's module in a signed grant.
func (g *gateway) module(signed []byte) uint16 {
	if g.fleet.load.Module == "" || len(signed) < 2 {
		return 0
	}
	n := int(binary.BigEndian.Uint16(signed))
	grant, err := license.ParseGrant(signed[2:min(2+n, len(signed))])
	if err != nil {
		return 0
	}
	for _, m := range grant.Modules {
		if m.Name == g.fleet.load.Module {
			return m.Ordinal
		}
	}
	return 0
}
