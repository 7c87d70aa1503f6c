package journal

import (
	"errors"
	"fmt"
)

// Options says where a journal lives.
type Options struct {
	Disk Disk
	// SegmentBytes is the size of new segments: a multiple of 512 between
	// SegmentBytesMin and SegmentBytesMax, or 0 for SegmentBytesDefault. The very
	// first is smaller, since Open waits for its zeros. Segments of another size
	// that are there already stay as they are.
	SegmentBytes int64
	// Inline makes the next segment at the moment it is needed, on the goroutine that
	// appends, instead of ahead of use on one of its own. It is slower,
	// but the order of all calls to Disk is fixed, as a seeded simulation needs it.
	Inline bool
	// Durable is the newest entry that the caller knows to have been durable: a
	// journal that ends before it has lost its end. It matters above Open's from.
	Durable uint64
}

func (opt Options) checked() (Options, error) {
	if opt.SegmentBytes == 0 {
		opt.SegmentBytes = SegmentBytesDefault
	}
	var faults []error
	if opt.Disk == nil {
		faults = append(faults, errors.New("journal: no disk given: set Options.Disk, for instance to a Dir"))
	}
	if n := opt.SegmentBytes; n < SegmentBytesMin || n > SegmentBytesMax || n%sectorBytes != 0 {
		faults = append(faults, fmt.Errorf("journal: segment size %d: take a multiple of %d from %d to %d",
			n, sectorBytes, SegmentBytesMin, SegmentBytesMax))
	}
	return opt, errors.Join(faults...)
}

// Open opens the journal on opt.Disk, or begins one. It checks every entry and
// calls replay for those with an index above from, in order. They are durable, and
// to be acted upon, once Open has returned without error.
//
// A torn tail is dropped; Journal.Found tells of it. The error is a *DamageError
// where acknowledged entries cannot be read back or where entries above from, or
// from itself, are missing; ErrVersion for a format that this program does not
// know; or the error of replay, as it is. Open has changed nothing on disk when
// it returns one of these.
func Open(opt Options, from uint64, replay func(Entry) error) (*Journal, error) {
	opt, err := opt.checked()
	if err != nil {
		return nil, err
	}
	w := walk{disk: opt.Disk, visit: func(e Entry) error {
		if e.Index <= from {
			return nil
		}
		return replay(e)
	}}
	if err := w.run(); err != nil {
		return nil, err
	}
	if err := w.covers(from, max(from, opt.Durable)); err != nil {
		return nil, err
	}
	j := &Journal{Found: w.report, opt: opt, at: w.at, segments: w.segments, bytes: w.report.Bytes}
	j.last.Store(w.at.index)
	if err := j.recover(&w); err != nil {
		if j.file != nil {
			_ = j.file.Close() // the first error tells more
		}
		return nil, fmt.Errorf("journal: recovery: %w", err)
	}
	j.spare = newSpare(opt)
	j.spare.begin(j.active.number + 1)
	return j, nil
}

// covers checks that the journal reaches from the index that the caller has to
// have to the last one that it was told of. A checkpoint is written only of
// entries that are durable, so one that is ahead of the journal means that the
// journal lost its end.
func (w *walk) covers(from, durable uint64) error {
	var file string
	if n := len(w.segments); n > 0 {
		file = w.segments[n-1].name()
		if first := w.segments[0].first; first > from+1 {
			return &DamageError{w.segments[0].name(), 0,
				fmt.Sprintf("the journal begins with entry %d, entries from %d on are needed", first, from+1)}
		}
	}
	if w.at.index < durable {
		return &DamageError{file, w.end,
			fmt.Sprintf("the journal ends with entry %d, but entry %d had been made durable", w.at.index, durable)}
	}
	return nil
}

// recover makes what was read durable and what is behind it zero, removes what is not
// in use and leaves the last segment open for appends.
func (j *Journal) recover(w *walk) error {
	if len(w.segments) > 0 {
		if err := j.settle(w); err != nil {
			return err
		}
	}
	for _, name := range w.unused {
		if err := j.opt.Disk.Remove(name); err != nil {
			return fmt.Errorf("remove %s: %w", name, err)
		}
	}
	if err := j.opt.Disk.SyncDir(); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if len(w.segments) > 0 {
		return nil
	}
	size := min(j.opt.SegmentBytes, firstSegmentBytes)
	file, err := makeSegment(j.opt, 1, size, "", nil)
	if err != nil {
		return err
	}
	if err := j.begin(file, segment{number: 1, first: 1, bytes: size}); err != nil {
		return err
	}
	j.Found.FirstIndex = 1
	return nil
}

// settle writes the last entry over itself, so that it is durable whatever the
// kernel believes of its cache, zeroes a torn tail, and syncs.
func (j *Journal) settle(w *walk) error {
	at := w.segments[len(w.segments)-1]
	file, err := j.opt.Disk.Open(at.name(), true)
	if err != nil {
		return fmt.Errorf("open %s: %w", at.name(), err)
	}
	j.active, j.file, j.offset = at, file, w.end
	if err := rewrite(file, w.last, w.end); err != nil {
		return fmt.Errorf("write %s: %w", at.name(), err)
	}
	if err := fill(file, w.end, w.end+w.report.Torn.Bytes, nil); err != nil {
		return fmt.Errorf("clear the torn tail of %s: %w", at.name(), err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", at.name(), err)
	}
	return nil
}

// rewrite writes the bytes from off to end over themselves.
func rewrite(file File, off, end int64) error {
	buf := alignedBytes(int(min(end-off, fillStepBytes)))
	for off < end {
		step := buf[:min(end-off, fillStepBytes)]
		if n, err := file.ReadAt(step, off); n < len(step) {
			return err
		}
		if _, err := file.WriteAt(step, off); err != nil {
			return err
		}
		off += int64(len(step))
	}
	return nil
}
