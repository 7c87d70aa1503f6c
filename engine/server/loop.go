package server

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"muster/protocol"
)

// loop is what belongs to one gnet event loop: the batch being filled, the one
// with the decider, and scratch memory. Only its event loop touches it, but for
// a batch while the decider has it.
type loop struct {
	server   *Server
	gnet     gnet.EventLoop
	filling  *batch // nil only while settle runs
	spare    *batch // nil while the decider has it
	inFlight bool
	posted   bool        // an end-of-cycle task is on its way
	decided  chan *batch // one that comes back from the decider
	waits    atomic.Bool // for it, so it needs no task
	out      []byte
	nonces   protocol.Nonces

	connections   connections
	opens, hellos limiter // new connections and handshakes, by source
	backoff       backoff
}

func newLoop(s *Server, l gnet.EventLoop) *loop {
	lp := &loop{server: s, gnet: l, decided: make(chan *batch, 1)}
	lp.filling, lp.spare = lp.newBatch(), lp.newBatch()
	g := &s.config.Guards
	lp.opens.init(60*uint64(g.ConnectionRate), uint64(g.ConnectionBurst))
	lp.hellos.init(60*uint64(g.HandshakeRate), uint64(g.HandshakeBurst))
	return lp
}

func (l *loop) newBatch() *batch {
	n := share(batchMemory, l.server.config.Loops)
	b := newBatch(l, &l.backoff, n)
	b.owners = touched[owner](n)
	return b
}

// cycleEnd makes sure that the batch goes to the decider once the events of
// this poll cycle are through: gnet runs tasks after them. While a batch is in
// flight its answer does that.
func (l *loop) cycleEnd() {
	if l.inFlight || l.posted {
		return
	}
	l.posted = true
	if err := l.gnet.Execute(context.Background(), (*endOfCycle)(l)); err != nil {
		l.posted = false // the engine is shutting down
	}
}

type endOfCycle loop

// Run implements gnet.Runnable.
func (t *endOfCycle) Run(context.Context) error {
	l := (*loop)(t)
	l.posted = false
	n := len(l.filling.decisions)
	if n == 0 { // as before the server serves: there is no decider yet
		return nil
	}
	l.waits.Store(n < waitRequests && l.server.decider.Stats.LastCommit.Load() < int64(waitCommit))
	l.handOver()
	for l.waits.Load() && l.inFlight && l.await() {
	}
	l.waits.Store(false)
	return nil
}

// A loop waits for a small batch if commits are quick: what comes meanwhile
// makes one poll instead of many, and no thread has to be woken for the answer.
// With a large batch, or a slow disk, it goes on to read.
const (
	waitRequests = 1024
	waitCommit   = time.Millisecond
)

// handOver gives the filled batch to the decider, if there is one and the
// decider has none of this loop.
func (l *loop) handOver() {
	if l.inFlight || len(l.filling.decisions) == 0 {
		return
	}
	b := l.filling
	l.backoff.serve(l.server.uptime.Load(), len(b.decisions))
	l.filling, l.spare = l.spare, nil
	l.inFlight = true
	l.server.decider.batches <- b // has room for a batch of every loop
}

// answer is called by the decider when a batch is decided and durable.
func (l *loop) answer(b *batch) {
	waits := l.waits.Load()
	l.decided <- b // has room: one batch is in flight
	if !waits {
		// An error means that the engine shuts down: connections are gone.
		_ = l.gnet.Execute(context.Background(), (*answered)(l))
	}
}

type answered loop

// Run implements gnet.Runnable: it runs on the event loop.
func (t *answered) Run(context.Context) error {
	l := (*loop)(t)
	select {
	case b := <-l.decided:
		l.settle(b)
	default: // await was first
	}
	return nil
}

// makeRoom waits for the batch in flight when no more requests may be filled in:
// the server has all that it can do, and who sends more has to wait, not to be
// told so, which costs about as much as an answer.
func (l *loop) makeRoom() {
	for len(l.filling.decisions) > batchRequests-protocol.MaxMessages {
		if !l.inFlight {
			l.handOver()
		} else if !l.await() {
			return
		}
	}
}

// await settles the batch in flight once it is decided; false means that the
// decider has ended.
func (l *loop) await() bool {
	select {
	case b := <-l.decided:
		l.settle(b)
		return true
	case <-l.server.decider.Done():
		return false
	}
}

// settle answers a batch. The next one goes out first, so that the decider works
// while this one is sealed and written.
func (l *loop) settle(b *batch) {
	l.inFlight = false
	l.handOver()
	l.write(b)
	b.reset()
	if l.filling == nil {
		l.filling = b
	} else {
		l.spare = b
	}
}

// write seals the answers of a batch: consecutive answers to one connection and
// session share records and one write.
func (l *loop) write(b *batch) {
	for i := 0; i < len(b.owners); {
		o := b.owners[i]
		j := i + 1
		for j < len(b.owners) && b.owners[j].conn == o.conn {
			j++
		}
		if o.conn.open {
			l.out = l.seal(l.out[:0], b, i, j)
			o.conn.write(l.out)
		}
		o.conn.unanswered -= j - i
		i = j
	}
}

// seal appends the records that answer b.decisions[i:j].
func (l *loop) seal(out []byte, b *batch, i, j int) []byte {
	const room = protocol.MaxRecord - protocol.TagBytes
	for i < j {
		session := b.owners[i].session
		start := len(out)
		out = protocol.BeginReply(out)
		for ; i < j && b.owners[i].session == session; i++ {
			before := len(out)
			out = b.decisions[i].AppendAnswer(out)
			if len(out)-start > room { // this one opens the next record
				out = out[:before]
				break
			}
		}
		out = session.FinishReply(out, start, l.nonces.Next())
	}
	return out
}
