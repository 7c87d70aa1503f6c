package server

import (
	"math"
	"sync/atomic"
)

// Histogram counts observations in buckets whose upper bounds are powers of two,
// so that it is a classic and a native histogram (schema 0) at once: one writer,
// any number of readers, no lock.
type Histogram struct {
	lowest int // exponent of the first bound
	counts [histogramBuckets]atomic.Uint64
	sum    atomic.Uint64 // bits of a float64
}

// histogramBuckets are the buckets with a bound, and the one above them.
const histogramBuckets = 20

// Exponents of the first bounds.
const (
	lowestRequests = 0   // 1 request, up to 2^18
	lowestSeconds  = -15 // 31 µs, up to 8 s
)

// Observe counts one value. Only the decider calls it.
func (h *Histogram) Observe(v float64) {
	i := 0
	for i < histogramBuckets-1 && v > math.Ldexp(1, h.lowest+i) {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Store(math.Float64bits(math.Float64frombits(h.sum.Load()) + v))
}

// Snapshot returns the exponent of the first bound, the number of observations in
// each bucket (the last one has no bound), and their sum.
func (h *Histogram) Snapshot() (lowest int, counts []uint64, sum float64) {
	counts = make([]uint64, histogramBuckets)
	for i := range counts {
		counts[i] = h.counts[i].Load()
	}
	return h.lowest, counts, math.Float64frombits(h.sum.Load())
}
