package sim

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"syscall"

	"muster/client"
	"muster/client/spool"
	"muster/license"
	"muster/protocol"
)

var (
	errKilled  = errors.New("the device's process was killed")
	errTimeout = errors.New("no answer")
)

// simDevice is one application on a device: the real spool and client, run as a
// coroutine that gives way whenever it waits for the network. Its disk loses power
// and its process is killed in the middle of any operation.
type simDevice struct {
	sim     *simulation
	uuid    license.UUID
	number  int // of the client UUID
	product string
	disk    simFiles
	process *simProcess
	next    func() (struct{}, bool)
	yield   func(struct{}) bool
	inbox   []protocol.Answer
	cutOff  int // partitioned until that step
	drained bool

	// The ledger: what this device's reports came to, by tag, as seen on the wire.
	sent  map[uint32]simReport
	acked map[uint32]bool
	// What the application was told: counts that Add kept, and those it failed at.
	durable, doubts uint64
}

type simReport struct {
	item  uint32
	count uint64
}

func (d *simDevice) start() {
	d.process, d.inbox, d.drained = &simProcess{simFiles: d.disk, locks: map[string]bool{}}, nil, false
	if d.sim.r.IntN(3) == 0 && !d.sim.calm {
		d.process.dies = 1 + d.sim.r.IntN(80)
	} else if d.sim.r.IntN(3) == 0 && !d.sim.calm {
		d.process.fails = 1 + d.sim.r.IntN(80)
	}
	process := d.process
	d.next, _ = iter.Pull(func(yield func(struct{}) bool) {
		d.yield = yield
		s := d.open(process)
		for s != nil && !process.killed {
			d.act(s)
			d.wait()
		}
	})
}

// open opens the spool. Where the disk refuses once, the application tries again.
func (d *simDevice) open(process *simProcess) *spool.Spool {
	for !process.killed {
		s, err := spool.Open(spool.Options{
			Dir: "/spool", LicenseKey: d.sim.key, Vendor: d.sim.ring, UUID: d.uuid, Disk: process, Exchange: d.exchange,
			Use: client.Use{Product: d.product, Version: 7, Deployment: "server"},
		})
		switch {
		case err == nil && s.Damaged() == nil:
			return s
		case err == nil:
			d.sim.fail("device: %w", s.Damaged())
		case !errors.Is(err, errKilled) && !errors.Is(err, syscall.ENOSPC):
			d.sim.fail("device: %w", err)
		}
		d.wait()
	}
	return nil
}

// act does one thing that an application does. What fails stays in the spool.
func (d *simDevice) act(s *spool.Spool) {
	ctx := context.Background()
	switch n := d.sim.r.IntN(20); {
	case d.sim.draining:
		d.drained = s.Send(ctx) == nil
	case s.Grant() == nil || n < 4:
		_, _ = s.CheckIn(ctx)
	case n < 13:
		count := 1 + d.sim.r.Uint32N(5)
		if s.Add("", count) == nil {
			d.durable += uint64(count)
		} else {
			d.doubts += uint64(count)
		}
	case n < 19:
		_ = s.Send(ctx)
	default:
		_ = s.Release(ctx)
	}
}

// kept compares what the application was told with what the server has acknowledged.
func (d *simDevice) kept() error {
	counted := uint64(0)
	for tag := range d.acked {
		counted += d.sent[tag].count
	}
	if counted < d.durable || counted > d.durable+d.doubts {
		return fmt.Errorf("the server has acknowledged %d, the application was told that %d are durable, and %d may be", counted, d.durable, d.doubts)
	}
	return nil
}

func (d *simDevice) wait() { d.yield(struct{}{}) }

// exchange sends a request up to three times, as datagrams are, and waits.
func (d *simDevice) exchange(_ context.Context, r *protocol.Request) (*protocol.Answer, error) {
	if r.Kind == protocol.KindPing { // the front's own, nothing is decided
		return &protocol.Answer{Kind: protocol.KindPong, ID: r.ID, Time: uint64(d.sim.now / 1e6)}, nil
	}
	if r.Kind == protocol.KindReport {
		d.sent[r.Tag] = simReport{item: r.Item, count: sumLines(r.Lines)}
	}
	process := d.process
	wire := protocol.AppendRequest(nil, r)
	for range 3 {
		if process.killed {
			return nil, errKilled
		}
		d.sim.send(d, func() { d.sim.inbox = append(d.sim.inbox, simPacket{d, wire}) })
		for range 12 {
			d.wait()
			if process.killed {
				return nil, errKilled
			}
			if i := slices.IndexFunc(d.inbox, func(a protocol.Answer) bool { return a.ID == r.ID }); i >= 0 {
				a := d.inbox[i]
				d.inbox = nil
				return &a, nil
			}
		}
	}
	return nil, errTimeout
}

func sumLines(lines []protocol.Line) (n uint64) {
	for _, l := range lines {
		n += uint64(l.Count)
	}
	return n
}

// kill ends the process at whatever it is waiting for, if it has not ended by
// itself, or the power of the device; the next one goes on from the disk.
func (d *simDevice) kill() {
	d.end()
	d.disk.crash(d.sim.r, d.sim.r.IntN(2) == 0)
	d.start()
}

func (d *simDevice) end() {
	d.process.killed = true
	for running := true; running; { // its calls return, and can neither send nor keep
		_, running = d.next()
	}
}

// receive is an answer that arrives. The ledger takes it, also if nobody waits.
func (d *simDevice) receive(a protocol.Answer, tag uint32, report bool) {
	if report && (a.Kind == protocol.KindAccepted || a.Kind == protocol.KindRefused && a.Code == protocol.SeatFreed) {
		d.acked[tag] = true
	}
	d.inbox = append(d.inbox, a)
}
