package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"muster/storage/journal"
	"muster/storage/journal/simdisk"
)

func newRNG(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x6a6f75726e616c)) }

// fullDisk fails all calls of some kinds that make a segment, while it is full.
type fullDisk struct {
	*simdisk.Disk
	mu   sync.Mutex
	full [8]bool
}

func (d *fullDisk) setFull(op simdisk.Op, full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full[op] = full
}

func (d *fullDisk) fail(op simdisk.Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full[op] {
		return syscall.ENOSPC
	}
	return nil
}

type fillingFile struct {
	journal.File
	disk *fullDisk
}

func (f fillingFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.disk.fail(simdisk.OpWrite); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f fillingFile) Sync() error { return errors.Join(f.disk.fail(simdisk.OpSync), f.File.Sync()) }

func (d *fullDisk) Create(name string) (journal.File, error) {
	if err := d.fail(simdisk.OpCreate); err != nil {
		return nil, err
	}
	file, err := d.Disk.Create(name)
	return fillingFile{file, d}, err
}

func (d *fullDisk) Rename(from, to string) error {
	if err := d.fail(simdisk.OpRename); err != nil {
		return err
	}
	return d.Disk.Rename(from, to)
}

func (d *fullDisk) SyncDir() error { return errors.Join(d.fail(simdisk.OpSyncDir), d.Disk.SyncDir()) }

// history is what a caller of the journal may rely on.
type history struct {
	rng      *rand.Rand
	inline   bool
	acked    [][]byte // bodies of entries 1.., acknowledged or settled by an Open
	inDoubt  []byte   // at most one more, appended without an answer
	doubtful bool
	released uint64
	torn     int // tails dropped, over all starts
	starts   int
}

// start opens the journal and holds what it replays against the history.
func (h *history) start(disk *simdisk.Disk) (*journal.Journal, error) {
	opt := small(disk)
	opt.Inline = h.inline
	var got entries
	j, err := journal.Open(opt, h.released, got.add)
	if err != nil {
		return nil, err
	}
	h.starts++
	if j.Found.Torn.Bytes > 0 {
		h.torn++
	}
	return j, h.settle(got)
}

// settle checks the prefix property: all that was acknowledged, at most the
// entry in doubt besides, and from now on exactly this.
func (h *history) settle(got entries) error {
	last := h.released + uint64(len(got))
	if last < uint64(len(h.acked)) {
		return fmt.Errorf("acknowledged up to %d, recovered up to %d", len(h.acked), last)
	}
	if h.doubtful && last == uint64(len(h.acked))+1 {
		h.acked = append(h.acked, h.inDoubt)
	}
	h.doubtful = false
	if last > uint64(len(h.acked)) {
		return fmt.Errorf("recovered up to %d, only %d were ever written", last, len(h.acked))
	}
	for i, e := range got {
		want := h.released + uint64(i) + 1
		if e.Index != want || !bytes.Equal(e.Body, h.acked[want-1]) {
			return fmt.Errorf("entry %d came back as %d with %d bytes", want, e.Index, len(e.Body))
		}
	}
	return nil
}

// work appends and releases until the disk fails or the steps are used up.
func (h *history) work(j *journal.Journal, steps int) error {
	for range steps {
		if h.rng.IntN(12) == 0 && len(h.acked) > 0 {
			below := h.rng.Uint64N(uint64(len(h.acked)) + 1)
			h.released = max(h.released, min(below, uint64(len(h.acked))))
			if err := j.Release(h.released + 1); err != nil {
				return err
			}
			continue
		}
		b := make([]byte, h.rng.IntN(3*512))
		for i := range b {
			b[i] = byte(h.rng.Uint32())
		}
		h.inDoubt, h.doubtful = b, true
		index, err := j.Append(1, 1, 1, append(j.Buffer(), b...))
		if err != nil {
			h.doubtful = errors.Is(err, journal.ErrInDoubt)
			return err
		}
		h.acked, h.doubtful = append(h.acked, b), false
		if index != uint64(len(h.acked)) {
			return fmt.Errorf("Append = %d, want %d", index, len(h.acked))
		}
	}
	return nil
}

// live runs one life of the process: a fault is set, the journal opened and used.
func (h *history) live(disk *simdisk.Disk) error {
	switch h.rng.IntN(4) {
	case 0, 1:
		disk.PowerOffAt(1 + h.rng.IntN(60))
	case 2:
		ops := []simdisk.Op{simdisk.OpCreate, simdisk.OpWrite, simdisk.OpSync, simdisk.OpRename, simdisk.OpRemove, simdisk.OpSyncDir}
		disk.FailAt(ops[h.rng.IntN(len(ops))], 1+h.rng.IntN(20), syscall.EIO)
	}
	j, err := h.start(disk)
	if err == nil {
		err = h.work(j, h.rng.IntN(40))
		if err != nil || h.rng.IntN(3) == 0 {
			err = errors.Join(err, j.Close())
		} else {
			disk.PowerOffAt(1)
			_ = j.Close() // its seal is the write that is cut short
		}
	}
	for _, expected := range []error{nil, simdisk.ErrPowerOff, syscall.EIO} {
		if errors.Is(err, expected) {
			return nil
		}
	}
	return err
}

// crashes runs eight lives on one disk, with a crash or a kill after each.
func (h *history) crashes() error {
	disk := simdisk.New()
	for range 8 {
		if err := h.live(disk); err != nil {
			return err
		}
		if h.rng.IntN(3) == 0 {
			disk = disk.Kill()
		} else {
			disk = disk.Crash(h.rng)
		}
	}
	j, err := h.start(disk)
	if err != nil {
		return err
	}
	return j.Close()
}

// Every acknowledged entry is there after any crash, entries form a prefix, and
// what an Open has dropped never comes back.
func TestCrashes(t *testing.T) {
	seeds := uint64(2000)
	if testing.Short() {
		seeds = 300
	}
	var starts, torn, written int
	for seed := range seeds {
		h := &history{rng: newRNG(seed), inline: true}
		if err := h.crashes(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		starts, torn, written = starts+h.starts, torn+h.torn, written+len(h.acked)
	}
	t.Logf("%d seeds: %d starts, %d torn tails dropped, %d entries", seeds, starts, torn, written)
	if torn < int(seeds)/10 || written < int(seeds)*10 {
		t.Errorf("only %d torn tails and %d entries in %d seeds: the test has lost its edge", torn, written, seeds)
	}
}

// The same with segments made ahead on the helper goroutine. The order of calls
// is not fixed here, so a failure may need several runs to show again.
func TestCrashesWithHelper(t *testing.T) {
	for seed := range uint64(200) {
		h := &history{rng: newRNG(seed)}
		if err := h.crashes(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
