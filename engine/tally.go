package engine

import (
	"sync/atomic"

	"muster/protocol"
)

// tallies count decisions by project and code for metrics: plain numbers for
// the decider, copied to atomics once a batch. They begin at zero with the
// process; what is billed stands in the counters table.
type tallies struct {
	plain   [][tallyCodes]uint64 // by project ordinal
	touched []uint32
	shown   atomic.Pointer[[]*[tallyCodes]atomic.Uint64]
}

// tallyCodes bounds the codes: they are below 256.
const tallyCodes = 256

func (t *tallies) grow(projects int) {
	for len(t.plain) < max(projects, 1) {
		t.plain = append(t.plain, [tallyCodes]uint64{})
	}
	old := t.shown.Load()
	if old != nil && len(*old) >= len(t.plain) {
		return
	}
	shown := make([]*[tallyCodes]atomic.Uint64, len(t.plain))
	for i := range shown {
		if old != nil && i < len(*old) {
			shown[i] = (*old)[i]
		} else {
			shown[i] = new([tallyCodes]atomic.Uint64)
		}
	}
	t.shown.Store(&shown)
}

func (t *tallies) add(project uint32, code protocol.Code) {
	if project >= uint32(len(t.plain)) {
		project = 0
	}
	t.plain[project][code%tallyCodes]++
	if n := len(t.touched); n == 0 || t.touched[n-1] != project {
		t.touched = append(t.touched, project)
	}
}

func (t *tallies) publish() {
	shown := *t.shown.Load()
	for _, p := range t.touched {
		for code, n := range t.plain[p] {
			if n != 0 {
				shown[p][code].Store(n)
			}
		}
	}
	t.touched = t.touched[:0]
}

// Tallies calls visit with the number of decisions since start for every
// project and code that had one. Any goroutine may call it.
func (c *Core) Tallies(visit func(project uint32, code protocol.Code, n uint64)) {
	for p, codes := range *c.tally.shown.Load() {
		for code := range codes {
			if n := codes[code].Load(); n != 0 {
				visit(uint32(p), protocol.Code(code), n)
			}
		}
	}
}
