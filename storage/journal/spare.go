package journal

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
)

// spare makes the next segment ahead of use, so that an append never pays for
// allocation and rarely waits for zeros. There is at most one in the making.
type spare struct {
	opt      Options
	stop     atomic.Bool
	pending  bool // a segment was ordered and not yet taken
	orders   chan uint64
	made     chan made
	released released
	allowed  atomic.Int64  // bytes that may be filled by now
	more     chan struct{} // they have become more, or stop is set
}

// released are files of segments that the journal is done with, to be filled
// with zeros again: on a file system that frees blocks at once (ext4 mounted
// with discard) the removal of one holds up every sync for more than 10 ms.
type released struct {
	mu    sync.Mutex
	names []string
}

// releasedMax is how many wait at most: what a checkpoint releases where there are
// many devices.
const releasedMax = 16

// put takes a file in, if there is room.
func (r *released) put(name string) (ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ok = len(r.names) < releasedMax; ok {
		r.names = append(r.names, name)
	}
	return ok
}

// take gives a file out, "" if there is none.
func (r *released) take() (name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.names) > 0 {
		name, r.names = r.names[0], r.names[1:]
	}
	return name
}

type made struct {
	file File
	err  error
}

func newSpare(opt Options) *spare {
	s := &spare{opt: opt, orders: make(chan uint64, 1), made: make(chan made, 1), more: make(chan struct{}, 1)}
	if !opt.Inline {
		go s.run()
	}
	return s
}

// run is the helper goroutine; it ends when orders is closed.
func (s *spare) run() {
	for number := range s.orders {
		file, err := makeSegment(s.opt, number, s.opt.SegmentBytes, s.released.take(), s.pace)
		s.made <- made{file, err}
	}
}

// begin orders the segment of that number.
func (s *spare) begin(number uint64) {
	if s.opt.Inline {
		return
	}
	s.pending = true
	s.allow(fillAheadBytes)
	s.orders <- number
}

// fillAheadBytes is how much of a segment is filled whatever the present one has.
const fillAheadBytes = 2 << 20

// used lets the fill go on as the present segment is used, and be through when two
// thirds of that are: all at once it would take the disk from the appends.
func (s *spare) used(offset, size int64) {
	if !s.pending {
		return
	}
	bytes := fillAheadBytes + offset*3/2*s.opt.SegmentBytes/size
	if bytes/fillStepBytes > s.allowed.Load()/fillStepBytes { // not for every entry a wake-up
		s.allow(bytes)
	}
}

func (s *spare) allow(bytes int64) {
	s.allowed.Store(bytes)
	s.wake()
}

func (s *spare) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// pace waits until the fill may go on at off; false ends it.
func (s *spare) pace(off int64) (on bool) {
	for off >= s.allowed.Load() && !s.stop.Load() {
		<-s.more
	}
	return !s.stop.Load()
}

// take returns the segment that was ordered, and waits for it. A failure may be
// hours old, so it is tried once more before it is reported.
func (s *spare) take(number uint64) (File, error) {
	if s.opt.Inline {
		return makeSegment(s.opt, number, s.opt.SegmentBytes, s.released.take(), nil)
	}
	if s.pending {
		if result := s.wait(); result.err == nil {
			return result.file, nil
		}
	}
	s.begin(number)
	result := s.wait()
	return result.file, result.err
}

func (s *spare) wait() made {
	s.allow(math.MaxInt64)
	result := <-s.made
	s.pending = false
	return result
}

// close ends the goroutine, and with it a fill that is under way.
func (s *spare) close() error {
	s.stop.Store(true)
	s.wake()
	close(s.orders)
	if !s.pending {
		return nil
	}
	if result := s.wait(); result.file != nil {
		return result.file.Close()
	}
	return nil // what failed to be made was never needed
}

var errStopped = errors.New("the journal was closed")

// makeSegment writes a segment of size zeros, over a released one if there is any,
// and returns it once the zeros and its name are durable. The header is still
// missing.
func makeSegment(opt Options, number uint64, size int64, released string, pace func(off int64) bool) (File, error) {
	from, to := fillName(number), segment{number: number}.name()
	if released != "" {
		from = released
	}
	if err := makeZeros(opt.Disk, from, size, pace); err != nil {
		_ = opt.Disk.Remove(from) // if it stays, the next try or the next Open replaces it
		return nil, err
	}
	if err := opt.Disk.Rename(from, to); err != nil {
		return nil, fmt.Errorf("rename %s: %w", from, err)
	}
	if err := opt.Disk.SyncDir(); err != nil {
		return nil, fmt.Errorf("sync directory: %w", err)
	}
	// Opened anew: not every system renames a file that is open.
	file, err := opt.Disk.Open(to, true)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", to, err)
	}
	return file, nil
}

// makeZeros makes a durable file of zeros, in place of the one of that name.
func makeZeros(disk Disk, name string, size int64, pace func(off int64) bool) error {
	file, err := emptied(disk, name, size)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	err = fill(file, 0, size, pace)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("fill %s: %w", name, err)
	}
	return nil
}

// emptied opens a file to be filled with zeros: one that is there, if it has that
// size, or a new one.
func emptied(disk Disk, name string, size int64) (File, error) {
	if file, err := disk.Open(name, true); err == nil {
		if has, err := file.Size(); err == nil && has == size {
			return file, nil
		}
		_ = file.Close() // nothing was written
	}
	return disk.Create(name)
}

// fill writes zeros from off to end and syncs them, step by step: a sync of many
// megabytes at once holds up every other one on the disk, and so all answers.
// pace, if there is one, waits before each step, and says whether to go on.
func fill(file File, off, end int64, pace func(off int64) bool) error {
	for off < end {
		if pace != nil && !pace(off) {
			return errStopped
		}
		n := min(end-off, fillStepBytes)
		if _, err := file.WriteAt(zeros[:n], off); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		off += n
	}
	return nil
}
