package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histogram gathers latencies from many goroutines, microsecond resolution, up
// to a minute, three significant digits.
type Histogram struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

// NewHistogram makes an empty one.
func NewHistogram() *Histogram {
	return &Histogram{h: hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)}
}

// Observe counts n times one latency; what is longer than a minute counts as a minute.
func (h *Histogram) Observe(d time.Duration, n int) {
	us := min(max(d.Microseconds(), 1), int64(time.Minute/time.Microsecond))
	h.mu.Lock()
	_ = h.h.RecordValues(us, int64(n)) // within bounds
	h.mu.Unlock()
}

// Quantiles returns the latencies at the given percentiles, and the count.
func (h *Histogram) Quantiles(percentiles ...float64) (count int64, at []time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range percentiles {
		at = append(at, time.Duration(h.h.ValueAtQuantile(p))*time.Microsecond)
	}
	return h.h.TotalCount(), at
}

// Add counts everything that other has counted.
func (h *Histogram) Add(other *Histogram) { h.merge(other, false) }

// take is Add, and other begins anew.
func (h *Histogram) take(other *Histogram) { h.merge(other, true) }

func (h *Histogram) merge(other *Histogram, anew bool) {
	other.mu.Lock()
	defer other.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.Merge(other.h)
	if anew {
		other.h.Reset()
	}
}

// reset begins anew.
func (h *Histogram) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.Reset()
}

// us is a time in microseconds.
func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
