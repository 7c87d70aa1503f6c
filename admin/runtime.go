package admin

import "github.com/prometheus/client_golang/prometheus"

// RuntimeSource is what else the process counts: the decider, the journal, the
// front of devices. Names are whole metric names, those of Counters end in
// _total, those of values with a unit in the base unit (_seconds, _bytes). The
// functions may be called by any goroutine, at any time.
type RuntimeSource struct {
	Histograms []RuntimeHistogram
	Counters   []RuntimeValue
	Gauges     []RuntimeValue
}

// RuntimeHistogram is a histogram: Snapshot returns the number of observations,
// their sum, and for each upper bound how many were at or below it.
type RuntimeHistogram struct {
	Name, Help string
	Snapshot   func() (count uint64, sum float64, buckets map[float64]uint64)
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
			count, sum, buckets := h.Snapshot()
			return prometheus.MustNewConstHistogram(d, count, sum, buckets)
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
		ch <- read()
	}
}
