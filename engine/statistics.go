package engine

// What the statistics read [STAT-1]: the counters that the decisions wrote, so
// the numbers shown are the numbers billed [STAT-3]. Runs in the decider.

// Scope is what a statistic is about: a project, an item, or an item in a
// project. 0 stands for all.
type Scope struct {
	Project, Item uint32 // ordinals
}

func (s Scope) covers(k counterKey) bool {
	return (s.Project == 0 || s.Project == k.project) && (s.Item == 0 || s.Item == k.item)
}

// Series is one line of a statistic.
type Series struct {
	Module uint16   // of Uses: the ordinal, 0 for none in particular
	Code   Code     // of Denials
	Values []uint64 // one an interval
}

// Series returns a measure in the intervals from first to last, both included,
// see [SeriesQuery].
func (c *Core) Series(s Scope, m Measure, g Grain, first, last uint32) []Series {
	q := NewSeriesQuery(s, m, g, first, last)
	for !q.Step(c) {
	}
	return q.Lines
}

// SeriesQuery reads a measure in steps, so that decisions go on between them. A
// grain's intervals are numbered by [Grain.At]. Uses are split by module and
// Denials by code, the other measures are one series. Devices and NewDevices are
// days only, and need a project or an item, like Concurrency; grains that are not
// kept are empty.
type SeriesQuery struct {
	Lines []Series

	scope       Scope
	measure     Measure
	grain       Grain
	first, last uint32
	key         int // of the total rows, where sums go on
	at          int // interval of that key
}

// NewSeriesQuery begins a query for the intervals from first to last, both included.
func NewSeriesQuery(s Scope, m Measure, g Grain, first, last uint32) *SeriesQuery {
	return &SeriesQuery{scope: s, measure: m, grain: g, first: first, last: last}
}

// seriesStep is how many rows, or keys that are passed over, a step looks at:
// some tens of microseconds.
const seriesStep = 1024

// Step reads on and says whether all is read. It runs in the decider.
func (q *SeriesQuery) Step(c *Core) (done bool) {
	budget := seriesStep
	if !q.measure.summed() {
		budget -= q.add(c, q.line(0), q.scope.Project, q.scope.Item, 0, budget)
		return q.at == 0
	}
	totals := c.counterRows.totals
	for budget > 0 && q.key < len(totals) {
		k := totals[q.key]
		budget--
		if c.counts(k, q.measure) && q.scope.covers(k) {
			budget -= q.add(c, q.line(k.module), k.project, k.item, k.module, budget)
		}
		if q.at == 0 {
			q.key++
		}
	}
	return q.key == len(totals)
}

// summed says whether a measure is counted for projects, items and modules apart.
func (m Measure) summed() bool { return m == Uses || m == Authorizations || m == Denials }

// line finds the series that a key's module or code adds to.
func (q *SeriesQuery) line(module uint16) []uint64 {
	for i := range q.Lines {
		if q.Lines[i].Module == module && q.measure == Uses || uint16(q.Lines[i].Code) == module && q.measure == Denials || q.measure != Uses && q.measure != Denials {
			return q.Lines[i].Values
		}
	}
	line := Series{Values: make([]uint64, q.last-q.first+1)}
	switch q.measure {
	case Uses:
		line.Module = module
	case Denials:
		line.Code = Code(module)
	}
	q.Lines = append(q.Lines, line)
	return line.Values
}

// add adds a series' intervals to values, from the one at which the query stands,
// and returns how many rows it looked up, at most rows. Then at is 0 when it is
// through.
func (q *SeriesQuery) add(c *Core, values []uint64, project, item uint32, module uint16, rows int) (looked int) {
	for ; q.at < len(values) && looked < max(rows, 1); looked++ {
		k, at := seriesKey(project, item, module, q.measure, q.grain, q.first+uint32(q.at))
		n := min(counterValues-int(at), len(values)-q.at)
		if row, ok := c.counterRows.lookup(k); ok {
			r := c.counter(row)
			for j := range n {
				values[q.at+j] += r.values[int(at)+j]
			}
		}
		q.at += n
	}
	if q.at == len(values) {
		q.at = 0
	}
	return looked
}

// counts says whether a total row's key has series of a summed measure.
func (c *Core) counts(k counterKey, m Measure) bool {
	if m == Denials {
		return k.span == spanDenials
	}
	return k.span == spanTotal && k.project != 0 && k.item != 0 && (m == Uses || k.module == 0)
}

// Totals are the sums of all history.
type Totals struct {
	Uses           map[uint16]uint64 // scans or pages by module ordinal, 0: none in particular
	Denials        map[Code]uint64
	Authorizations uint64
	Devices        uint64 // client UUIDs ever authorized; of a project or an item
	Undated        uint64 // report lines whose slot could not be true; of an item [SLOT-1]
	Overuse        uint64 // drawn from the budget; of an item [CDEV-2]
}

// Totals returns the sums of a scope.
func (c *Core) Totals(s Scope) Totals {
	t := Totals{Uses: map[uint16]uint64{}, Denials: map[Code]uint64{}}
	for _, k := range c.counterRows.totals {
		row, _ := c.counterRows.lookup(k)
		v := &c.counter(row).values
		switch {
		case !s.covers(k):
		case c.counts(k, Denials):
			t.Denials[Code(k.module)] += v[0]
		case c.counts(k, Uses):
			t.Uses[k.module] += v[valueUses]
			t.Authorizations += v[valueAuthorizations]
		}
	}
	t.Devices = c.value(counterKey{project: s.Project, item: s.Item}, valueDevices)
	t.Undated = c.value(counterKey{item: s.Item}, valueUndated)
	t.Overuse = c.value(counterKey{item: s.Item}, valueOveruse)
	return t
}
