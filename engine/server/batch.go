package server

import (
	"net/netip"

	"muster/engine"
	"muster/protocol"
)

// batch is the requests that a front gathered while its last batch was decided.
// Only the front touches it, but for while the decider has it.
type batch struct {
	from      front
	backoff   *backoff // of the front
	decisions []engine.Decision
	owners    []owner          // TCP: of each decision
	datagrams []datagramRecord // UDP: of consecutive decisions
	decoder   protocol.Decoder
	plain     []byte         // opened records; requests borrow from it
	answers   engine.Answers // replies borrow from it
}

// newBatch makes a batch with memory for so many requests of the usual size, all
// of it touched: a batch is large after the machine stood still for a moment, and
// that is no time to wait for memory.
func newBatch(f front, wait *backoff, requests int) *batch {
	b := &batch{
		from: f, backoff: wait,
		decisions: touched[engine.Decision](requests),
		plain:     touched[byte](requests * usualRequest),
	}
	b.decoder.Grow(requests)
	return b
}

// share is what each of so many loops has memory for from the start: together
// they are not held up by more requests than one is.
func share(requests, loops int) int { return max(requests/loops, 256) }

// usualRequest is the length of a report with one line, in bytes, rounded up.
const usualRequest = 64

// touched is empty, with room for n elements in pages that have been written to.
func touched[T any](n int) []T {
	s := make([]T, n)
	clear(s)
	return s[:0]
}

// front is where batches come from. answer gets one back when it is decided and
// durable; the decider calls it.
type front interface{ answer(*batch) }

// owner says where an answer goes on TCP.
type owner struct {
	conn    *conn
	session *protocol.Session
}

// Decide implements [Work].
func (b *batch) Decide(y *Cycle) { y.Decide(b.decisions) }

// Answer implements [Work].
func (b *batch) Answer() { b.from.answer(b) }

func (b *batch) reset() {
	b.decisions, b.owners, b.datagrams, b.plain = b.decisions[:0], b.owners[:0], b.datagrams[:0], b.plain[:0]
	b.decoder.Reset()
	b.answers.Reset()
}

// batchEnd is where a batch ends.
type batchEnd struct {
	decisions, plain int
	decoded          protocol.Decoded
}

func (b *batch) end() batchEnd {
	return batchEnd{len(b.decisions), len(b.plain), b.decoder.Decoded()}
}

// cut takes what came after an end out of the batch.
func (b *batch) cut(at batchEnd) {
	b.decisions, b.plain = b.decisions[:at.decisions], b.plain[:at.plain]
	b.decoder.Rewind(at.decoded)
}

// gather decodes the messages of a record into the batch, which ended at start
// before the record was opened into it, at most room of them. What rests on
// nothing, or has no room, is answered at once: now is appended to, an unfinished
// Reply record if it was empty. Of a record that leaves nothing to decide nothing
// stays: a batch without decisions goes nowhere, and could grow.
func (s *Server) gather(b *batch, start batchEnd, ticket *protocol.Ticket, client netip.Addr, room int, now []byte) (taken int, answered []byte, err error) {
	plain, serving := b.plain[start.plain:], s.ready.Load()
	for n := 0; len(plain) > 0 || n == 0; n++ {
		b.decisions = append(b.decisions, engine.Decision{})
		d := &b.decisions[len(b.decisions)-1]
		d.Project, d.Generation, d.Memory = ticket.Project(), ticket.PasswordGeneration(), &b.answers
		plain, err = b.decoder.Request(plain, &d.Request)
		if err == nil && n == protocol.MaxMessages {
			err = protocol.ErrLength
		}
		if err != nil {
			b.decisions = b.decisions[:len(b.decisions)-1]
			break
		}
		if d.Request.Kind == protocol.KindPing || taken >= room || len(b.decisions) > batchRequests || !serving {
			now = s.immediate(now, b, &d.Request, serving)
			b.decisions = b.decisions[:len(b.decisions)-1]
			continue
		}
		if d.Request.Kind == protocol.KindCheckIn {
			d.Client = client
		}
		taken++
	}
	if taken == 0 {
		b.cut(start)
	}
	return taken, now, err
}

// immediate appends an answer that rests on nothing: a pong, busy, or not serving.
func (s *Server) immediate(out []byte, b *batch, r *protocol.Request, serving bool) []byte {
	if len(out) == 0 {
		out = protocol.BeginReply(out)
	}
	a := protocol.Answer{ID: r.ID}
	switch {
	case r.Kind == protocol.KindPing:
		a.Kind, a.Time = protocol.KindPong, uint64(s.now()/1e6)
	case !serving:
		a.Kind, a.Code = protocol.KindRefused, protocol.NotServing
	default:
		a.Kind, a.RetryAfter = protocol.KindBusy, b.backoff.retryAfter(s.uptime.Load())
		s.Stats.Busy.Add(1)
	}
	return protocol.AppendAnswer(out, &a)
}
