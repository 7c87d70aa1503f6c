package engine

import (
	"net/netip"

	"muster/protocol"
)

// Decision is one request on its way through the decider: the request and the
// ticket's claims go in, the reply comes out in place.
type Decision struct {
	Request protocol.Request
	// Project and Generation are what the ticket says.
	Project    uint32
	Generation uint32
	// Client is where a check-in comes from, for items that serve some networks only.
	Client netip.Addr
	Reply  Reply
	// Memory is where an answer that is more than a Reply stands; nil: anywhere.
	Memory *Answers
}

// Reply is a verdict. What most answers need stands in it; Detail is set for
// the others.
type Reply struct {
	Kind   uint8
	Seq    uint32
	Detail *protocol.Answer
}

// Answer returns the reply as a message for the wire.
func (d *Decision) Answer() protocol.Answer {
	if d.Reply.Detail != nil {
		return *d.Reply.Detail
	}
	return protocol.Answer{Kind: d.Reply.Kind, ID: d.Request.ID, Seq: d.Reply.Seq}
}

// AppendAnswer appends the reply as a message. Unlike [Decision.Answer] it copies
// no answer: see applyReport for what that costs.
func (d *Decision) AppendAnswer(out []byte) []byte {
	if d.Reply.Detail != nil {
		return protocol.AppendAnswer(out, d.Reply.Detail)
	}
	var a protocol.Answer
	a.Kind, a.ID, a.Seq = d.Reply.Kind, d.Request.ID, d.Reply.Seq
	return protocol.AppendAnswer(out, &a)
}

// Answers is memory for the answers of a batch, used again once they have left.
// Of a nil one, memory is new.
type Answers struct {
	answers arena[protocol.Answer]
	grants  arena[byte]
}

// Reset gives the memory of all answers back.
func (m *Answers) Reset() {
	m.answers.reset()
	m.grants.reset()
}

// answer is a zero answer.
func (m *Answers) answer() *protocol.Answer {
	if m == nil {
		return new(protocol.Answer)
	}
	a := &m.answers.take(1)[0]
	*a = protocol.Answer{}
	return a
}

// grant is empty, with room for so many bytes.
func (m *Answers) grant(size int) []byte {
	if m == nil {
		return make([]byte, 0, size)
	}
	return m.grants.take(size)[:0]
}

// detail makes the answer of a decision one that is more than a Reply.
func (d *Decision) detail(kind uint8) *protocol.Answer {
	a := d.Memory.answer()
	a.Kind, a.ID = kind, d.Request.ID
	d.Reply.Detail = a
	return a
}

// prefetchWindow is how many requests are touched ahead; below prefetchRows the
// table fits the cache and touching costs more than it saves.
const (
	prefetchWindow = 64
	prefetchRows   = 20_000
)

// Decide decides requests one after the other, in the order of the slice.
func (c *Core) Decide(requests []Decision) {
	for len(requests) > 0 {
		n := min(prefetchWindow, len(requests))
		if c.devices.rows > prefetchRows {
			c.prefetched += c.prefetch(requests[:n])
		}
		for i := range requests[:n] {
			c.decide(&requests[i])
		}
		requests = requests[n:]
	}
}

// decide decides one change. Pings change nothing: the front answers them.
func (c *Core) decide(d *Decision) {
	switch d.Request.Kind {
	case protocol.KindReport:
		c.report(d)
	case protocol.KindCheckIn:
		c.checkIn(d)
	case protocol.KindRelease:
		c.release(d)
	}
}

// refuse answers with a code and records the denial [STAT-4].
func (c *Core) refuse(d *Decision, code protocol.Code, item *Item, stream uint32) {
	c.answerRefused(d, code, item, stream)
	c.Deny(d.Project, code, d.Reply.Detail.Item, d.Request.UUID)
}

// answerRefused answers with a code. stream is 0 when the device has none.
func (c *Core) answerRefused(d *Decision, code protocol.Code, item *Item, stream uint32) {
	a := d.detail(protocol.KindRefused)
	a.Code = code
	if item != nil {
		a.Item, a.ItemName = item.Ordinal, []byte(item.Name())
	}
	if stream != 0 {
		row := c.device(stream - 1)
		a.Seq, a.Stream, a.Token = row.lastSeq, stream, c.token(row, stream)
	}
}

// Deny records a denial [STAT-4]: of a project and an item, 0 if they are not
// known, and a client UUID.
func (c *Core) Deny(project uint32, code protocol.Code, item uint32, uuid [16]byte) {
	e := deniedEffect{project: project, code: uint16(code), item: item, uuid: uuid}
	e.find(c)
	e.record = c.nextRecord(DenialRecords, project)
	c.body = e.append(c.body)
	c.applyDenied(&e)
	c.tally.add(project, code)
}

func (c *Core) busy(d *Decision, milliseconds uint32) {
	d.detail(protocol.KindBusy).RetryAfter = milliseconds
}

// noStream answers that the stream or its token is not known: check in anew.
func (c *Core) noStream(d *Decision) { d.Reply = Reply{Kind: protocol.KindNoStream} }

// step takes the request's sequence number and nothing else.
func (c *Core) step(d *Decision, row uint32) {
	e := stepEffect{row, d.Request.Seq, d.Request.Tag, d.Project}
	c.body = appendStep(c.body, effStep, &e)
	c.applyStep(&e)
}
