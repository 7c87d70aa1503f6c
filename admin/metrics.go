package admin

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"muster/engine"
)

// What is shown of the ledger. Labels are bounded by what the operator and the
// vendor made: projects, items, and the codes of the protocol.
var (
	descDecisions = prometheus.NewDesc("muster_decisions_total",
		"Check-ins and reports decided since the process started, by project (empty: none) and code (0: granted or accepted).",
		[]string{"project", "code"}, nil)
	descUses   = itemDesc("muster_item_uses", "Scans or pages counted in the item's life.")
	descQuota  = itemDesc("muster_item_quota", "Quota of the item, in the unit of its charge way.")
	descLimit  = itemDesc("muster_item_limit", "Quota with tolerance; from there on devices get error 120.")
	descSeats  = itemDesc("muster_item_seats", "Devices that hold a seat; of scan and page items, a grant that still lasts.")
	descExpiry = itemDesc("muster_item_expiry_timestamp_seconds", "When the item expires, before its grace.")
)

func itemDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"item"}, nil)
}

// collector shows the ledger to Prometheus. It reads what the decider published
// and holds nothing itself.
type collector struct{ *Admin }

// Describe tells all that Collect may send.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descDecisions, descUses, descQuota, descLimit, descSeats, descExpiry} {
		ch <- d
	}
}

// Collect sends nothing while the state is not recovered.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	catalog := c.Catalog()
	if catalog == nil {
		return
	}
	c.collectDecisions(catalog, ch)
	for _, item := range catalog.Items {
		if item != nil && !item.Removed {
			collectItem(item, ch)
		}
	}
}

// collectDecisions adds up what is not of a project that the catalog has, so
// that no label set is sent twice.
func (c *collector) collectDecisions(catalog *engine.Catalog, ch chan<- prometheus.Metric) {
	type labels struct {
		project string
		code    engine.Code
	}
	counts := map[labels]uint64{}
	c.Tallies(func(project uint32, code engine.Code, n uint64) {
		l := labels{code: code}
		if project < uint32(len(catalog.Projects)) && catalog.Projects[project] != nil {
			l.project = catalog.Projects[project].ID
		}
		counts[l] += n
	})
	for l, n := range counts {
		ch <- prometheus.MustNewConstMetric(descDecisions, prometheus.CounterValue, float64(n), l.project, strconv.Itoa(int(l.code)))
	}
}

func collectItem(i *engine.Item, ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, i.Name())
	}
	gauge(descUses, float64(i.Usage.Uses.Load()))
	gauge(descQuota, float64(i.Quota))
	gauge(descLimit, float64(i.Limit()))
	gauge(descSeats, float64(i.Usage.Held.Load()))
	gauge(descExpiry, float64(i.Expiry))
}

// NewRegistry is a registry for Config.Metrics with what every process shows:
// the Go runtime, the process, and the version that runs.
func NewRegistry(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "muster_build_info", Help: "The version that runs, always 1.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info)
	return r
}
