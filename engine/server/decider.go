package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"muster/engine"
	"muster/protocol"
)

// Decider runs the core: the one goroutine through which every change goes.
type Decider struct {
	core       *engine.Core
	journal    engine.Journal
	checkpoint engine.Checkpointer
	sign       func(statement []byte) []byte
	now        func() int64 // wall clock, unix nanoseconds
	log        *slog.Logger

	batches chan *batch
	ops     chan *operation
	denials chan denial
	quit    chan struct{}
	done    chan struct{}
	signing chan func()
	signed  chan struct{}

	tick          *time.Ticker
	checkpointing bool
	finished      chan error // outcome of a pass
	lastBytes     int64      // journal bytes when the last pass began
	lastPass      int64      // time of its begin
	written       int64      // journal bytes since the start
	Stats         DeciderStats
	err           error // why it ended, nil after Stop
}

// DeciderStats are counters for metrics; any goroutine may read them.
type DeciderStats struct {
	BatchSize     Histogram // requests a journal entry
	CommitSeconds Histogram // journal append and sync
	CopySeconds   Histogram // a checkpoint step's pause
	Entries       atomic.Uint64
	EntryBytes    atomic.Uint64
	Index         atomic.Uint64 // last durable journal index
	Passes        atomic.Uint64 // complete checkpoint passes
	PassIndex     atomic.Uint64 // journal index of the last complete one
	Devices       atomic.Uint64 // rows of the device table
}

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
	d := &Decider{
		core: c.Core, journal: c.Journal, checkpoint: c.Checkpoint, sign: c.Sign, now: c.Now, log: c.Log,
		batches: make(chan *batch, max(c.Loops, 1)), ops: make(chan *operation, 64), denials: make(chan denial, denialsMax),
		quit: make(chan struct{}), done: make(chan struct{}),
		signing: make(chan func()), signed: make(chan struct{}),
		finished: make(chan error, 1), lastPass: c.Now(),
	}
	d.Stats.BatchSize.lowest = lowestRequests
	d.Stats.CommitSeconds.lowest = lowestSeconds
	d.Stats.CopySeconds.lowest = lowestSeconds
	d.Stats.PassIndex.Store(c.CheckpointIndex)
	d.publish()
	return d
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

// recordDenials counts what Deny was told, up to now.
func (d *Decider) recordDenials() {
	for range denialsMax {
		select {
		case x := <-d.denials:
			d.core.Deny(x.project, x.code, 0, x.client)
		default:
			return
		}
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
	go d.signer()
	defer close(d.signing)
	d.tick = time.NewTicker(idleTick)
	defer d.tick.Stop()
	for d.err == nil {
		select {
		case b := <-d.batches:
			d.cycle(b, nil)
		case op := <-d.ops:
			d.cycle(nil, op)
		case <-d.tick.C:
			d.cycle(nil, nil) // seats end, metrics move, a checkpoint goes on
		case err := <-d.finished:
			d.passDone(err)
		case <-d.quit:
			d.drain()
			return
		}
	}
	d.log.Error("the server stops: what it has not acknowledged may be lost, nothing that it has", "error", d.err)
}

// signer signs batches beside the journal's sync.
func (d *Decider) signer() {
	for f := range d.signing {
		f()
		d.signed <- struct{}{}
	}
}

// cycle decides all the work that is there, commits it and answers.
func (d *Decider) cycle(b *batch, op *operation) {
	var batches [64]*batch
	n := 0
	if b != nil {
		batches[0], n = b, 1
	}
	for n < len(batches) {
		select {
		case batches[n] = <-d.batches:
			n++
			continue
		default:
		}
		break
	}
	d.begin()
	d.recordDenials()
	for _, b := range batches[:n] {
		d.decide(b)
	}
	ops := d.runOps(op)
	d.commit()
	if d.err != nil {
		return // no answer: nothing of this is known to be durable
	}
	for _, b := range batches[:n] {
		b.from.answer(b)
	}
	for _, op := range ops {
		close(op.done)
	}
	d.stepCheckpoint()
}

func (d *Decider) begin() { d.core.Begin(d.now(), d.journal.Buffer()) }

// decide decides a loop's batch, in several entries when one would be too long.
func (d *Decider) decide(b *batch) {
	const chunk = 1024
	for rest := b.decisions; len(rest) > 0 && d.err == nil; {
		n := min(chunk, len(rest))
		d.core.Decide(rest[:n])
		rest = rest[n:]
		if d.core.Full() {
			d.commit()
			d.begin()
		}
	}
	d.Stats.BatchSize.Observe(float64(len(b.decisions)))
}

func (d *Decider) runOps(first *operation) (ran []*operation) {
	for op := first; ; {
		if op != nil {
			op.err = op.run(d.core)
			ran = append(ran, op)
		}
		select {
		case op = <-d.ops:
		default:
			return ran
		}
	}
}

// commit makes the batch durable and signs its grants meanwhile. An error is
// final: the journal is in doubt, and so is everything decided since.
func (d *Decider) commit() {
	body := d.core.Close()
	if body == nil || d.err != nil {
		d.core.Publish()
		return
	}
	grants := d.core.Grants() > 0
	if grants {
		d.signing <- func() { d.core.SignGrants(d.sign) }
	}
	start := time.Now()
	index, err := d.journal.Append(engine.EntryKind, 0, d.core.Time(), body)
	d.Stats.CommitSeconds.Observe(time.Since(start).Seconds())
	if grants {
		<-d.signed
	}
	switch {
	case err != nil:
		d.err = fmt.Errorf("journal: %w", err)
		return
	case index != d.core.Index():
		d.err = fmt.Errorf("journal: entry %d was written as %d", d.core.Index(), index)
		return
	}
	d.written += int64(len(body))
	d.Stats.Entries.Add(1)
	d.Stats.EntryBytes.Add(uint64(len(body)))
	d.publish()
}

func (d *Decider) publish() {
	d.core.Publish()
	d.Stats.Index.Store(d.core.Index())
	d.Stats.Devices.Store(uint64(d.core.Devices()))
}

// stepCheckpoint starts a pass when one is due, or moves the one under way on.
func (d *Decider) stepCheckpoint() {
	if !d.checkpointing {
		changed := d.written - d.lastBytes
		due := changed >= checkpointJournalBytes || changed > 0 && d.now()-d.lastPass >= int64(checkpointInterval)
		if due {
			d.beginCheckpoint()
		}
		return
	}
	d.copyPages()
}

func (d *Decider) beginCheckpoint() {
	d.checkpointing, d.lastBytes, d.lastPass = true, d.written, d.now()
	d.checkpoint.Begin(d.core.BeginCheckpoint())
	d.tick.Reset(passTick)
}

// copyPages makes one step; it does nothing while the disk is behind.
func (d *Decider) copyPages() (complete bool) {
	if d.core.CheckpointDone() {
		return true
	}
	pages, ids, ok := d.checkpoint.Buffer()
	if !ok {
		return false
	}
	start := time.Now()
	n, complete := d.core.CheckpointStep(pages, ids)
	d.Stats.CopySeconds.Observe(time.Since(start).Seconds())
	d.checkpoint.Write(n)
	if complete {
		d.checkpoint.Finish(func(err error) { d.finished <- err })
	}
	return complete
}

// passDone takes note of a pass's outcome. A checkpoint that can't be written
// ends the server: pages were taken as clean that are not on disk.
func (d *Decider) passDone(err error) {
	d.checkpointing = false
	d.tick.Reset(idleTick)
	if err != nil {
		d.err = err
		return
	}
	d.Stats.Passes.Add(1)
	d.Stats.PassIndex.Store(d.core.CheckpointIndex())
}

// drain ends the work that is there, and writes a last checkpoint.
func (d *Decider) drain() {
	d.cycle(nil, nil)
	if d.checkpointing {
		d.finishPass()
	}
	if d.err == nil && d.written > d.lastBytes {
		d.beginCheckpoint()
		d.finishPass()
	}
}

func (d *Decider) finishPass() {
	for d.err == nil && !d.copyPages() {
		time.Sleep(time.Millisecond) // the writer is behind
	}
	if d.err == nil {
		d.passDone(<-d.finished)
	}
}
