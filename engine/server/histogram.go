package server

import (
	"math"
	"sync/atomic"
)

// Histogram counts observations in fixed buckets: one writer, any number of
// readers, no lock.
type Histogram struct {
	bounds []float64 // upper bounds, ascending
	counts [20]atomic.Uint64
	sum    atomic.Uint64 // bits of a float64
}

var (
	batchBounds  = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}
	secondBounds = []float64{25e-6, 50e-6, 100e-6, 200e-6, 400e-6, 800e-6, 1.6e-3, 3.2e-3, 6.4e-3, 12.8e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5}
)

// Observe counts one value. Only the decider calls it.
func (h *Histogram) Observe(v float64) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Store(math.Float64bits(math.Float64frombits(h.sum.Load()) + v))
}

// Snapshot returns the number of observations, their sum, and for each upper
// bound how many were at or below it.
func (h *Histogram) Snapshot() (count uint64, sum float64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, len(h.bounds))
	for i, bound := range h.bounds {
		count += h.counts[i].Load()
		buckets[bound] = count
	}
	count += h.counts[len(h.bounds)].Load()
	return count, math.Float64frombits(h.sum.Load()), buckets
}
