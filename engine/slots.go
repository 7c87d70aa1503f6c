package engine

import (
	"muster/license"
	"muster/protocol"
)

// slotKey finds a row of a seat's slots. Buckets share a row in a circle.
type slotKey struct {
	owner  place
	bucket uint32 // modulo slotRowsCircle
}

// weight is what a seat counts for in a slot, and while it is held: its
// instances, or one.
func (s *seat) weight() uint32 { return max(1, uint32(s.instances)) }

// bySlot says whether the item counts devices or instances a slot and draws what
// is above its quota from a budget [CDEV-1], [INST-2].
func (i *Item) bySlot() bool {
	return i.ChargeWay == license.ConcurrentDevice || i.ChargeWay == license.ConcurrentInstance
}

// strict says whether the item's overuse budget is spent [CDEV-3], [INST-3].
func (c *Core) strict(i *Item) bool {
	return i.bySlot() && c.overuse(i.Ordinal) >= i.OveruseSlots()
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

// countSlots counts a seat once in each slot of a report, however many lines
// and reports there are for it.
func (c *Core) countSlots(item *Item, at place, st *seat, lines []protocol.Line) {
	for i := range lines {
		slot := lines[i].Slot
		row := c.slotsOf(at, st.item, slot/slotsPerRow)
		bit := uint16(slot % slotsPerRow)
		if c.slotRow(row).bits[bit/64]>>(bit%64)&1 != 0 {
			continue
		}
		useRow := c.ensureCounter(counterKey{item: st.item, bucket: slot / counterValues, span: spanSlots})
		e := slotUseEffect{
			row: row, bit: bit, useRow: useRow, useValue: uint8(slot % counterValues), weight: st.weight(),
			itemRow: c.ensureCounter(counterKey{item: st.item}),
		}
		before := c.counter(useRow).values[e.useValue]
		e.overuse = uint32(above(before+uint64(e.weight), item.Quota) - above(before, item.Quota))
		c.body = e.append(c.body)
		c.applySlotUse(&e)
	}
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
