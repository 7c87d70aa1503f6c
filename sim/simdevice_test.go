package sim

import (
	"context"
	"errors"
	"iter"
	"slices"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

var (
	errKilled  = errors.New("the device's process was killed")
	errTimeout = errors.New("no answer")
)

// simDevice is one application on a device: the real client, run as a coroutine
// that gives way whenever it waits for the network.
type simDevice struct {
	sim     *simulation
	uuid    license.UUID
	number  int // of the client UUID
	product string
	kept    client.State // what is on the device's disk
	killed  *bool        // of the present process
	next    func() (struct{}, bool)
	yield   func(struct{}) bool
	inbox   []protocol.Answer
	cutOff  int // partitioned until that step
	drained bool

	// The ledger: what this device's reports came to, by tag, as seen on the wire.
	sent  map[uint32]simReport
	acked map[uint32]bool
}

type simReport struct {
	item  uint32
	count uint64
}

func (d *simDevice) start() {
	killed := new(bool)
	d.killed, d.inbox, d.drained = killed, nil, false
	c, err := client.New(client.Options{
		LicenseKey: d.sim.key, Vendor: d.sim.ring, State: d.kept,
		Keep: func(s client.State) error {
			if *killed {
				return errKilled
			}
			d.kept = s
			return nil
		},
		Exchange: d.exchange,
	})
	if err != nil {
		d.sim.fail("device: %v", err)
		return
	}
	d.next, _ = iter.Pull(func(yield func(struct{}) bool) {
		d.yield = yield
		for !*killed {
			d.act(c)
			d.wait()
		}
	})
}

// act does one thing that an application does. What fails stays queued.
func (d *simDevice) act(c *client.Client) {
	ctx := context.Background()
	switch n := d.sim.r.IntN(10); {
	case d.sim.draining:
		d.drained = c.Flush(ctx) == nil
	case c.Grant() == nil || n < 3:
		_, _ = c.CheckIn(ctx, client.Use{Product: d.product, Version: 7, Deployment: "server"})
	case n < 9:
		slot := uint32(d.sim.now/1e9/180) - d.sim.r.Uint32N(3)
		_ = c.ReportLines(ctx, c.Grant().Item, []protocol.Line{{Slot: slot, Count: 1 + d.sim.r.Uint32N(5)}})
	default:
		_ = c.Release(ctx)
	}
}

func (d *simDevice) wait() { d.yield(struct{}{}) }

// exchange sends a request up to three times, as datagrams are, and waits.
func (d *simDevice) exchange(_ context.Context, r *protocol.Request) (*protocol.Answer, error) {
	if r.Kind == protocol.KindReport {
		d.sent[r.Tag] = simReport{r.Item, uint64(r.Lines[0].Count)}
	}
	killed := d.killed
	wire := protocol.AppendRequest(nil, r)
	for range 3 {
		if *killed {
			return nil, errKilled
		}
		d.sim.send(d, func() { d.sim.inbox = append(d.sim.inbox, simPacket{d, wire}) })
		for range 12 {
			d.wait()
			if *killed {
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

// kill ends the process at whatever it is waiting for; the next one goes on from
// the disk.
func (d *simDevice) kill() {
	d.end()
	d.start()
}

func (d *simDevice) end() {
	*d.killed = true
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
