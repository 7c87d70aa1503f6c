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
	at, st := c.reportSeat(row, r)
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

// reportSeat finds the client's seat that a report names by its item. A device
// reports only for items it was granted, now or before.
func (c *Core) reportSeat(row *deviceRow, r *protocol.Request) (place, *seat) {
	if row.flags&flagSecondary == 0 && row.seat.item == r.Item && r.Item != 0 {
		return place(r.Stream - 1), &row.seat
	}
	if r.Item == 0 {
		return 0, nil
	}
	seats := c.clientSeats(&r.UUID)
	return seats.of(r.Item)
}

// refuseReport takes the number of a report that names an item the device never
// held: resending it would change nothing.
func (c *Core) refuseReport(d *Decision) {
	c.step(d, d.Request.Stream-1)
	c.refuse(d, protocol.InvalidItem, c.catalog.item(d.Request.Item), d.Request.Stream)
}

func (c *Core) countReport(d *Decision, at place, st *seat) {
	r := &d.Request
	item := c.catalog.item(r.Item)
	undated := c.date(r.Lines)
	c.lineRows = c.lineRows[:0]
	for i := range r.Lines {
		c.lineRows = append(c.lineRows, c.ensureCounter(counterKey{project: d.Project, item: r.Item, module: r.Lines[i].Module}))
	}
	e := reportEffect{
		stepEffect: stepEffect{r.Stream - 1, r.Seq, r.Tag, d.Project},
		item:       r.Item, place: at, lines: r.Lines,
		until: c.refreshed(st), flags: st.flags | seatUsed,
		quotaRow: c.ensureCounter(counterKey{item: r.Item}), lineRows: c.lineRows,
	}
	c.body = e.append(c.body)
	c.applyReport(&e)
	c.items[r.Item].touched = true
	if undated > 0 {
		c.countMany(counterKey{item: r.Item}, valueUndated, undated)
	}
	if item != nil && item.bySlot() {
		c.countSlots(item, at, st, r.Lines)
	}
	c.tally.add(d.Project, protocol.OK)
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
	end := item.Expiry
	if c.now >= end { // serving its grace [EXH-3]
		end = item.End()
	}
	until := c.now + item.span
	if c.strict(item) { // the current and the next slot
		until = int64(c.slot()+2) * protocol.SlotSeconds
	}
	return uint32(min(until, end))
}
