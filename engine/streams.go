package engine

import (
	"muster/protocol"
)

// standing is where a message stands in its stream.
type standing int

const (
	standsNext    standing = iota // the expected next change
	standsResend                  // the last change again: same kind of answer, no effect
	standsOld                     // an older one: nothing to say but how far the stream is
	standsAhead                   // a gap: something before it is missing
	standsDiverge                 // the last number with another tag: a copy of the device, or a restored one
)

func (d *deviceRow) standing(r *protocol.Request) standing {
	switch {
	case r.Seq == d.lastSeq+1:
		return standsNext
	case r.Seq > d.lastSeq:
		return standsAhead
	case r.Seq < d.lastSeq:
		return standsOld
	case r.Tag != d.lastTag:
		return standsDiverge
	}
	return standsResend
}

// stream finds the row of a message's stream: the stream number is the row's
// number + 1, so a report needs no index. ok is false when the row is not this
// client's; valid says whether the token is the row's present one and not dormant.
func (c *Core) stream(r *protocol.Request) (d *deviceRow, ok, valid bool) {
	if r.Stream == 0 || r.Stream > c.devices.rows {
		return nil, false, false
	}
	d = c.device(r.Stream - 1)
	if d.uuid != r.UUID {
		return nil, false, false
	}
	return d, true, r.Token == c.token(d, r.Stream) && !d.dormant()
}

// next returns the stream's row when the request is its expected next change;
// otherwise it has answered the request and returns nil. Check-ins, which can
// ask for a place, have rules of their own.
func (c *Core) next(d *Decision) *deviceRow {
	row, ok, valid := c.stream(&d.Request)
	if !ok || !valid {
		c.noStream(d)
		return nil
	}
	switch row.standing(&d.Request) {
	case standsNext:
		c.wake(d.Request.Stream-1, row)
		return row
	case standsAhead:
		d.Reply = Reply{Kind: protocol.KindOutOfStep, Seq: row.lastSeq + 1}
	case standsDiverge:
		c.noStream(d)
	default: // a resend: taken before
		d.Reply = Reply{Kind: protocol.KindAccepted, Seq: row.lastSeq}
	}
	return nil
}

func (c *Core) token(d *deviceRow, stream uint32) uint64 {
	return c.tokens.token(&d.uuid, stream, d.generation)
}

// client is a UUID that the device table knows.
type client struct {
	primary uint32
	row     *deviceRow
}

func (c *Core) client(uuid *[16]byte) (client, bool) {
	n, ok := c.byUUID.find(uuid, &c.devices)
	if !ok {
		return client{}, false
	}
	return client{n, c.device(n)}, true
}

// streams calls visit for each stream row of the client until it returns false.
func (c *Core) streams(cl client, visit func(n uint32, d *deviceRow) bool) {
	for n := cl.primary; visit(n, c.device(n)); n = c.device(n).nextStream - 1 {
		if c.device(n).nextStream == 0 {
			return
		}
	}
}

// prefetch touches the stream rows of a window of requests, so that their cache
// misses overlap instead of following one another.
func (c *Core) prefetch(requests []Decision) (sum uint32) {
	for i := range requests {
		sum += c.devices.touch(requests[i].Request.Stream - 1)
	}
	return sum
}

// newStream gives a client a new stream and returns its row. full means that
// the device table has no room.
func (c *Core) newStream(r *protocol.Request, project uint32) (n uint32, full bool) {
	e := streamEffect{uuid: r.UUID, generation: 1, lastTag: r.Tag, project: project}
	cl, known := c.client(&r.UUID)
	room := c.devices.rows < c.config.DevicesMax
	if !known {
		if !room {
			return 0, true
		}
		e.row = c.devices.rows
		c.addStream(&e)
		c.byUUID.add(&e.uuid, e.row, &c.devices)
		return e.row, false
	}
	c.makeRoom(cl)
	v := c.survey(cl)
	switch {
	case v.rows < StreamRowsMax && room:
		e.row, e.flags = c.devices.rows, flagSecondary
		c.addStream(&e)
		link := linkEffect{row: v.last, next: e.row + 1}
		c.body = link.append(c.body)
		c.applyLink(&link)
	case v.retired > 0:
		d := c.device(v.oldestRetired)
		e.row, e.generation = v.oldestRetired, d.generation+1
		e.flags = d.flags & (flagBlocked | flagSecondary)
		c.addStream(&e)
	default:
		return 0, true
	}
	return e.row, false
}

// makeRoom retires the longest silent stream of a client that has as many live
// ones as it may.
func (c *Core) makeRoom(cl client) {
	if v := c.survey(cl); v.live >= StreamsMax {
		c.setFlags(v.oldestLive, c.device(v.oldestLive).flags&^flagResumed|flagRetired)
	}
}

// streamSurvey counts a client's streams.
type streamSurvey struct {
	rows, live, retired       int
	last                      uint32 // row
	oldestLive, oldestRetired uint32 // rows, by when they were last seen
}

func (c *Core) survey(cl client) (v streamSurvey) {
	c.streams(cl, func(n uint32, d *deviceRow) bool {
		v.rows++
		v.last = n
		if d.dormant() {
			if v.retired == 0 || d.lastSeen < c.device(v.oldestRetired).lastSeen {
				v.oldestRetired = n
			}
			v.retired++
			return true
		}
		if v.live == 0 || d.lastSeen < c.device(v.oldestLive).lastSeen {
			v.oldestLive = n
		}
		v.live++
		return true
	})
	return v
}

// dormant says that the stream is retired and has not asked for its place.
func (d *deviceRow) dormant() bool { return d.flags&(flagRetired|flagResumed) == flagRetired }

// wake ends a resumed stream's retirement: a change in its place has come.
func (c *Core) wake(n uint32, d *deviceRow) {
	if d.flags&flagRetired != 0 {
		c.setFlags(n, d.flags&^(flagRetired|flagResumed))
	}
}

func (c *Core) addStream(e *streamEffect) {
	c.body = e.append(c.body)
	c.applyStream(e)
}

// resentFirst finds the stream that this very first check-in already made: its
// answer was lost on the way.
func (c *Core) resentFirst(r *protocol.Request) (found uint32, ok bool) {
	cl, known := c.client(&r.UUID)
	if !known {
		return 0, false
	}
	c.streams(cl, func(n uint32, d *deviceRow) bool {
		if d.lastSeq == 0 && d.lastTag == r.Tag {
			found, ok = n, true
		}
		return !ok
	})
	return found, ok
}

// rewrite gives a stream to who asked for its place: as of now, with the tag of
// the ask. With another generation its token is another: who still presents the
// old one is a second copy of the device [CLI-5].
func (c *Core) rewrite(n uint32, generation uint16, tag uint32, flags uint16) {
	d := c.device(n)
	e := streamEffect{
		row: n, uuid: d.uuid, generation: generation, flags: flags,
		lastSeq: d.lastSeq, lastTag: tag, project: uint32(d.project),
	}
	c.addStream(&e)
}

func (c *Core) setFlags(n uint32, flags uint16) {
	e := flagsEffect{row: n, flags: flags}
	c.body = e.append(c.body)
	c.applyFlags(&e)
}
