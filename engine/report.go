package engine

import "muster/protocol"

// report counts usage [CLI-3]. It is the hot path: no allocation, no index. A
// report in its place is always taken, over any limit and after any end: only
// the next authorization fails [SCAN-2], [EXH-1].
func (c *Core) report(d *Decision) {
	r := &d.Request
	row := c.next(d)
	if row == nil {
		return
	}
	at, st := c.reportSeat(row, d)
	if st == nil {
		c.refuseReport(d)
		return
	}
	freed := st.flags&seatFreed != 0
	c.countReport(d, at, st)
	if freed { // counted all the same, but the device has to check in again [DEV-4]
		c.refuse(d, protocol.SeatFreed, c.catalog.item(r.Item), r.Stream)
		return
	}
	d.Reply = Reply{Kind: protocol.KindAccepted, Seq: r.Seq}
}

// reportSeat finds the client's place that a report names by its item: that of
// the session's project, or the one of another project that was granted before
// the device got its present license key. A device reports only for items it
// was granted at some time.
func (c *Core) reportSeat(row *deviceRow, d *Decision) (place, *seat) {
	r := &d.Request
	if first := &row.seat; first.item == r.Item && uint32(first.project) == d.Project && row.flags&flagSecondary == 0 && first.held(c.second) && r.Item != 0 {
		return place(r.Stream - 1), first
	}
	if r.Item == 0 {
		return 0, nil
	}
	seats := c.clientSeats(&r.UUID)
	at, st := seats.of(r.Item, d.Project)
	if st == nil {
		at, st = seats.onItem(r.Item)
	}
	if heldAt, held := seats.held(r.Item); held != nil && held != st {
		c.refreshHeld(heldAt, held)
	}
	return at, st
}

// refreshHeld refreshes a seat that is held through another project than the
// one that the report comes through.
func (c *Core) refreshHeld(at place, held *seat) {
	if until := c.refreshed(held); until != held.activeUntil {
		kept := *held
		kept.activeUntil = until
		c.setSeat(at, kept)
	}
}

// refuseReport takes the number of a report that names an item the device never
// held: resending it would change nothing.
func (c *Core) refuseReport(d *Decision) {
	c.step(d, d.Request.Stream-1)
	c.refuse(d, protocol.InvalidItem, c.catalog.item(d.Request.Item), d.Request.Stream)
}

func (c *Core) countReport(d *Decision, at place, st *seat) {
	r := &d.Request
	item, project := c.catalog.item(r.Item), uint32(st.project)
	undated := c.date(r.Lines)
	c.nameModules(r.Lines)
	var e reportEffect // filled in place: see applyReport
	e.row, e.seq, e.tag, e.project = r.Stream-1, r.Seq, r.Tag, project
	e.item, e.place, e.lines = r.Item, at, r.Lines
	e.until, e.flags = c.refreshed(st), st.flags|seatUsed
	e.find(c)
	e.record = c.nextRecord(ReportRecords, project)
	c.body = e.append(c.body)
	c.applyReport(&e)
	if undated > 0 {
		c.count(counterKey{item: r.Item}, valueUndated, undated)
	}
	c.countDays(at, st, &r.UUID, r.Lines)
	if item != nil && item.ChargeWay.BySlot() {
		c.countSlots(item, at, st, &r.UUID, r.Lines)
	}
	c.tally.add(project, protocol.OK)
}

// nameModules counts what names a module that no license has as of none in
// particular: modules are given to devices, not made by them.
func (c *Core) nameModules(lines []protocol.Line) {
	for i := range lines {
		if int(lines[i].Module) >= len(c.catalog.Modules) {
			lines[i].Module = 0
		}
	}
}

// countDays counts a client once for each day of a report [STAT-1].
func (c *Core) countDays(at place, st *seat, uuid *[16]byte, lines []protocol.Line) {
	for i := range lines {
		day := uint16(lines[i].Slot / slotsPerDay)
		if st.usedOn(day) {
			continue
		}
		e := dayUseEffect{place: at, day: day, project: uint32(st.project), item: st.item}
		e.scope = c.firstIn(uuid, st, func(_ place, other *seat) bool { return other.usedOn(day) })
		e.find(c)
		c.body = e.append(c.body)
		c.applyDayUse(&e)
	}
}

// firstIn says where a client was not counted yet, st being its place in
// question: in the item, in the project, if none of its other places counted there.
func (c *Core) firstIn(uuid *[16]byte, st *seat, counted func(place, *seat) bool) scope {
	s := ofBoth | ofItem | ofProject
	seats := c.clientSeats(uuid)
	seats.each(func(p place, other *seat) bool {
		if other != st && other.item != 0 && counted(p, other) {
			if other.item == st.item {
				s &^= ofItem
			}
			if other.project == st.project {
				s &^= ofProject
			}
		}
		return true
	})
	return s
}

// refreshed is a held seat's new end after use [DEV-1]; an ended one stays ended
// [EXH-1]. Leases and slots are renewed by check-ins alone [SRVR-1], [CDEV-3].
func (c *Core) refreshed(st *seat) uint32 {
	item := c.catalog.item(st.item)
	if st.activeUntil <= c.second || item == nil || item.ChargeWay.Period() == 0 || item.validity(c.now) != protocol.OK {
		return st.activeUntil
	}
	return max(st.activeUntil, c.activeUntil(item))
}

// activeUntil is until when an authorization or use now keeps a seat, and how
// long its grant lasts offline [DEV-1], [GRANT-1].
func (c *Core) activeUntil(item *Item) uint32 {
	until := c.now + item.span
	if c.strict(item) { // the current and the next slot
		until = int64(c.slot()+2) * protocol.SlotSeconds
	}
	return uint32(min(until, item.grantsEnd(c.now)))
}
