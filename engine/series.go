package engine

import "muster/protocol"

// Measure is what a series counts [STAT-1].
type Measure uint8

// The measures, frozen.
const (
	Uses           Measure = iota // scans or pages, by project, item and module
	Authorizations                // granted check-ins, by project and item
	Devices                       // distinct client UUIDs with a report, by project, by item, by both
	NewDevices                    // client UUIDs authorized for the first time, likewise
	Concurrency                   // devices or instances in a slot; in an hour or a day the most at a time
	Denials                       // refused check-ins and reports, by project and code
	Measures
)

// Grain is the length of a series' intervals. Intervals are numbered from the
// beginning of 1970: seconds divided by their length.
type Grain uint8

// The grains, frozen.
const (
	Slot Grain = iota // three minutes, kept for 35 days
	Hour              // kept for 400 days
	Day               // kept for ever
	Grains
)

// Seconds is the length of an interval.
func (g Grain) Seconds() int64 { return [Grains]int64{protocol.SlotSeconds, 3600, 86400}[g] }

// kept is for how many seconds intervals of a grain are kept; days are for ever.
func (g Grain) kept() int64 { return [Grains]int64{35 * 86400, 400 * 86400, 1 << 62}[g] }

// At is the interval of a unix second.
func (g Grain) At(second int64) uint32 { return uint32(second / g.Seconds()) }

// grain returns the grain of a series' key; ok is false for any other key.
func (k *counterKey) grain() (g Grain, ok bool) {
	return Grain(k.span % 16), k.span >= spanSeries
}

// over says that the time of a series' row has passed: no report can name it.
func (k *counterKey) over(now int64) bool {
	g, _ := k.grain()
	return (int64(k.bucket)+1)*counterValues*g.Seconds()+g.kept() < now
}

// seriesKey names the row of a series that holds an interval; at is its value.
func seriesKey(project, item uint32, module uint16, m Measure, g Grain, interval uint32) (k counterKey, at uint8) {
	return counterKey{
		project: project, item: item, module: module,
		bucket: interval / counterValues, span: spanSeries + uint16(m)<<4 + uint16(g),
	}, uint8(interval % counterValues)
}

// series is the cell of an interval.
func (c *Core) series(project, item uint32, module uint16, m Measure, g Grain, interval uint32) cell {
	k, at := seriesKey(project, item, module, m, g, interval)
	return cell{c.rowOf(k), at}
}

// lineKey is what a report line counts for.
type lineKey struct {
	project, item uint32
	slot          uint32
	module        uint32
}

// lineCells are the counters of a report line.
type lineCells struct {
	quota, total    uint32 // rows: of the item alone, and of project, item and module
	slot, hour, day cell
}

// lineCache remembers the cells of the lines seen last: a batch's reports are of
// a few projects, items and modules, and of one or two slots.
type lineCache [256]struct {
	key   lineKey // an item is never 0, so a zero cell never answers
	cells lineCells
}

// lineCells finds, in life makes, the counters of a line.
func (c *Core) lineCells(k lineKey) lineCells {
	h := (uint64(k.project)<<32|uint64(k.item))*0x9E3779B97F4A7C15 ^ (uint64(k.module)<<32|uint64(k.slot))*0xC2B2AE3D27D4EB4F
	cached := &c.lineCache[h>>56]
	if cached.key == k {
		return cached.cells
	}
	module, second := uint16(k.module), int64(k.slot)*protocol.SlotSeconds
	cells := lineCells{
		quota: c.rowOf(counterKey{item: k.item}),
		total: c.rowOf(counterKey{project: k.project, item: k.item, module: module}),
		slot:  c.series(k.project, k.item, module, Uses, Slot, k.slot),
		hour:  c.series(k.project, k.item, module, Uses, Hour, Hour.At(second)),
		day:   c.series(k.project, k.item, module, Uses, Day, Day.At(second)),
	}
	if cells.quota != noRow && cells.total != noRow {
		cached.key, cached.cells = k, cells
	}
	return cells
}
