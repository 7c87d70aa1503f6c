package engine

import (
	"muster/license"
	"muster/protocol"
)

// checkIn decides an authorization [CLI-1]: which project, which item, and the
// effects of granting it.
func (c *Core) checkIn(d *Decision) {
	p := c.catalog.project(d.Project)
	row, stream, ok := c.place(d)
	if !ok {
		return
	}
	if code := c.admit(p, d, row); code != protocol.OK {
		c.refuseCheckIn(d, code, nil, stream)
		return
	}
	seats := c.clientSeats(&d.Request.UUID)
	m := c.find(p, d, &seats)
	if m.code != protocol.OK {
		c.refuseCheckIn(d, m.code, m.item, stream)
		return
	}
	c.authorize(d, p, m, stream)
}

// place finds the stream that a check-in continues. stream is 0 when it has
// none: then one is made if the check-in is granted. ok is false when the
// request is answered already.
func (c *Core) place(d *Decision) (row *deviceRow, stream uint32, ok bool) {
	r := &d.Request
	row, known, valid := c.stream(r)
	switch {
	case !known && r.Seq == 0:
		return nil, 0, c.placeNew(d)
	case !known:
		c.noStream(d)
		return nil, 0, false
	case !valid && row.dormant() && r.Seq == 0 && r.Token == c.token(row, r.Stream):
		return c.resume(d, row)
	case !valid:
		return c.placeOldToken(d, row)
	case r.Seq == 0 && row.flags&flagResumed != 0: // resent: the answer was lost
		c.regrant(d, r.Stream-1)
		return nil, 0, false
	case r.Seq == 0 && row.lastSeq > 0:
		return c.placeLost(d, row)
	}
	return c.placeBySequence(d, row)
}

// shown says whether a check-in that asks for a place shows the word that holds
// for it. If not, it is answered with the word, and comes again: so who only
// recorded an ask makes no stream, and no clone of a device, by playing it again.
func (c *Core) shown(d *Decision) bool {
	word := c.challenge(&d.Request)
	if d.Request.CheckIn.Challenge == word {
		return true
	}
	d.detail(protocol.KindNoStream).Challenge = word
	return false
}

// placeNew admits an ask for a new stream. That of a client which was never
// here needs no word: played again, it finds the client known.
func (c *Core) placeNew(d *Decision) bool {
	if _, known := c.client(&d.Request.UUID); !known {
		return true
	}
	if n, resent := c.resentFirst(&d.Request); resent {
		c.regrant(d, n)
		return false
	}
	return c.shown(d)
}

func (c *Core) placeBySequence(d *Decision, row *deviceRow) (*deviceRow, uint32, bool) {
	stream := d.Request.Stream
	switch row.standing(&d.Request) {
	case standsNext:
		c.wake(stream-1, row)
		return row, stream, true
	case standsResend:
		c.regrant(d, stream-1)
	case standsAhead:
		d.Reply = Reply{Kind: protocol.KindOutOfStep, Seq: row.lastSeq + 1}
	case standsOld:
		d.Reply = Reply{Kind: protocol.KindAccepted, Seq: row.lastSeq}
	case standsDiverge:
		c.noStream(d)
	}
	return nil, 0, false
}

// resume gives a retired stream its place back [CLI-9]: the token stays, and the
// answer says how far the stream is, so that the device knows what was counted.
func (c *Core) resume(d *Decision, row *deviceRow) (*deviceRow, uint32, bool) {
	if !c.shown(d) {
		return nil, 0, false
	}
	if cl, ok := c.client(&row.uuid); ok {
		c.makeRoom(cl)
	}
	c.setFlags(d.Request.Stream-1, row.flags|flagResumed)
	return row, d.Request.Stream, true
}

// placeLost serves a device that lost its place in its own stream: restored
// from a backup, or one of two copies. The first time it is forgiven: it gets
// the stream's next token, and a second copy is told apart by the old one [CLI-5].
func (c *Core) placeLost(d *Decision, row *deviceRow) (*deviceRow, uint32, bool) {
	n := d.Request.Stream - 1
	switch {
	case row.flags&flagClone != 0:
		return row, n + 1, true // admit refuses it with 151
	case !c.shown(d):
		return nil, 0, false
	case row.flags&flagForgiven != 0:
		c.markClone(n)
		return row, n + 1, true
	}
	c.rewrite(n, row.generation+1, d.Request.Tag, row.flags|flagForgiven)
	return c.device(n), n + 1, true
}

// placeOldToken serves a device that presents a token which was replaced: of a
// place that went to another stream, it gets a new stream; of a stream that was
// forgiven, it is the second copy. What it sends by number may be a recorded
// change played again: only an ask is evidence.
func (c *Core) placeOldToken(d *Decision, row *deviceRow) (*deviceRow, uint32, bool) {
	n := d.Request.Stream - 1
	previous := c.tokens.token(&row.uuid, n+1, row.generation-1)
	switch forgiven := row.flags&flagForgiven != 0 && d.Request.Token == previous; {
	case d.Request.Seq != 0:
		c.noStream(d)
	case forgiven && d.Request.Tag == row.lastTag: // the ask that was forgiven, resent: its answer was lost
		if c.again(d, n) || !c.shown(d) {
			return nil, 0, false
		}
		c.rewrite(n, row.generation, row.lastTag, row.flags) // its grant is over: a new one tells the device its token
		return c.device(n), n + 1, true
	case forgiven && row.flags&flagClone != 0:
		return row, n + 1, true
	case !c.shown(d):
	case forgiven:
		c.markClone(n)
		return row, n + 1, true
	default:
		return nil, 0, true
	}
	return nil, 0, false
}

func (c *Core) markClone(n uint32) { c.setFlags(n, c.device(n).flags|flagClone) }

// admit checks what stands before any item: the project, its password, its
// validation fields, the client.
func (c *Core) admit(p *Project, d *Decision, row *deviceRow) protocol.Code {
	switch {
	case p == nil:
		return protocol.NoSuchProject
	case p.Disabled:
		return protocol.ProjectDisabled
	case !p.GenerationValid(d.Generation, c.now):
		return protocol.WrongPassword
	}
	if code := p.Validation.admits(d.Request.CheckIn); code != protocol.OK {
		return code
	}
	if row != nil && row.flags&flagClone != 0 {
		return protocol.Clone
	}
	if cl, ok := c.client(&d.Request.UUID); ok && cl.row.flags&flagBlocked != 0 {
		return protocol.ClientBlocked
	}
	return protocol.OK
}

// refuseCheckIn takes the number of a sequenced check-in and refuses it. A
// device without a stream gets none: a stranger costs no row.
func (c *Core) refuseCheckIn(d *Decision, code protocol.Code, item *Item, stream uint32) {
	if stream != 0 && d.Request.Seq != 0 {
		c.step(d, stream-1)
	}
	c.refuse(d, code, item, stream)
}

// authorize grants: stream, seat, counters, and a leaf in the batch's tree.
func (c *Core) authorize(d *Decision, p *Project, m match, stream uint32) {
	seats := c.clientSeats(&d.Request.UUID)
	full := seats.full(m.item.Ordinal, p.Ordinal)
	var n uint32
	switch {
	case full: // busy decides nothing, so it comes before any effect
	case stream == 0:
		n, full = c.newStream(&d.Request, p.Ordinal)
	default:
		n = stream - 1
		if d.Request.Seq != 0 {
			c.step(d, n)
		}
	}
	if full {
		c.busy(d, busyTableFull)
		return
	}
	st, new := c.takeSeat(d, p, m)
	e := authorizedEffect{row: n, project: p.Ordinal, item: m.item.Ordinal, instances: uint32(st.instances), scope: new}
	e.find(c)
	e.record = c.nextRecord(AuthorizationRecords, p.Ordinal)
	c.body = e.append(c.body)
	c.applyAuthorized(&e)
	c.items[m.item.Ordinal].touched = true
	c.tally.add(p.Ordinal, protocol.OK)
	c.raisePeaks(m.item, uint32(st.project))
	c.grant(d, p, m.item, n, st)
}

// takeSeat writes the client's seat on the item, new or refreshed. A seat that
// is held through another project stays there [CLI-9]; then the client gets a
// place beside it that shows where it was granted. new says where the client
// has not been before.
func (c *Core) takeSeat(d *Decision, p *Project, m match) (st seat, new scope) {
	seats := c.clientSeats(&d.Request.UUID)
	at, before := seats.of(m.item.Ordinal, p.Ordinal)
	if before == nil {
		at = seats.free()
		st = seat{item: m.item.Ordinal, project: uint16(p.Ordinal)}
		new = c.firstIn(&d.Request.UUID, &st, func(place, *seat) bool { return true })
	} else {
		st = *before
	}
	st.flags &^= seatReleased | seatFreed | seatBeside
	if m.item.ChargeWay == license.ConcurrentInstance {
		st.instances = uint16(max(1, d.Request.CheckIn.Instances))
		c.shareInstances(&seats, at, &st)
	}
	until := c.activeUntil(m.item)
	if heldAt, held := seats.held(m.item.Ordinal); m.holds {
		until = max(until, c.keptUntil(m.item, held))
		if held != before {
			st.activeUntil, st.flags = until, st.flags|seatBeside
			c.setSeat(at, st)
			at, st = heldAt, *held
		}
	}
	st.activeUntil = until
	c.setSeat(at, st)
	return st, new
}

// keptUntil is a held seat's end, less if a revision has brought the item's
// expiry forward: no device would verify a grant that lasts longer [CLI-2].
func (c *Core) keptUntil(item *Item, held *seat) uint32 {
	return uint32(min(int64(held.activeUntil), item.grantsEnd(c.now)))
}

// shareInstances gives the client's other places on an item the instances that
// it asks for now: it has one number of them, whatever project it comes through.
func (c *Core) shareInstances(seats *clientSeats, at place, st *seat) {
	seats.each(func(p place, other *seat) bool {
		if p != at && other.item == st.item && other.instances != st.instances {
			same := *other
			same.instances = st.instances
			c.setSeat(p, same)
		}
		return true
	})
}

// grant writes the leaf of a grant and the answer that will carry it.
func (c *Core) grant(d *Decision, p *Project, item *Item, row uint32, st seat) {
	g := license.Grant{
		Client: d.Request.UUID, Project: p.ID,
		LicenseID: item.License.File.LicenseID, ItemID: item.ID, Revision: item.License.File.Revision,
		Item: item.Ordinal, ChargeWay: item.ChargeWay, Instances: uint32(st.instances),
		Issued: c.now, ActiveUntil: int64(st.activeUntil),
		BootClock: d.Request.CheckIn.BootClock, Modules: item.modules,
	}
	if c.now >= item.Expiry {
		g.Flags |= license.GrantInGrace
	}
	if item.FromFirstUse && st.flags&seatUsed == 0 {
		g.Flags |= license.GrantFirstUse
	}
	device := c.device(row)
	a := d.detail(protocol.KindGranted)
	a.Seq, a.Stream, a.Token = device.lastSeq, row+1, c.token(device, row+1)
	a.Time, a.Item = uint64(c.time/1e6), item.Ordinal
	if d.Request.CheckIn.KnownCert != item.ProofID {
		a.Certificate = item.Proof
	}
	c.grants.add(d, &g)
}

// regrant answers a check-in that was decided before: the same kind of answer,
// without effect; or that it was decided, and that a new one is due.
func (c *Core) regrant(d *Decision, n uint32) {
	if !c.again(d, n) {
		d.Reply = Reply{Kind: protocol.KindAccepted, Seq: c.device(n).lastSeq}
	}
}

// again gives a check-in that was decided before the same kind of answer, without
// effect. It returns false when there is none to give: it was refused then, or
// its grant is over.
func (c *Core) again(d *Decision, n uint32) bool {
	seats := c.clientSeats(&d.Request.UUID)
	p := c.catalog.project(d.Project)
	if code := c.admit(p, d, c.device(n)); code != protocol.OK {
		c.answerRefused(d, code, nil, n+1)
		return true
	}
	var held *Item
	for _, item := range p.Items {
		at, code := c.terms(p, item, d)
		_, st := seats.held(item.Ordinal)
		if st != nil && at == stageDependency && code == protocol.OK && uint64(st.instances) <= item.Quota {
			held = item
			break
		}
	}
	if held == nil {
		return false
	}
	_, st := seats.held(held.Ordinal)
	same := *st
	same.activeUntil = c.keptUntil(held, st)
	c.grant(d, p, held, n, same)
	return true
}

// release gives a seat back [CLI-6], [DEV-4].
func (c *Core) release(d *Decision) {
	r := &d.Request
	if c.next(d) == nil {
		return
	}
	c.step(d, r.Stream-1)
	seats := c.clientSeats(&r.UUID)
	if at, st := seats.held(r.Item); st != nil {
		ended := *st
		ended.flags |= seatReleased
		c.setSeat(at, ended)
	}
	d.Reply = Reply{Kind: protocol.KindAccepted, Seq: r.Seq}
}
