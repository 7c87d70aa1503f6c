package engine

import "bytes"

// The apply functions change state, in life and in replay alike. None reads one
// page to decide what to write to another (see table.edit), and none reads the
// clock or the catalog. What is derived from rows, the index, the seat counts,
// is kept up only in life; after replay it is built anew.

func (c *Core) editDevice(n uint32) *deviceRow { return (*deviceRow)(c.devices.edit(n, c.index)) }
func (c *Core) editCounter(n uint32) *counterRow {
	return (*counterRow)(c.counters.edit(n, c.index))
}
func (c *Core) slotRow(n uint32) *slotRow    { return (*slotRow)(c.slots.at(n)) }
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
	d.lastSeq, d.lastTag, d.project, d.lastSeen = e.seq, e.tag, uint16(e.project), c.second
}

func (c *Core) applyStream(e *streamEffect) {
	d := c.editDevice(e.row)
	if d.firstSeen == 0 {
		d.firstSeen = uint16(c.day())
	}
	d.uuid, d.generation, d.flags = e.uuid, e.generation, e.flags
	d.lastSeq, d.lastTag, d.project, d.lastSeen = e.lastSeq, e.lastTag, uint16(e.project), c.second
}

func (c *Core) applyLink(e *linkEffect) { c.editDevice(e.row).nextStream = e.next }

func (c *Core) applySeat(e *seatEffect) {
	s := c.editSeat(e.place)
	if c.live {
		if s.item != 0 {
			c.seatEnds(s.item, uint32(s.project), s.activeUntil, -s.occupies())
		}
		c.countSeat(&e.seat)
	}
	*s = e.seat
}

func (c *Core) applySeatRow(e *seatRowEffect) {
	c.seats.edit(e.row, c.index)
	if e.previous == 0 {
		c.editDevice(e.owner).moreSeats = e.row + 1
		return
	}
	(*seatRow)(c.seats.edit(e.previous-1, c.index)).next = e.row + 1
}

func (c *Core) applyFlags(e *flagsEffect) { c.editDevice(e.row).flags = e.flags }

func (c *Core) applySlotRow(e *slotRowEffect) {
	r := (*slotRow)(c.slots.edit(e.row, c.index))
	*r = slotRow{owner: uint32(e.owner), item: e.item, bucket: e.bucket}
	if c.live {
		c.slotRows[slotKey{e.owner, e.bucket % slotRowsCircle}] = e.row
	}
}

func (c *Core) applyDetailPage(e *detailPageEffect) {
	if c.live {
		from := detailOwner{}
		if int(e.page) < c.details.pages() {
			from = c.details.page(e.page).header().owner
		}
		c.rings.takePage(e.page, from, e.owner)
	}
	c.details.begin(e.page, e.owner, c.index)
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

// applyTime keeps the time of the last entry: the clock never runs backwards for
// decisions, not over a restart either, unless SetBack has taken it back.
func (c *Core) applyTime(time int64) {
	(*metaRow)(c.meta.edit(0, c.index)).time = time
}
