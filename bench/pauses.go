package bench

import (
	"context"
	"runtime"
	"sync"
	"time"
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
