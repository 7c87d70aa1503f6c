package engine

// The effects that count: what each needs, and what it does. The numbers that
// bound a quota, the numbers of the statistics and the latest records are
// changed by the same effect, so they can't disagree [STAT-3].

func (c *Core) applyCounter(e *counterEffect) {
	r := c.editCounter(e.row)
	if !c.live || r.key != (counterKey{}) { // cells of the row's former key
		c.lineCache = lineCache{}
	}
	if c.live && r.key != (counterKey{}) {
		c.counterRows.remove(r.key)
	}
	*r = counterRow{key: e.key}
	c.counterRows.add(e.key, e.row)
}

func (c *Core) applyCount(e *countEffect) { c.add(cell{e.row, e.value}, e.delta) }

func (e *reportEffect) find(c *Core) {
	c.cells = c.cells[:0]
	for i := range e.lines {
		l := &e.lines[i]
		c.cells = append(c.cells, c.lineCells(lineKey{e.project, e.item, l.Slot, uint32(l.Module)}))
	}
	e.cells = c.cells
	if len(e.cells) > 0 {
		e.quotaRow = e.cells[0].quota
	} else {
		e.quotaRow = c.rowOf(counterKey{item: e.item})
	}
}

func (c *Core) applyReport(e *reportEffect) {
	c.applyStep(&e.stepEffect)
	s := c.editSeat(e.place)
	if c.live && e.until != s.activeUntil {
		w := s.occupies()
		c.seatEnds(e.item, e.project, s.activeUntil, -w)
		c.seatEnds(e.item, e.project, e.until, w)
	}
	s.activeUntil, s.flags = e.until, e.flags
	sum := uint64(0)
	for i := range e.lines {
		c.applyLine(uint64(e.lines[i].Count), &e.cells[i])
		sum += uint64(e.lines[i].Count)
	}
	if e.quotaRow != noRow {
		quota := c.editCounter(e.quotaRow)
		quota.values[valueReports]++
		quota.values[valueUses] += sum
	}
	if c.live {
		c.items[e.item].touched = true
		c.share(e.item, e.project).uses += sum
	}
	// Field by field: a copy of what was just written would wait for every store
	// before it that misses the cache.
	r := c.editRecord(e.record)
	r.uuid, r.time, r.item = c.device(e.row).uuid, c.second, uint16(e.item)
	r.slot, r.detail, r.count = 0, 0, 0
	if len(e.lines) > 0 {
		r.slot, r.detail, r.count = e.lines[0].Slot, e.lines[0].Module, uint32(min(sum, 1<<32-1))
	}
}

// applyLine counts n for one line of a report.
func (c *Core) applyLine(n uint64, at *lineCells) {
	if at.total != noRow {
		total := c.editCounter(at.total)
		total.values[valueUses] += n
		total.values[valueReports]++
	}
	c.add(at.slot, n)
	c.add(at.hour, n)
	c.add(at.day, n)
}

func (c *Core) editRecord(at uint32) *record {
	return &(*recordRow)(c.details.edit(at/recordsPerRow, c.index))[at%recordsPerRow]
}

func (e *slotUseEffect) find(c *Core) {
	e.inBoth, e.inItem, e.budget = cell{row: noRow}, cell{row: noRow}, cell{row: noRow}
	if e.scope&ofBoth != 0 {
		e.inBoth = c.series(e.project, e.item, 0, Concurrency, Slot, e.slot)
	}
	if e.scope&ofItem != 0 {
		e.inItem = c.series(0, e.item, 0, Concurrency, Slot, e.slot)
	}
	if e.overuse != 0 {
		e.budget = c.total(0, e.item, valueOveruse)
	}
}

func (c *Core) applySlotUse(e *slotUseEffect) {
	r := (*slotRow)(c.slots.edit(e.row, c.index))
	bit := e.slot % slotsPerRow
	r.bits[bit/64] |= 1 << (bit % 64)
	c.add(e.inBoth, uint64(e.weight))
	c.add(e.inItem, uint64(e.weight))
	c.add(e.budget, uint64(e.overuse))
}

// scoped calls cell for every bit of the scope, with the project and item that
// the bit stands for.
func (s scope) scoped(project, item uint32, of func(project, item uint32) cell) (cells [3]cell) {
	keys := [3][2]uint32{{project, item}, {0, item}, {project, 0}}
	for i, k := range keys {
		cells[i].row = noRow
		if s>>i&1 != 0 {
			cells[i] = of(k[0], k[1])
		}
	}
	return cells
}

func (e *dayUseEffect) find(c *Core) {
	e.cells = e.scope.scoped(e.project, e.item, func(project, item uint32) cell {
		return c.series(project, item, 0, Devices, Day, uint32(e.day))
	})
}

func (c *Core) applyDayUse(e *dayUseEffect) {
	c.editSeat(e.place).use(e.day)
	for _, x := range e.cells {
		c.add(x, 1)
	}
}

func (e *authorizedEffect) find(c *Core) {
	e.itemTotal = c.total(0, e.item, valueAuthorizations)
	e.total = c.total(e.project, e.item, valueAuthorizations)
	e.hour = c.series(e.project, e.item, 0, Authorizations, Hour, Hour.At(c.now))
	e.day = c.series(e.project, e.item, 0, Authorizations, Day, Day.At(c.now))
	e.newTotals = e.scope.scoped(e.project, e.item, func(project, item uint32) cell { return c.total(project, item, valueDevices) })
	e.newDays = e.scope.scoped(e.project, e.item, func(project, item uint32) cell {
		return c.series(project, item, 0, NewDevices, Day, Day.At(c.now))
	})
}

func (c *Core) applyAuthorized(e *authorizedEffect) {
	if e.row >= c.devices.rows {
		c.missing = true
		return
	}
	for _, x := range [...]cell{e.itemTotal, e.total, e.hour, e.day} {
		c.add(x, 1)
	}
	for i := range e.newDays {
		c.add(e.newTotals[i], 1)
		c.add(e.newDays[i], 1)
	}
	*c.editRecord(e.record) = record{uuid: c.device(e.row).uuid, time: c.second, item: uint16(e.item), count: e.instances}
}

func (e *deniedEffect) find(c *Core) {
	e.total = cell{c.rowOf(counterKey{project: e.project, module: e.code, span: spanDenials}), 0}
	e.hour = c.series(e.project, 0, e.code, Denials, Hour, Hour.At(c.now))
	e.day = c.series(e.project, 0, e.code, Denials, Day, Day.At(c.now))
}

func (c *Core) applyDenied(e *deniedEffect) {
	for _, x := range [...]cell{e.total, e.hour, e.day} {
		c.add(x, 1)
	}
	*c.editRecord(e.record) = record{uuid: e.uuid, time: c.second, item: uint16(e.item), detail: e.code}
}

func (e *peakEffect) find(c *Core) {
	e.inHour = c.series(e.project, e.item, 0, Concurrency, Hour, e.hour)
	e.inDay = c.series(e.project, e.item, 0, Concurrency, Day, e.hour/24)
}

func (c *Core) applyPeak(e *peakEffect) {
	for _, x := range [...]cell{e.inHour, e.inDay} {
		if x.row != noRow {
			v := &c.editCounter(x.row).values[x.at]
			*v = max(*v, e.n)
		}
	}
}
