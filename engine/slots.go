package engine

import "muster/protocol"

// slotKey finds a row of a seat's slots. Buckets share a row in a circle.
type slotKey struct {
	owner  place
	bucket uint32 // modulo slotRowsCircle
}

// weight is what a seat counts for in a slot, and while it is held: its
// instances, or one.
func (s *seat) weight() uint32 { return max(1, uint32(s.instances)) }

// occupies is the seat's weight among the held ones until its grant ends.
func (s *seat) occupies() int32 {
	if s.flags&seatEnded != 0 {
		return 0
	}
	return int32(s.weight())
}

// strict says whether the item's overuse budget is spent [CDEV-3], [INST-3].
func (c *Core) strict(i *Item) bool {
	return i.ChargeWay.BySlot() && c.overuse(i.Ordinal) >= i.OveruseSlots()
}

func (c *Core) overuse(item uint32) uint64 { return c.value(counterKey{item: item}, valueOveruse) }

// date puts report lines whose slot is no possible one into the slot of arrival:
// a wrong clock is no way not to be counted [SLOT-1]. It returns how many.
func (c *Core) date(lines []protocol.Line) (undated uint64) {
	for i := range lines {
		at := int64(lines[i].Slot) * protocol.SlotSeconds
		if at < c.now-c.now%protocol.SlotSeconds-LateSeconds || at > c.now+AheadSeconds {
			lines[i].Slot = c.slot()
			undated++
		}
	}
	return undated
}

func (c *Core) slot() uint32 { return uint32(c.now / protocol.SlotSeconds) }

// slotsPerDay is how many slots a day of UTC has.
const slotsPerDay = 86400 / protocol.SlotSeconds

// countSlots counts a seat once in each slot of a report, however many lines
// and reports there are for it.
func (c *Core) countSlots(item *Item, at place, st *seat, uuid *[16]byte, lines []protocol.Line) {
	for i := range lines {
		slot := lines[i].Slot
		if c.usedInSlot(at, st.item, slot) {
			continue
		}
		e := slotUseEffect{
			row: c.slotsOf(at, st.item, slot/slotsPerRow), slot: slot,
			project: uint32(st.project), item: st.item, weight: st.weight(),
		}
		e.scope = c.firstIn(uuid, st, func(p place, other *seat) bool { return c.usedInSlot(p, st.item, slot) })
		if e.scope&ofItem != 0 {
			before := c.inSlot(0, st.item, slot)
			e.overuse = uint32(above(before+uint64(e.weight), item.Quota) - above(before, item.Quota))
		}
		e.find(c)
		c.body = e.append(c.body)
		c.applySlotUse(&e)
		hour := Hour.At(int64(slot) * protocol.SlotSeconds)
		c.raise(0, st.item, hour, c.inSlot(0, st.item, slot))
		c.raise(uint32(st.project), st.item, hour, c.inSlot(uint32(st.project), st.item, slot))
	}
}

// inSlot is how many devices or instances were counted in a slot, project 0
// being all.
func (c *Core) inSlot(project, item, slot uint32) uint64 {
	k, at := seriesKey(project, item, 0, Concurrency, Slot, slot)
	return c.value(k, int(at))
}

// usedInSlot says whether a place on an item was counted in a slot.
func (c *Core) usedInSlot(at place, item, slot uint32) bool {
	row, ok := c.slotRows[slotKey{at, slot / slotsPerRow % slotRowsCircle}]
	if !ok {
		return false
	}
	r, bit := c.slotRow(row), slot%slotsPerRow
	return r.item == item && r.bucket == slot/slotsPerRow && r.bits[bit/64]>>(bit%64)&1 != 0
}

func above(n, quota uint64) uint64 { return max(n, quota) - quota }

// slotsOf finds the row that remembers a bucket of a seat's slots, or begins it.
func (c *Core) slotsOf(owner place, item, bucket uint32) uint32 {
	row, ok := c.slotRows[slotKey{owner, bucket % slotRowsCircle}]
	if ok {
		if r := c.slotRow(row); r.item == item && r.bucket == bucket {
			return row
		}
	} else {
		row = c.slots.rows
	}
	e := slotRowEffect{row: row, owner: owner, item: item, bucket: bucket}
	c.body = e.append(c.body)
	c.applySlotRow(&e)
	return row
}
