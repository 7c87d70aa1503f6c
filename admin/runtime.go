package admin

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// RuntimeSource is what else the process counts: the decider, the journal, the
// front of devices. Names are whole metric names, those of Counters end in
// _total, those of values with a unit in the base unit (_seconds, _bytes). The
// functions may be called by any goroutine, at any time.
type RuntimeSource struct {
	Histograms []RuntimeHistogram
	Counters   []RuntimeValue
	Gauges     []RuntimeValue
}

// RuntimeHistogram is a histogram whose upper bounds are powers of two: Snapshot
// returns the exponent of the first bound, the number of observations in each
// bucket, of which the last has no bound, and their sum; no counts: there is
// nothing to show yet.
type RuntimeHistogram struct {
	Name, Help string
	Snapshot   func() (lowest int, counts []uint64, sum float64)
}

// RuntimeValue is a number that is read when Prometheus asks.
type RuntimeValue struct {
	Name, Help string
	Value      func() float64
}

// NewRuntimeCollector shows src to Prometheus; register it with Config.Metrics.
func NewRuntimeCollector(src RuntimeSource) prometheus.Collector {
	c := &runtimeCollector{}
	add := func(name, help string, read func(*prometheus.Desc) prometheus.Metric) {
		desc := prometheus.NewDesc(name, help, nil, nil)
		c.descs = append(c.descs, desc)
		c.reads = append(c.reads, func() prometheus.Metric { return read(desc) })
	}
	for _, h := range src.Histograms {
		add(h.Name, h.Help, func(d *prometheus.Desc) prometheus.Metric {
			lowest, counts, sum := h.Snapshot()
			if counts == nil {
				return nil
			}
			return &powersOfTwo{d, lowest, counts, sum}
		})
	}
	values := func(list []RuntimeValue, kind prometheus.ValueType) {
		for _, v := range list {
			add(v.Name, v.Help, func(d *prometheus.Desc) prometheus.Metric {
				return prometheus.MustNewConstMetric(d, kind, v.Value())
			})
		}
	}
	values(src.Counters, prometheus.CounterValue)
	values(src.Gauges, prometheus.GaugeValue)
	return c
}

type runtimeCollector struct {
	descs []*prometheus.Desc
	reads []func() prometheus.Metric
}

// Describe tells all that Collect sends.
func (c *runtimeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect reads every value once.
func (c *runtimeCollector) Collect(ch chan<- prometheus.Metric) {
	for _, read := range c.reads {
		if m := read(); m != nil {
			ch <- m
		}
	}
}

// powersOfTwo is a classic and a native histogram in one: with schema 0 a native
// bucket ends at a power of two too.
type powersOfTwo struct {
	desc   *prometheus.Desc
	lowest int
	counts []uint64
	sum    float64
}

// Desc is the description.
func (p *powersOfTwo) Desc() *prometheus.Desc { return p.desc }

// Write fills both forms in. What is at or below the first bound is the native
// form's zero bucket; what is above the last one stands in the bucket after it.
func (p *powersOfTwo) Write(out *dto.Metric) error {
	h := &dto.Histogram{SampleSum: &p.sum}
	var total uint64
	previous := int64(0)
	for i, n := range p.counts {
		total += n
		if i < len(p.counts)-1 {
			bound, cumulative := math.Ldexp(1, p.lowest+i), total
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: &cumulative})
		}
		if i > 0 {
			h.PositiveDelta = append(h.PositiveDelta, int64(n)-previous)
			previous = int64(n)
		}
	}
	threshold, schema := math.Ldexp(1, p.lowest), int32(0)
	first, length := int32(p.lowest+1), uint32(len(p.counts)-1)
	h.SampleCount, h.ZeroCount, h.ZeroThreshold, h.Schema = &total, &p.counts[0], &threshold, &schema
	h.PositiveSpan = []*dto.BucketSpan{{Offset: &first, Length: &length}}
	out.Histogram = h
	return nil
}
