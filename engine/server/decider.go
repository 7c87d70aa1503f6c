package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"muster/engine"
	"muster/protocol"
)

// Decider runs the core: the one goroutine through which every change goes. It
// gathers work for its [Cycle].
type Decider struct {
	*Cycle
	log *slog.Logger

	batches chan *batch
	ops     chan *operation
	denials chan denial
	quit    chan struct{}
	done    chan struct{}
	work    []Work // of a cycle
	err     error  // why it ended, nil after Stop
}

// workMax is how many batches one cycle takes.
const workMax = 64

// denial is a refused handshake that is to be counted.
type denial struct {
	project uint32
	code    protocol.Code
	client  protocol.UUID
}

// operation is a function that an admin wants to run in the decider.
type operation struct {
	run  func(*engine.Core) error
	err  error
	done chan struct{}
}

// Decide implements [Work].
func (op *operation) Decide(y *Cycle) { op.err = op.run(y.core) }

// Answer implements [Work].
func (op *operation) Answer() { close(op.done) }

// ErrStopping is returned for work that came after Stop.
var ErrStopping = errors.New("the server is stopping")

// DeciderConfig is what a decider is made of.
type DeciderConfig struct {
	Core       *engine.Core
	Journal    engine.Journal
	Checkpoint engine.Checkpointer
	Sign       func(statement []byte) []byte
	Now        func() int64
	Log        *slog.Logger
	Loops      int
	// CheckpointIndex is where the last complete checkpoint began.
	CheckpointIndex uint64
}

// NewDecider makes a decider; Run starts it.
func NewDecider(c DeciderConfig) *Decider {
	return &Decider{
		Cycle: NewCycle(c), log: c.Log,
		batches: make(chan *batch, max(c.Loops, 1)), ops: make(chan *operation, 64), denials: make(chan denial, denialsMax),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
}

// Do runs f in the decider, as part of a batch, and returns when what it changed
// is durable.
func (d *Decider) Do(ctx context.Context, f func(*engine.Core) error) error {
	op := &operation{run: f, done: make(chan struct{})}
	select {
	case d.ops <- op:
	case <-d.done:
		return ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-op.done:
		return op.err
	case <-d.done:
		return ErrStopping
	}
}

// Deny counts a refused handshake [STAT-4], with the client UUID if there is one.
// It goes into the next batch, or the next idle tick: a refusal changes nothing
// that anyone builds on, so its answer does not wait for the disk, and a flood of
// them makes no batches of its own. While too many wait, it waits.
func (d *Decider) Deny(project uint32, code protocol.Code, client []byte) {
	x := denial{project: project, code: code}
	copy(x.client[:], client)
	select {
	case d.denials <- x:
	case <-d.done:
	}
}

// Stop ends the decider after the work it has, with a last checkpoint. It
// returns why the decider ended if that was before.
func (d *Decider) Stop() error {
	close(d.quit)
	<-d.done
	return d.err
}

// Done is closed when the decider has ended.
func (d *Decider) Done() <-chan struct{} { return d.done }

// Err says why the decider ended; read it after Done.
func (d *Decider) Err() error { return d.err }

// Run decides until Stop or until the journal fails.
func (d *Decider) Run() {
	defer close(d.done)
	defer d.Close()
	tick := time.NewTicker(idleTick)
	defer tick.Stop()
	for d.err == nil {
		passing := d.checkpointing
		select {
		case b := <-d.batches:
			d.cycle(b)
		case op := <-d.ops:
			d.cycle(op)
		case <-tick.C:
			d.cycle(nil)
		case <-d.quit:
			d.cycle(nil)
			if d.err == nil {
				d.err = d.Finish(func() { time.Sleep(time.Millisecond) })
			}
			return
		}
		switch {
		case passing && !d.checkpointing:
			tick.Reset(idleTick)
		case !passing && d.checkpointing:
			tick.Reset(passTick)
		}
	}
	d.log.Error("the server stops: what it has not acknowledged may be lost, nothing that it has", "error", d.err)
}

// cycle runs a cycle with all the work that is there.
func (d *Decider) cycle(first Work) {
	d.work = d.work[:0]
	if len(d.denials) > 0 { // first, so that who asks afterwards sees them
		d.work = append(d.work, denials{d})
	}
	if first != nil {
		d.work = append(d.work, first)
	}
	d.work = gather(d.work, d.batches)
	d.work = gather(d.work, d.ops)
	d.err = d.Cycle.Run(d.work)
	clear(d.work)
}

// gather takes what waits.
func gather[W Work](work []Work, from <-chan W) []Work {
	for range workMax {
		select {
		case w := <-from:
			work = append(work, w)
		default:
			return work
		}
	}
	return work
}

// denials is the work of counting what Deny was told.
type denials struct{ *Decider }

// Decide implements [Work].
func (d denials) Decide(y *Cycle) {
	for range denialsMax {
		select {
		case x := <-d.denials:
			y.core.Deny(x.project, x.code, 0, x.client)
		default:
			return
		}
	}
}

// Answer implements [Work]: nobody waits.
func (denials) Answer() {}
