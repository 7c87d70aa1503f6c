package engine

import (
	"slices"
	"unsafe"
)

// Spans of a counter key, frozen. Spans from spanSeries on are series, see
// [Measure] and [Grain].
const (
	spanTotal   = 0 // since the beginning
	spanDenials = 1 // since the beginning; module is the code
	spanFreed   = 2 // seats freed by hand, bucket is the day
	spanSeries  = 256
)

// Values of a total row. Rows of an item alone (project 0) bound its quota; a
// row of project, item and module counts what came through that project.
const (
	valueUses           = 0 // scans or pages
	valueAuthorizations = 1
	valueReports        = 2 // in a row of one module: report lines
	valueOveruse        = 3 // drawn from the item's overuse budget [CDEV-2]
	valueUndated        = 4 // report lines whose slot lay outside the window [SLOT-1]
	valueDevices        = 5 // client UUIDs that were ever authorized
)

// noRow stands for a counter row that is not kept any more.
const noRow = ^uint32(0)

// cell is one value of a counter row.
type cell struct {
	row uint32 // noRow: what is added is dropped
	at  uint8
}

// counterRows finds the row of a counter key. In front of the map stands a
// small direct-mapped cache: nearly all reports of a batch count for a handful
// of keys.
type counterRows struct {
	rows  map[counterKey]uint32
	cache [64]struct {
		key counterKey // the zero key has no row, so a zero cell never answers
		row uint32
	}
	// aged are the rows of slots and of hours, oldest first: they are used again
	// when their time is over.
	aged [Grains][]uint32
	// totals are the keys of all total rows: what ever was counted for what.
	totals []counterKey
}

// words is the key as two machine words, cheap to hash and to compare.
func (k *counterKey) words() *[2]uint64 { return (*[2]uint64)(unsafe.Pointer(k)) }

var _ = [1]struct{}{}[unsafe.Sizeof(counterKey{})-16]

func mix(w *[2]uint64) uint64 { return w[0]*0x9E3779B97F4A7C15 ^ w[1]*0xC2B2AE3D27D4EB4F }

// lookup returns the row of a key, if it has one.
func (r *counterRows) lookup(k counterKey) (row uint32, ok bool) {
	w := k.words()
	c := &r.cache[mix(w)>>58]
	if *c.key.words() == *w && k != (counterKey{}) {
		return c.row, true
	}
	if row, ok = r.rows[k]; ok {
		c.key, c.row = k, row
	}
	return row, ok
}

func (r *counterRows) add(k counterKey, row uint32) {
	r.rows[k] = row
	switch g, series := k.grain(); {
	case !series:
		r.totals = append(r.totals, k)
	case g != Day:
		r.aged[g] = append(r.aged[g], row)
	}
}

// remove forgets a key whose row goes to another one.
func (r *counterRows) remove(k counterKey) {
	delete(r.rows, k)
	r.cache[mix(k.words())>>58].key = counterKey{}
}

// indexCounters finds every row by its key anew.
func (c *Core) indexCounters() {
	c.counterRows = counterRows{rows: make(map[counterKey]uint32, c.counters.rows)}
	c.lineCache = lineCache{}
	for n := range c.counters.rows {
		if k := c.counter(n).key; k != (counterKey{}) {
			c.counterRows.add(k, n)
		}
	}
	for g := range c.counterRows.aged {
		slices.SortFunc(c.counterRows.aged[g], func(a, b uint32) int {
			return firstNonZero(int(c.counter(a).key.bucket)-int(c.counter(b).key.bucket), int(a)-int(b))
		})
	}
}

// rowOf returns the row of a key. In life it makes one when there is none; in
// replay an entry before has made it, or its time is over and another key has it.
func (c *Core) rowOf(k counterKey) uint32 {
	if row, ok := c.counterRows.lookup(k); ok {
		return row
	}
	_, series := k.grain()
	switch {
	case !c.live:
		c.missing = c.missing || !series
		return noRow
	case series && c.counters.rows >= CounterRowsMax:
		return noRow
	}
	e := counterEffect{row: c.nextCounter(), key: k}
	c.body = e.append(c.body)
	c.applyCounter(&e)
	return e.row
}

// nextCounter is the row for a new key: one whose time is over, else a new one.
func (c *Core) nextCounter() uint32 {
	for g := range Day {
		if q := c.counterRows.aged[g]; len(q) > 0 && c.counter(q[0]).key.over(c.now) {
			c.counterRows.aged[g] = q[1:]
			return q[0]
		}
	}
	return c.counters.rows
}

func (c *Core) total(project, item uint32, value uint8) cell {
	return cell{c.rowOf(counterKey{project: project, item: item}), value}
}

// add counts n in a cell, as part of an effect.
func (c *Core) add(x cell, n uint64) {
	if x.row != noRow {
		c.editCounter(x.row).values[x.at] += n
	}
}

// count counts delta in a value of a key's row, as an effect of its own.
func (c *Core) count(k counterKey, value uint8, delta uint64) {
	e := countEffect{row: c.rowOf(k), value: value, delta: delta}
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
