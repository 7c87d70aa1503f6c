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
// of a grain, see [Grain.At]. Uses are split by module and Denials by code, the
// other measures are one series. Devices and NewDevices are days only, and need
// a project or an item, like Concurrency; other grains that are not kept are empty.
func (c *Core) Series(s Scope, m Measure, g Grain, first, last uint32) []Series {
	switch m {
	case Uses, Authorizations, Denials:
		return c.sumSeries(s, m, g, first, last)
	}
	values := make([]uint64, last-first+1)
	c.addSeries(values, s.Project, s.Item, 0, m, g, first)
	return []Series{{Values: values}}
}

// sumSeries adds up what is counted for projects, items and modules apart.
func (c *Core) sumSeries(s Scope, m Measure, g Grain, first, last uint32) (out []Series) {
	find := func(module uint16) []uint64 {
		for i := range out {
			if out[i].Module == module && m == Uses || uint16(out[i].Code) == module && m == Denials || m == Authorizations {
				return out[i].Values
			}
		}
		line := Series{Values: make([]uint64, last-first+1)}
		switch m {
		case Uses:
			line.Module = module
		case Denials:
			line.Code = Code(module)
		}
		out = append(out, line)
		return line.Values
	}
	for _, k := range c.counterRows.totals {
		if c.counts(k, m) && s.covers(k) {
			c.addSeries(find(k.module), k.project, k.item, k.module, m, g, first)
		}
	}
	return out
}

// counts says whether a total row's key has series of a summed measure.
func (c *Core) counts(k counterKey, m Measure) bool {
	if m == Denials {
		return k.span == spanDenials
	}
	return k.span == spanTotal && k.project != 0 && k.item != 0 && (m == Uses || k.module == 0)
}

// addSeries adds a series' intervals from first on to values.
func (c *Core) addSeries(values []uint64, project, item uint32, module uint16, m Measure, g Grain, first uint32) {
	for i := 0; i < len(values); {
		k, at := seriesKey(project, item, module, m, g, first+uint32(i))
		n := min(counterValues-int(at), len(values)-i)
		if row, ok := c.counterRows.lookup(k); ok {
			r := c.counter(row)
			for j := range n {
				values[i+j] += r.values[int(at)+j]
			}
		}
		i += n
	}
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
