package engine

import (
	"cmp"
	"math/bits"
	"slices"
)

// A checkpoint is fuzzy: between batches the decider copies a few dirty pages at
// a time, and traffic goes on. Every page carries the index of the last entry
// applied to it, so replay from the index at which the pass began brings each
// page to the present, whenever it was copied.
type checkpointPass struct {
	running bool
	index   uint64
	table   uint8
	page    int
	ends    [Tables]int
}

// CheckpointStart is what a pass begins with.
type CheckpointStart struct {
	Index   uint64 // every effect up to here will be in the checkpoint
	Rows    [Tables]uint32
	Objects []ObjectCopy // changed since the pass before
}

// ObjectCopy is a catalog object on its way to the checkpoint.
type ObjectCopy struct {
	Key   ObjectKey
	Index uint64
	Data  []byte // empty: deleted
}

// BeginCheckpoint starts a pass. Call it between batches, when all that was
// decided is durable.
func (c *Core) BeginCheckpoint() CheckpointStart {
	start := CheckpointStart{Index: c.index}
	c.checkpoint = checkpointPass{running: true, index: c.index}
	for id := range uint8(Tables) {
		start.Rows[id] = c.table(id).rows
		c.checkpoint.ends[id] = c.table(id).pages()
	}
	for key, o := range c.objects {
		if o.dirty {
			o.dirty = false
			start.Objects = append(start.Objects, ObjectCopy{key, o.index, o.data})
		}
	}
	slices.SortFunc(start.Objects, func(a, b ObjectCopy) int { // the same pass writes the same, as a seeded simulation needs it
		return cmp.Or(cmp.Compare(a.Key.Kind, b.Key.Kind), cmp.Compare(a.Key.ID, b.Key.ID))
	})
	return start
}

// StateBytes is what all pages take.
func (c *Core) StateBytes() (n int64) {
	for id := range uint8(Tables) {
		n += int64(c.table(id).pages()) * PageBytes
	}
	return n
}

// CheckpointDone says that no pass is under way.
func (c *Core) CheckpointDone() bool { return !c.checkpoint.running }

// CheckpointIndex is the journal index at which the last pass began.
func (c *Core) CheckpointIndex() uint64 { return c.checkpoint.index }

// CheckpointProgress is how many pages the pass has behind it, of how many.
func (c *Core) CheckpointProgress() (passed, of int) {
	p := &c.checkpoint
	for id, end := range p.ends {
		of += end
		switch {
		case uint8(id) < p.table:
			passed += end
		case uint8(id) == p.table:
			passed += min(p.page, end)
		}
	}
	return passed, of
}

// CheckpointStep copies at most len(pages) dirty pages and returns how many it
// copied; done says that the pass is complete. Call it between batches.
func (c *Core) CheckpointStep(pages []Page, ids []PageID) (n int, done bool) {
	p := &c.checkpoint
	for ; p.table < Tables; p.table, p.page = p.table+1, 0 {
		t := c.table(p.table)
		for p.page < p.ends[p.table] {
			word := t.dirty[p.page/64] >> (p.page % 64)
			if word == 0 {
				p.page = (p.page/64 + 1) * 64
				continue
			}
			p.page += bits.TrailingZeros64(word)
			if p.page >= p.ends[p.table] {
				break
			}
			if n == len(pages) {
				return n, false
			}
			t.dirty[p.page/64] &^= 1 << (p.page % 64)
			pages[n] = *t.page(uint32(p.page))
			ids[n] = PageID{p.table, uint32(p.page)}
			n++
			p.page++
		}
	}
	p.running = false
	return n, true
}
