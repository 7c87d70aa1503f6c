package engine

// expiries counts, for one item, the seats that are held and when each of them
// ends, so that a seat is free in the very second its time passes [DEV-2]
// without looking at any row. It is derived from the seats and never stored.
//
// Reports refresh seats all the time, so nearly all ends lie in the newest few
// minutes: those seconds are a ring, the seconds left behind by silent devices
// are a map.
type expiries struct {
	held  uint64 // seats, by weight, with now < activeUntil
	now   uint32 // seconds up to here have passed
	top   uint32 // newest second in the ring; the ring covers (top-len, top]
	ring  [ringSeconds]uint32
	older map[uint32]uint32
}

const ringSeconds = 1024 // a slot and a day's jitter fit several times

// add counts a seat of a weight that is held until the second end; a negative
// weight takes one back that was added with the same end.
func (x *expiries) add(end uint32, weight int32) {
	if end <= x.now {
		return // it ended, or has ended by itself
	}
	x.held += uint64(int64(weight))
	x.shift(end, uint32(weight))
}

// shift adds delta to the count of the second end.
func (x *expiries) shift(end, delta uint32) {
	if end > x.top {
		x.raise(end)
	}
	if x.top-end < ringSeconds {
		x.ring[end%ringSeconds] += delta
		return
	}
	if x.older == nil {
		x.older = make(map[uint32]uint32)
	}
	if n := x.older[end] + delta; n == 0 {
		delete(x.older, end)
	} else {
		x.older[end] = n
	}
}

// raise moves the ring's newest second up to top; seconds that fall out of the
// ring move to the map.
func (x *expiries) raise(top uint32) {
	steps := min(top-x.top, ringSeconds)
	for s := range steps {
		second := x.top - ringSeconds + 1 + s // falls out
		cell := &x.ring[second%ringSeconds]
		if *cell != 0 {
			if x.older == nil {
				x.older = make(map[uint32]uint32)
			}
			x.older[second] += *cell
			*cell = 0
		}
	}
	x.top = top
}

// advance lets time pass: seats whose end is at or before now are free.
func (x *expiries) advance(now uint32) {
	if now <= x.now {
		return
	}
	if now-x.now > uint32(len(x.older)) {
		x.sweepOlder(now)
	} else {
		for s := x.now + 1; s <= now; s++ {
			x.held -= uint64(x.older[s])
			delete(x.older, s)
		}
	}
	if x.top > x.now {
		first := max(x.now+1, x.top-min(x.top, ringSeconds-1))
		for s := first; s <= min(now, x.top); s++ {
			x.held -= uint64(x.ring[s%ringSeconds])
			x.ring[s%ringSeconds] = 0
		}
	}
	x.now = now
}

func (x *expiries) sweepOlder(now uint32) {
	for s, n := range x.older {
		if s <= now {
			x.held -= uint64(n)
			delete(x.older, s)
		}
	}
}
