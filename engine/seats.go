package engine

// clientSeats are the places that one client UUID has for seats.
type clientSeats struct {
	core  *Core
	cl    client
	known bool
}

func (c *Core) clientSeats(uuid *[16]byte) clientSeats {
	cl, ok := c.client(uuid)
	return clientSeats{c, cl, ok}
}

// each calls visit for every place, free ones too, until it returns false.
func (s *clientSeats) each(visit func(p place, st *seat) bool) {
	if !s.known || !visit(place(s.cl.primary), &s.cl.row.seat) {
		return
	}
	for next := s.cl.row.moreSeats; next != 0; next = s.core.seatRow(next - 1).next {
		row := s.core.seatRow(next - 1)
		for i := range row.seats {
			if !visit(inSeats|place((next-1)*seatsPerRow+uint32(i)), &row.seats[i]) {
				return
			}
		}
	}
}

// find returns the first place that fits, nil if there is none.
func (s *clientSeats) find(fits func(*seat) bool) (at place, st *seat) {
	s.each(func(p place, candidate *seat) bool {
		if fits(candidate) {
			at, st = p, candidate
		}
		return st == nil
	})
	return at, st
}

// of finds the client's place on an item through a project, held or ended.
func (s *clientSeats) of(item, project uint32) (at place, st *seat) {
	return s.find(func(st *seat) bool { return st.item == item && uint32(st.project) == project })
}

// held finds the seat that the client holds on an item now, nil if it holds none.
func (s *clientSeats) held(item uint32) (at place, st *seat) {
	return s.find(func(st *seat) bool { return st.item == item && st.held(s.core.second) })
}

// onItem finds the client's first place on an item.
func (s *clientSeats) onItem(item uint32) (at place, st *seat) {
	return s.find(func(st *seat) bool { return st.item == item })
}

func (st *seat) held(now uint32) bool { return st.activeUntil > now && st.flags&seatEnded == 0 }

// idle says that a place can be given to another item: its grant ended so long
// ago that no device keeps a report under it, and its days are over [SLOT-1].
func (st *seat) idle(now uint32) bool {
	return st.item == 0 || st.activeUntil+LateSeconds < now && (uint32(st.lastDay)+2)*86400+LateSeconds < now
}

// usedOn says whether a report counted on a day; what is too far back to tell
// counts as used.
func (st *seat) usedOn(day uint16) bool {
	return day <= st.lastDay && (st.lastDay-day >= 32 || st.days>>(st.lastDay-day)&1 != 0)
}

// use notes that a report counted on a day.
func (st *seat) use(day uint16) {
	if day > st.lastDay {
		st.days <<= day - st.lastDay
		st.lastDay = day
	}
	st.days |= 1 << (st.lastDay - day)
}

// full says that the client has no place for an item through a project and can
// have no more.
func (s *clientSeats) full(item, project uint32) bool {
	places := 0
	_, st := s.find(func(st *seat) bool {
		places++
		return st.idle(s.core.second) || st.item == item && uint32(st.project) == project
	})
	return st == nil && places >= SeatsMax
}

// free finds a place for a new item or project: an empty or an idle one, or the
// first of a new row of places.
func (s *clientSeats) free() place {
	if at, st := s.find(func(st *seat) bool { return st.idle(s.core.second) }); st != nil {
		return at
	}
	last := uint32(0)
	for next := s.cl.row.moreSeats; next != 0; next = s.core.seatRow(next - 1).next {
		last = next
	}
	e := seatRowEffect{row: s.core.seats.rows, owner: s.cl.primary, previous: last}
	s.core.body = e.append(s.core.body)
	s.core.applySeatRow(&e)
	return inSeats | place(e.row*seatsPerRow)
}

// setSeat writes a seat as an effect.
func (c *Core) setSeat(p place, st seat) {
	e := seatEffect{p, st}
	c.body = e.append(c.body)
	c.applySeat(&e)
}
