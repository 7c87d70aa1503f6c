package engine

// itemState is what the decider derives for an item: who holds seats until
// when, project by project. It is rebuilt at start and never stored.
type itemState struct {
	shares  []*share // by project ordinal, nil: never used there
	held    uint64   // seats, by weight, of all shares
	peak    uint64   // most held at a time in the hour under way
	usage   *Usage
	touched bool
}

// share is what is used of an item through one project [PRJ-7].
type share struct {
	expiries
	uses uint64 // scans or pages
	peak uint64 // most held at a time in the hour under way

	usage *ShareUsage
}

func (c *Core) itemState(ordinal uint32) *itemState {
	for uint32(len(c.items)) <= ordinal {
		c.items = append(c.items, nil)
	}
	if c.items[ordinal] == nil {
		c.items[ordinal] = &itemState{usage: &Usage{}, touched: true}
	}
	return c.items[ordinal]
}

func (c *Core) usage(ordinal uint32) *Usage { return c.itemState(ordinal).usage }

// share returns the item's share of a project, made when there is none.
func (c *Core) share(item, project uint32) *share {
	st := c.itemState(item)
	for uint32(len(st.shares)) <= project {
		st.shares = append(st.shares, nil)
	}
	if st.shares[project] == nil {
		st.shares[project] = &share{usage: &ShareUsage{}}
		st.shares[project].advance(c.second)
		st.showShares()
	}
	return st.shares[project]
}

// showShares makes the usage of all shares known to readers.
func (st *itemState) showShares() {
	shown := make([]*ShareUsage, len(st.shares))
	for p, sh := range st.shares {
		if sh != nil {
			shown[p] = sh.usage
		}
	}
	st.usage.shares.Store(&shown)
}

// publish copies the numbers to where readers see them.
func (st *itemState) publish() {
	st.touched = false
	st.usage.Held.Store(st.held)
	for _, sh := range st.shares {
		if sh != nil {
			sh.usage.Uses.Store(sh.uses)
			sh.usage.Held.Store(sh.held)
		}
	}
}

// shareOf is the same for reading: nil if there is none.
func (st *itemState) shareOf(project uint32) *share {
	if project >= uint32(len(st.shares)) {
		return nil
	}
	return st.shares[project]
}

// seatEnds tells the counts of held seats that seats of a weight, which may be
// negative, are held until end.
func (c *Core) seatEnds(item, project, end uint32, weight int32) {
	sh := c.share(item, project)
	before := sh.held
	sh.expiries.add(end, weight)
	st := c.items[item]
	st.held += sh.held - before
	st.touched = true
}

// pass lets time pass for all seats.
func (c *Core) pass() {
	for _, st := range c.items {
		if st == nil {
			continue
		}
		for _, sh := range st.shares {
			if sh == nil || sh.now >= c.second {
				continue
			}
			before := sh.held
			sh.advance(c.second)
			if sh.held != before {
				st.held += sh.held - before
				st.touched = true
			}
		}
	}
}

// countSeat enters a seat that was loaded.
func (c *Core) countSeat(s *seat) {
	if s.item != 0 {
		c.seatEnds(s.item, uint32(s.project), s.activeUntil, s.occupies())
	}
}

// indexShares sums up what each project used of each item.
func (c *Core) indexShares() {
	for n := range c.counters.rows {
		r := c.counter(n)
		if k := r.key; k.span == spanTotal && k.project != 0 && k.item != 0 {
			c.share(k.item, k.project).uses += r.values[valueUses]
		}
	}
}

// used is what counts against a share or, for share nil, against nothing: seats
// held, or scans and pages.
func (sh *share) used(i *Item) uint64 {
	switch {
	case sh == nil:
		return 0
	case i.takesSeats():
		return sh.held
	}
	return sh.uses
}

// used is what counts against the item's quota.
func (c *Core) used(i *Item) uint64 {
	if i.takesSeats() {
		return c.itemState(i.Ordinal).held
	}
	return c.value(counterKey{item: i.Ordinal}, valueUses)
}

// reserved is what other projects than p have reserved of the item and do not
// use yet: p can't have it [PRJ-7].
func (c *Core) reserved(i *Item, p *Project) (n uint64) {
	for _, r := range i.reserves {
		if r.project != p.Ordinal {
			n += above(r.amount, c.items[i.Ordinal].shareOf(r.project).used(i))
		}
	}
	return n
}

// raisePeaks notes how many seats are held of an item that counts seats [STAT-1].
func (c *Core) raisePeaks(item *Item, project uint32) {
	if item.ChargeWay.BySlot() || !item.takesSeats() {
		return
	}
	st, sh := c.itemState(item.Ordinal), c.share(item.Ordinal, project)
	if st.held > st.peak {
		st.peak = st.held
		c.raise(0, item.Ordinal, Hour.At(c.now), st.held)
	}
	if sh.held > sh.peak {
		sh.peak = sh.held
		c.raise(project, item.Ordinal, Hour.At(c.now), sh.held)
	}
}

// turnHour begins the peaks of a new hour with what is held from the one before.
func (c *Core) turnHour() {
	hour := Hour.At(c.now)
	if hour == c.hour {
		return
	}
	c.hour = hour
	for _, item := range c.catalog.Items {
		if item == nil {
			continue
		}
		st := c.itemState(item.Ordinal)
		st.peak = 0
		for project, sh := range st.shares {
			if sh != nil {
				sh.peak = 0
				c.raisePeaks(item, uint32(project))
			}
		}
	}
}

// raise raises the most of an hour, and of its day, to n.
func (c *Core) raise(project, item, hour uint32, n uint64) {
	e := peakEffect{project: project, item: item, hour: hour, n: n}
	e.find(c)
	if !c.below(e.inHour, n) && !c.below(e.inDay, n) {
		return
	}
	c.body = e.append(c.body)
	c.applyPeak(&e)
}

func (c *Core) below(x cell, n uint64) bool {
	return x.row != noRow && c.counter(x.row).values[x.at] < n
}
