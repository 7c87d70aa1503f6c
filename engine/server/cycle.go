package server

import (
	"fmt"
	"sync/atomic"
	"time"

	"muster/engine"
)

// Work is what a cycle decides: the requests of a front, or an operator's edit.
type Work interface {
	// Decide runs in a batch that is under way.
	Decide(*Cycle)
	// Answer is called once what was decided is durable, and never if that failed.
	Answer()
}

// Cycle is the order that nothing acknowledged is lost by: decide, append and
// sync, answer; and between batches the steps of a checkpoint. It waits for
// nobody but the disk. [Decider] runs it with what the fronts hand over; the
// simulation runs the same code in one goroutine. One goroutine calls its
// methods; any may read Stats.
type Cycle struct {
	Stats DeciderStats

	core       *engine.Core
	journal    engine.Journal
	checkpoint engine.Checkpointer
	sign       func(statement []byte) []byte
	now        func() int64 // wall clock, unix nanoseconds

	// held keeps checkpoints from beginning: there is no room for them.
	held atomic.Bool

	signing chan func()
	signed  chan struct{}

	checkpointing bool
	finished      chan error // outcome of a pass
	lastBytes     int64      // journal bytes when the last pass began
	lastPass      int64      // time of its begin
	written       int64      // journal bytes since the start
	err           error      // of the journal or a pass: final
}

// DeciderStats are counters for metrics; any goroutine may read them.
type DeciderStats struct {
	BatchSize     Histogram    // requests a journal entry
	CommitSeconds Histogram    // journal append and sync
	LastCommit    atomic.Int64 // nanoseconds that the last one took
	CopySeconds   Histogram    // pause of a checkpoint's begin, and of each step
	Entries       atomic.Uint64
	EntryBytes    atomic.Uint64
	Index         atomic.Uint64 // last durable journal index
	Begun         atomic.Uint64 // checkpoint passes begun
	Passes        atomic.Uint64 // complete ones
	PassIndex     atomic.Uint64 // journal index of the last complete one
	Devices       atomic.Uint64 // rows of the device table
}

// NewCycle makes a cycle of what a store has recovered. Log and Loops are not
// used. Close ends it.
func NewCycle(c DeciderConfig) *Cycle {
	y := &Cycle{
		core: c.Core, journal: c.Journal, checkpoint: c.Checkpoint, sign: c.Sign, now: c.Now,
		signing: make(chan func()), signed: make(chan struct{}),
		finished: make(chan error, 1), lastPass: c.Now(),
	}
	y.Stats.BatchSize.lowest = lowestRequests
	y.Stats.CommitSeconds.lowest = lowestSeconds
	y.Stats.CopySeconds.lowest = lowestSeconds
	y.Stats.PassIndex.Store(c.CheckpointIndex)
	y.publish()
	go y.signer()
	return y
}

// Close ends what signs. It writes nothing.
func (y *Cycle) Close() { close(y.signing) }

// signer signs batches beside the journal's sync.
func (y *Cycle) signer() {
	for f := range y.signing {
		f()
		y.signed <- struct{}{}
	}
}

// Core is the core that a [Work] decides in.
func (y *Cycle) Core() *engine.Core { return y.core }

// Run decides work, commits it and answers, and moves a checkpoint on. Without
// work it lets time pass: seats end, metrics move. An error is final: nothing of
// this work is known to be durable, and none of it was answered.
func (y *Cycle) Run(work []Work) error {
	y.takeOutcome()
	if y.err != nil {
		return y.err
	}
	y.begin()
	for _, w := range work {
		w.Decide(y)
	}
	y.commit()
	if y.err != nil {
		return y.err
	}
	for _, w := range work {
		w.Answer()
	}
	y.stepCheckpoint()
	return nil
}

func (y *Cycle) begin() { y.core.Begin(y.now(), y.journal.Buffer()) }

// Decide decides requests, in several entries when one would be too long. It is
// called by a Work's Decide.
func (y *Cycle) Decide(requests []engine.Decision) {
	const chunk = 1024
	for rest := requests; len(rest) > 0 && y.err == nil; {
		n := min(chunk, len(rest))
		y.core.Decide(rest[:n])
		rest = rest[n:]
		if y.core.Full() {
			y.commit()
			y.begin()
		}
	}
	y.Stats.BatchSize.Observe(float64(len(requests)))
}

// commit makes the batch durable and signs its grants meanwhile. An error is
// final: the journal is in doubt, and so is everything decided since.
func (y *Cycle) commit() {
	body := y.core.Close()
	if body == nil || y.err != nil {
		y.core.Publish()
		return
	}
	grants := y.core.Grants() > 0
	if grants {
		y.signing <- func() { y.core.SignGrants(y.sign) }
	}
	start := time.Now()
	index, err := y.journal.Append(engine.EntryKind, 0, y.core.Time(), body)
	took := time.Since(start)
	y.Stats.LastCommit.Store(int64(took))
	y.Stats.CommitSeconds.Observe(took.Seconds())
	if grants {
		<-y.signed
	}
	switch {
	case err != nil:
		y.err = err
		return
	case index != y.core.Index():
		y.err = fmt.Errorf("journal: entry %d was written as %d", y.core.Index(), index)
		return
	}
	y.written += int64(len(body))
	y.Stats.Entries.Add(1)
	y.Stats.EntryBytes.Add(uint64(len(body)))
	y.publish()
}

func (y *Cycle) publish() {
	y.core.Publish()
	y.Stats.Index.Store(y.core.Index())
	y.Stats.Devices.Store(uint64(y.core.Devices()))
}

// stepCheckpoint starts a pass when one is due, or moves the one under way on.
func (y *Cycle) stepCheckpoint() {
	if !y.checkpointing {
		if y.held.Load() {
			return
		}
		changed := y.written - y.lastBytes
		due := changed >= y.checkpointJournal() || changed > 0 && y.now()-y.lastPass >= int64(checkpointInterval)
		if due {
			y.beginCheckpoint()
		}
		return
	}
	if !y.ahead() {
		y.copyPages()
	}
}

// checkpointJournal is how much journal goes before the next checkpoint.
func (y *Cycle) checkpointJournal() int64 {
	return min(max(y.core.StateBytes(), checkpointJournalMin), checkpointJournalMax)
}

// ahead says that the pass under way has more behind it than it needs to have.
func (y *Cycle) ahead() bool {
	spent := y.now() - y.lastPass
	if spent < 0 { // the clock went back: it says nothing
		return false
	}
	passed, of := y.core.CheckpointProgress()
	journal := float64(y.written-y.lastBytes) / float64(y.checkpointJournal()/2)
	return float64(passed) > max(journal, float64(spent)/float64(checkpointSpread))*float64(of)
}

// HoldCheckpoints keeps checkpoints from beginning, or no more; any goroutine may
// call it.
func (y *Cycle) HoldCheckpoints(hold bool) { y.held.Store(hold) }

func (y *Cycle) beginCheckpoint() {
	y.checkpointing, y.lastBytes, y.lastPass = true, y.written, y.now()
	y.Stats.Begun.Add(1)
	start := time.Now()
	y.checkpoint.Begin(y.core.BeginCheckpoint())
	y.Stats.CopySeconds.Observe(time.Since(start).Seconds())
}

// copyPages makes one step; it does nothing while the disk is behind, and when
// all is copied.
func (y *Cycle) copyPages() {
	if y.core.CheckpointDone() {
		return
	}
	pages, ids, ok := y.checkpoint.Buffer()
	if !ok {
		return
	}
	start := time.Now()
	n, complete := y.core.CheckpointStep(pages, ids)
	y.Stats.CopySeconds.Observe(time.Since(start).Seconds())
	y.checkpoint.Write(n)
	if complete {
		y.checkpoint.Finish(func(err error) { y.finished <- err })
	}
}

// takeOutcome takes note of a pass that has ended. A checkpoint that can't be
// written ends the server: pages were taken as clean that are not on disk.
func (y *Cycle) takeOutcome() {
	select {
	case err := <-y.finished:
		y.passDone(err)
	default:
	}
}

func (y *Cycle) passDone(err error) {
	y.checkpointing = false
	if err != nil {
		y.err = err
		return
	}
	y.Stats.Passes.Add(1)
	y.Stats.PassIndex.Store(y.core.CheckpointIndex())
}

// Finish ends the pass under way and writes a last checkpoint. It calls behind
// while it can only wait for the checkpoint's writer.
func (y *Cycle) Finish(behind func()) error {
	y.finishPass(behind)
	if y.err == nil && y.written > y.lastBytes && !y.held.Load() {
		y.beginCheckpoint()
		y.finishPass(behind)
	}
	return y.err
}

func (y *Cycle) finishPass(behind func()) {
	for y.err == nil && y.checkpointing {
		y.copyPages()
		if y.takeOutcome(); y.checkpointing {
			behind()
		}
	}
}
