package engine

import "bytes"

// The apply functions change state, in life and in replay alike. None reads one
// page to decide what to write to another (see table.edit), and none reads the
// clock or the catalog. What is derived from rows, the index, the seat counts,
// is kept up only in life; after replay it is built anew.

func (c *Core) editDevice(n uint32) *deviceRow { return (*deviceRow)(c.devices.edit(n, c.index)) }
func (c *Core) slotRow(n uint32) *slotRow      { return (*slotRow)(c.slots.at(n)) }
func (c *Core) editCounter(n uint32) *counterRow {
	return (*counterRow)(c.counters.edit(n, c.index))
}
func (c *Core) device(n uint32) *deviceRow   { return (*deviceRow)(c.devices.at(n)) }
func (c *Core) seatRow(n uint32) *seatRow    { return (*seatRow)(c.seats.at(n)) }
func (c *Core) counter(n uint32) *counterRow { return (*counterRow)(c.counters.at(n)) }

// place says where a seat is: a primary device row, or with the high bit set,
// seat row · seatsPerRow + number.
type place uint32

const inSeats place = 1 << 31

func (c *Core) editSeat(p place) *seat {
	if p&inSeats == 0 {
		return &c.editDevice(uint32(p)).seat
	}
	n := uint32(p &^ inSeats)
	row := (*seatRow)(c.seats.edit(n/seatsPerRow, c.index))
	return &row.seats[n%seatsPerRow]
}

func (c *Core) applyStep(e *stepEffect) {
	d := c.editDevice(e.row)
	d.lastSeq, d.lastTag, d.project, d.lastSeen = e.seq, e.tag, e.project, c.second
}

func (c *Core) applyReport(e *reportEffect) {
	c.applyStep(&e.stepEffect)
	s := c.editSeat(e.place)
	if c.live && e.until != s.activeUntil {
		w := int32(s.weight())
		c.seatEnds(e.item, s.activeUntil, -w)
		c.seatEnds(e.item, e.until, w)
	}
	s.activeUntil, s.flags = e.until, e.flags
	quota := c.editCounter(e.quotaRow)
	quota.values[valueReports]++
	for i := range e.lines {
		l := &e.lines[i]
		s.lastSlot = max(s.lastSlot, l.Slot)
		quota.values[valueUses] += uint64(l.Count)
		total := c.editCounter(e.lineRows[i])
		total.values[valueUses] += uint64(l.Count)
		total.values[valueReports]++
	}
}

func (c *Core) applyStream(e *streamEffect) {
	d := c.editDevice(e.row)
	if d.firstSeen == 0 {
		d.firstSeen = c.second
	}
	d.uuid, d.generation, d.flags = e.uuid, e.generation, e.flags
	d.lastSeq, d.lastTag, d.project, d.lastSeen = e.lastSeq, e.lastTag, e.project, c.second
}

func (c *Core) applyLink(e *linkEffect) { c.editDevice(e.row).nextStream = e.next }

func (c *Core) applySeat(e *seatEffect) {
	s := c.editSeat(e.place)
	if c.live {
		if s.item != 0 {
			c.seatEnds(s.item, s.activeUntil, -int32(s.weight()))
		}
		c.seatEnds(e.seat.item, e.seat.activeUntil, int32(e.seat.weight()))
	}
	*s = e.seat
}

func (c *Core) applySeatRow(e *seatRowEffect) {
	row := (*seatRow)(c.seats.edit(e.row, c.index))
	row.owner = e.owner
	if e.previous == 0 {
		c.editDevice(e.owner).moreSeats = e.row + 1
		return
	}
	(*seatRow)(c.seats.edit(e.previous-1, c.index)).next = e.row + 1
}

func (c *Core) applyFlags(e *flagsEffect) { c.editDevice(e.row).flags = e.flags }

func (c *Core) applyCounter(e *counterEffect) {
	c.editCounter(e.row).key = e.key
	c.counterRows.add(e.key, e.row)
}

func (c *Core) applyCount(e *countEffect) {
	c.editCounter(e.row).values[e.value] += e.delta
}

func (c *Core) applySlotRow(e *slotRowEffect) {
	r := (*slotRow)(c.slots.edit(e.row, c.index))
	*r = slotRow{owner: uint32(e.owner), item: e.item, bucket: e.bucket}
	if c.live {
		c.slotRows[slotKey{e.owner, e.bucket % slotRowsCircle}] = e.row
	}
}

func (c *Core) applySlotUse(e *slotUseEffect) {
	r := (*slotRow)(c.slots.edit(e.row, c.index))
	r.bits[e.bit/64] |= 1 << (e.bit % 64)
	c.editCounter(e.useRow).values[e.useValue] += uint64(e.weight)
	c.editCounter(e.itemRow).values[valueOveruse] += uint64(e.overuse)
}

func (c *Core) applyObject(e *objectEffect) {
	loaded := uint64(0)
	if o := c.objects[e.key]; o != nil {
		loaded = o.loaded
	}
	if c.index <= loaded {
		return // the checkpoint holds this entry's, or a newer one
	}
	c.objects[e.key] = &object{data: bytes.Clone(e.data), index: c.index, loaded: loaded, dirty: true}
}

func (c *Core) applyGrants(e *grantsEffect) {
	m := (*metaRow)(c.meta.edit(0, c.index))
	m.chain = e.chain
}

// applyTime keeps the highest entry time: the clock never runs backwards for
// decisions, not over a restart either.
func (c *Core) applyTime(time int64) {
	m := (*metaRow)(c.meta.edit(0, c.index))
	m.time = max(m.time, time)
}
