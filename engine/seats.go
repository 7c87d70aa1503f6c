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

// of finds the client's seat on an item, held or ended.
func (s *clientSeats) of(item uint32) (at place, st *seat) {
	s.each(func(p place, candidate *seat) bool {
		if candidate.item == item {
			at, st = p, candidate
		}
		return st == nil
	})
	return at, st
}

// active finds the client's seat on an item if it is held now, else nil.
func (s *clientSeats) active(item uint32) *seat {
	if _, st := s.of(item); st != nil && st.activeUntil > s.core.second {
		return st
	}
	return nil
}

// free finds a place for a seat on a new item: an empty one, or one whose seat
// ended so long ago that no report can name it any more [SLOT-1]. It makes a row
// of further places when there is none; full means that the client has too many.
func (s *clientSeats) free() (at place, full bool) {
	found, places := false, 0
	last := uint32(0)
	s.each(func(p place, st *seat) bool {
		places++
		found = st.item == 0 || st.activeUntil+LateSeconds < s.core.second
		if found {
			at = p
		}
		return !found
	})
	if found {
		return at, false
	}
	if places >= SeatsMax {
		return 0, true
	}
	for next := s.cl.row.moreSeats; next != 0; next = s.core.seatRow(next - 1).next {
		last = next
	}
	e := seatRowEffect{row: s.core.seats.rows, owner: s.cl.primary, previous: last}
	s.core.body = e.append(s.core.body)
	s.core.applySeatRow(&e)
	return inSeats | place(e.row*seatsPerRow), false
}

// setSeat writes a seat as an effect.
func (c *Core) setSeat(p place, st seat) {
	e := seatEffect{p, st}
	c.body = e.append(c.body)
	c.applySeat(&e)
}
