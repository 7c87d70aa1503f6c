package engine

import "unsafe"

// Spans of a counter key, frozen.
const (
	spanTotal   = 0 // since the beginning
	spanDenials = 1 // module is the code
	spanFreed   = 2 // seats freed by hand, bucket is the day
	spanSlots   = 3 // devices or instances in counterValues slots from bucket · counterValues on
)

// Values of a total row.
const (
	valueUses           = 0 // scans or pages
	valueAuthorizations = 1
	valueReports        = 2 // in a row of one module: report lines
	valueOveruse        = 3 // drawn from the item's overuse budget [CDEV-2]
	valueUndated        = 4 // report lines whose slot lay outside the window [SLOT-1]
)

// counterRows finds the row of a counter key. In front of the map stands a
// small direct-mapped cache: nearly all reports of a batch count for a handful
// of keys.
type counterRows struct {
	rows  map[counterKey]uint32
	cache [64]struct {
		key counterKey // the zero key has no row, so a zero cell never answers
		row uint32
	}
}

// words is the key as two machine words, cheap to hash and to compare.
func (k *counterKey) words() *[2]uint64 { return (*[2]uint64)(unsafe.Pointer(k)) }

var _ = [1]struct{}{}[unsafe.Sizeof(counterKey{})-16]

// lookup returns the row of a key, if it has one.
func (r *counterRows) lookup(k counterKey) (row uint32, ok bool) {
	w := k.words()
	c := &r.cache[(w[0]*0x9E3779B97F4A7C15^w[1]*0xC2B2AE3D27D4EB4F)>>58]
	if *c.key.words() == *w && k != (counterKey{}) {
		return c.row, true
	}
	if row, ok = r.rows[k]; ok {
		c.key, c.row = k, row
	}
	return row, ok
}

func (r *counterRows) add(k counterKey, row uint32) {
	if r.rows == nil {
		r.rows = make(map[counterKey]uint32)
	}
	r.rows[k] = row
}

// ensureCounter makes the row of a key if it has none yet.
func (c *Core) ensureCounter(k counterKey) uint32 {
	if row, ok := c.counterRows.lookup(k); ok {
		return row
	}
	e := counterEffect{row: c.counters.rows, key: k}
	c.body = e.append(c.body)
	c.applyCounter(&e)
	return e.row
}

// count adds one to a value of a key's row, as an effect of its own.
func (c *Core) count(k counterKey, value uint8) { c.countMany(k, value, 1) }

func (c *Core) countMany(k counterKey, value uint8, delta uint64) {
	e := countEffect{row: c.ensureCounter(k), value: value, delta: delta}
	c.body = e.append(c.body)
	c.applyCount(&e)
}

// value reads one value of a key, 0 if it was never counted.
func (c *Core) value(k counterKey, value int) uint64 {
	row, ok := c.counterRows.lookup(k)
	if !ok {
		return 0
	}
	return c.counter(row).values[value]
}
