package server

import (
	"context"

	"github.com/panjf2000/gnet/v2"

	"muster/protocol"
)

// loop is what belongs to one gnet event loop: the batch being filled, the one
// with the decider, and scratch memory. Only its event loop touches it, but for
// a batch while the decider has it.
type loop struct {
	server   *Server
	gnet     gnet.EventLoop
	filling  *batch // nil only while answered runs
	spare    *batch // nil while the decider has it
	inFlight bool
	posted   bool // an end-of-cycle task is on its way
	out      []byte
	nonces   protocol.Nonces

	connections   connections
	opens, hellos limiter // new connections and handshakes, by source
}

func newLoop(s *Server, l gnet.EventLoop) *loop {
	lp := &loop{server: s, gnet: l}
	lp.filling, lp.spare = &batch{from: lp}, &batch{from: lp}
	g := &s.config.Guards
	lp.opens.init(60*uint64(g.ConnectionRate), uint64(g.ConnectionBurst))
	lp.hellos.init(60*uint64(g.HandshakeRate), uint64(g.HandshakeBurst))
	return lp
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
	l.handOver()
	return nil
}

// handOver gives the filled batch to the decider, if there is one and the
// decider has none of this loop.
func (l *loop) handOver() {
	if l.inFlight || len(l.filling.decisions) == 0 {
		return
	}
	b := l.filling
	l.filling, l.spare = l.spare, nil
	l.inFlight = true
	l.server.decider.batches <- b // has room for a batch of every loop
}

// answer is called by the decider when a batch is decided and durable.
func (l *loop) answer(b *batch) {
	// An error means that the engine shuts down: connections are gone.
	_ = l.gnet.Execute(context.Background(), (*answered)(b))
}

type answered batch

// Run implements gnet.Runnable: it runs on the event loop. The next batch goes
// out first, so that the decider works while this one is sealed and written.
func (t *answered) Run(context.Context) error {
	b := (*batch)(t)
	l := b.from.(*loop)
	l.inFlight = false
	l.handOver()
	l.write(b)
	b.reset()
	if l.filling == nil {
		l.filling = b
	} else {
		l.spare = b
	}
	return nil
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
			answer := b.decisions[i].Answer()
			out = protocol.AppendAnswer(out, &answer)
			if len(out)-start > room { // this one opens the next record
				out = out[:before]
				break
			}
		}
		out = session.FinishReply(out, start, l.nonces.Next())
	}
	return out
}
