package journal

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// spare makes the next segment ahead of use, so that an append never pays for
// allocation and rarely waits for zeros. There is at most one in the making.
type spare struct {
	opt     Options
	stop    atomic.Bool
	pending bool // a segment was ordered and not yet taken
	orders  chan uint64
	made    chan made
}

type made struct {
	file File
	err  error
}

func newSpare(opt Options) *spare {
	s := &spare{opt: opt, orders: make(chan uint64, 1), made: make(chan made, 1)}
	if !opt.Inline {
		go s.run()
	}
	return s
}

// run is the helper goroutine; it ends when orders is closed.
func (s *spare) run() {
	for number := range s.orders {
		file, err := makeSegment(s.opt, number, &s.stop)
		s.made <- made{file, err}
	}
}

// begin orders the segment of that number.
func (s *spare) begin(number uint64) {
	if s.opt.Inline {
		return
	}
	s.pending = true
	s.orders <- number
}

// take returns the segment that was ordered, and waits for it. A failure may be
// hours old, so it is tried once more before it is reported.
func (s *spare) take(number uint64) (File, error) {
	if s.opt.Inline {
		return makeSegment(s.opt, number, nil)
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
	result := <-s.made
	s.pending = false
	return result
}

// close ends the goroutine, and with it a fill that is under way.
func (s *spare) close() error {
	s.stop.Store(true)
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

// makeSegment writes a segment full of zeros and returns it once the zeros and
// its name are durable. The header is still missing.
func makeSegment(opt Options, number uint64, stop *atomic.Bool) (File, error) {
	from, to := fillName(number), segment{number: number}.name()
	if err := makeZeros(opt, from, stop); err != nil {
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

// makeZeros makes a file of zeros and syncs it.
func makeZeros(opt Options, name string, stop *atomic.Bool) error {
	file, err := opt.Disk.Create(name)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	err = fill(file, 0, opt.SegmentBytes, stop)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("fill %s: %w", name, err)
	}
	return nil
}

// fill writes zeros from off to end.
func fill(file File, off, end int64, stop *atomic.Bool) error {
	for off < end {
		if stop != nil && stop.Load() {
			return errStopped
		}
		n := min(end-off, fillStepBytes)
		if _, err := file.WriteAt(zeros[:n], off); err != nil {
			return err
		}
		off += n
	}
	return nil
}
