package simdisk

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
)

// Crash cuts the power and returns the disk that the next start finds. The old
// one stays off. The same seed and the same calls give the same disk.
func (d *Disk) Crash(rng *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	after := New()
	names := maps.Clone(d.durable)
	fate := newFate(rng)
	for _, c := range d.changes {
		if fate.keep() {
			delete(names, c.remove)
			if c.add != "" {
				names[c.add] = c.file
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		after.put(name, names[name].crash(fate))
	}
	return after
}

// Kill ends the process but not the machine: it returns a disk on which all
// that was written is seen, synced or not. The old one is off.
func (d *Disk) Kill() *Disk {
	after := d.Clone()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	return after
}

// Clone returns a copy with the same contents, durable and not, without faults.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	copies := map[*file]*file{}
	copied := func(f *file) *file {
		if f != nil && copies[f] == nil {
			copies[f] = f.clone()
		}
		return copies[f]
	}
	after := New()
	for name, f := range d.names {
		after.names[name] = copied(f)
	}
	for name, f := range d.durable {
		after.durable[name] = copied(f)
	}
	for _, c := range d.changes {
		after.changes = append(after.changes, change{c.add, c.remove, copied(c.file)})
	}
	return after
}

// Contents returns a copy of what a file holds, nil if there is none.
func (d *Disk) Contents(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.names[name]; f != nil {
		return bytes.Clone(f.seen)
	}
	return nil
}

// SetContents makes a durable file with these bytes, or replaces one.
func (d *Disk) SetContents(name string, contents []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(name, bytes.Clone(contents))
}

// Flip inverts one bit of a file, durably. Bit 0 is the lowest of byte 0.
func (d *Disk) Flip(name string, bit int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.names[name]
	f.seen[bit/8] ^= 1 << (bit % 8)
	f.durable[bit/8] ^= 1 << (bit % 8)
}

func (d *Disk) put(name string, contents []byte) {
	n := sectors(len(contents))
	f := &file{contents, bytes.Clone(contents), make([]bool, n), make([]bool, n)}
	d.names[name], d.durable[name] = f, f
}

// fate decides what survives. Some crashes keep all, some nothing: a mixture of
// each alone would hardly ever leave a long write whole.
type fate struct {
	rng  *rand.Rand
	mood int
}

func newFate(rng *rand.Rand) fate { return fate{rng, rng.IntN(4)} }

func (f fate) keep() bool {
	switch f.mood {
	case 0:
		return true
	case 1:
		return false
	default:
		return f.rng.IntN(2) == 0
	}
}

// crash returns what is left of a file.
func (f *file) crash(fate fate) []byte {
	size := len(f.durable)
	if grown := len(f.seen) - size; grown > 0 && fate.keep() {
		size += grown
		if fate.mood > 1 {
			size -= fate.rng.IntN(grown + 1)
		}
	}
	left := make([]byte, size)
	copy(left, f.durable)
	for s := range sectors(size) {
		if f.dirty[s] || f.limbo[s] {
			fate.blend(f.sector(left, s), f.sector(f.seen, s))
		}
	}
	return left
}

// blend keeps, drops or tears one sector.
func (f fate) blend(old, changed []byte) {
	if f.mood > 1 && f.rng.IntN(8) == 0 {
		cut := f.rng.IntN(len(old) + 1)
		if f.rng.IntN(2) == 0 {
			copy(old[:cut], changed)
		} else {
			copy(old[cut:], changed[min(cut, len(changed)):])
		}
		return
	}
	if f.keep() {
		copy(old, changed)
	}
}
