package engine

// clockEffect says that the clock was set back: what the operator accepted.
// Seats that were granted by the later clock end at most their item's time from
// now on, and what was done on days to come was done today.
type clockEffect struct {
	time  int64 // unix nanoseconds, from now on
	items []clockLimit
}

// clockLimit is when seats on an item end at the latest.
type clockLimit struct {
	item  uint32
	until uint32 // unix seconds
}

// SetBack takes the time back to an earlier one, in unix nanoseconds, as part of
// the batch: nothing else ever does. Everything derived is built anew, which
// takes as long as at a start. The counts stay as they are.
func (c *Core) SetBack(time int64) error {
	if time >= c.time {
		return nil
	}
	e := clockEffect{time: time}
	for _, item := range c.catalog.Items {
		if item != nil {
			e.items = append(e.items, clockLimit{item.Ordinal, uint32(time/1e9 + item.span)})
		}
	}
	c.body = e.append(c.body)
	c.applyClock(&e)
	return c.derive()
}

func (e *clockEffect) append(b []byte) []byte {
	b = le.AppendUint64(append(b, effClock), uint64(e.time))
	b = le.AppendUint32(b, uint32(len(e.items)))
	for _, l := range e.items {
		b = le.AppendUint32(le.AppendUint32(b, l.item), l.until)
	}
	return b
}

func (c *Core) applyClock(e *clockEffect) {
	c.begin(c.index, e.time)
	until := map[uint32]uint32{}
	for _, l := range e.items {
		until[l.item] = l.until
	}
	for n := range c.devices.rows {
		c.setSeatBack(place(n), &c.device(n).seat, until)
		if d := c.device(n); d.lastSeen > c.second {
			e := c.editDevice(n)
			e.lastSeen, e.firstSeen = c.second, min(e.firstSeen, uint16(c.day()))
		}
	}
	for n := range c.seats.rows * seatsPerRow {
		c.setSeatBack(inSeats|place(n), &c.seatRow(n / seatsPerRow).seats[n%seatsPerRow], until)
	}
}

// setSeatBack changes a seat only if the later clock shows in it: most rows of a
// large table stay as they are.
func (c *Core) setSeatBack(p place, s *seat, until map[uint32]uint32) {
	limit, known := until[s.item]
	today := uint16(c.day())
	if known && s.activeUntil > limit {
		c.editSeat(p).activeUntil = limit
	}
	if s.lastDay > today {
		e := c.editSeat(p)
		e.days >>= e.lastDay - today
		e.lastDay = today
	}
}
