package bench

import (
	"context"
	"os"
	"runtime"
	"sync"
	"time"

	"muster/storage/journal"
)

// pauses measures what the machine adds to a latency by itself: on either CPU a
// thread reads the clock all the time, beside an idle server. Whenever it could not
// for a while, other threads ran or the machine's host took the CPU away: what was
// due at a moment of that had to wait for its end.
func (l *Lab) pauses(ctx context.Context) (f Figures, err error) {
	cpus := []int{-1}
	if l.Site.Pin {
		cpus = []int{serverCPU, loadCPU}
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), len(cpus))))
	h := NewHistogram()
	faults := make([]error, len(cpus))
	var wg sync.WaitGroup
	for i, cpu := range cpus {
		wg.Go(func() {
			faults[i] = pinned(cpu, func() error {
				watchClock(ctx, l.Time, h)
				return ctx.Err()
			})
		})
	}
	wg.Wait()
	f.Seconds, f.Latency = l.Time.Seconds(), h.summary()
	return f, firstError(faults...)
}

// syncPauses is pauses while a journal gets one entry after the other, each of what
// a server writes for some hundred reports. The host works for that too, and may
// take it from the CPU time that it grants the machine.
func (l *Lab) syncPauses(ctx context.Context) (Figures, error) {
	dir, err := os.MkdirTemp(l.Site.Dir, "pauses-")
	if err != nil {
		return Figures{}, err
	}
	defer os.RemoveAll(dir)
	j, err := journal.Open(journal.Options{Disk: journal.Dir(dir)}, 0, nil)
	if err != nil {
		return Figures{}, err
	}
	defer j.Close()
	writing, stop := context.WithCancel(ctx)
	written := make(chan error, 1)
	go func() { written <- appendTo(writing, j, 24<<10) }()
	f, err := l.pauses(ctx)
	stop()
	return f, firstError(err, <-written)
}

// appendTo appends entries of so many bytes until ctx ends.
func appendTo(ctx context.Context, j *journal.Journal, bytes int) error {
	for ctx.Err() == nil {
		if _, err := j.Append(1, 0, time.Now().UnixNano(), append(j.Buffer(), make([]byte, bytes)...)); err != nil {
			return err
		}
	}
	return nil
}

// watchClock counts, for every microsecond of a time, how long it took from there
// until the clock could be read; it ends with ctx.
func watchClock(ctx context.Context, length time.Duration, h *Histogram) {
	const calm = 10 * time.Microsecond // between two looks: nothing happened
	var quiet time.Duration
	began := time.Now()
	for last := began; last.Sub(began) < length && ctx.Err() == nil; {
		now := time.Now()
		pause := now.Sub(last)
		if last = now; pause < calm {
			quiet += pause
			continue
		}
		for ; pause > 0; pause -= time.Microsecond {
			h.Observe(pause, 1)
		}
		last = time.Now() // counting is no pause
	}
	h.Observe(0, int(quiet.Microseconds()))
}
