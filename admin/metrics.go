package admin

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"muster/engine"
)

// What is shown of the ledger. Labels are bounded by what the operator and the
// vendor made: projects, items, the items of projects, the codes of the protocol,
// and thresholds; docs/METRICS.md says how many series that is.
var (
	descDecisions = prometheus.NewDesc("muster_decisions_total",
		"Check-ins and reports decided since the process started, by project (empty: none) and code (0: granted or accepted).",
		[]string{"project", "code"}, nil)

	descItem = prometheus.NewDesc("muster_item_info", "Always 1: the item's product and charge way.", []string{"item", "product", "charge_way"}, nil)

	descUses   = itemDesc("muster_item_uses", "Scans or pages counted in the item's life.")
	descQuota  = itemDesc("muster_item_quota", "Quota of the item, in the unit of its charge way.")
	descLimit  = itemDesc("muster_item_limit", "Quota with tolerance; from there on devices get error 120.")
	descSeats  = itemDesc("muster_item_seats", "Devices that hold a seat; of scan and page items, a grant that still lasts.")
	descSpent  = itemDesc("muster_item_overuse_slots", "Device-slots or instance-slots drawn from the overuse budget; of items that count by slot.")
	descBudget = itemDesc("muster_item_overuse_budget_slots", "The overuse budget; of items that count by slot.")
	descExpiry = itemDesc("muster_item_expiry_timestamp_seconds", "When the item expires, before its grace.")
	descEnd    = itemDesc("muster_item_end_timestamp_seconds", "When the item's grace ends: from then on devices get error 111.")

	descProjectUses  = projectDesc("muster_project_item_uses", "Scans or pages of the item that came through the project.")
	descProjectSeats = projectDesc("muster_project_item_seats", "Seats of the item that devices hold through the project.")

	descMet = prometheus.NewDesc("muster_alert_met",
		"Always 1: a threshold of usage alerts that is met, by rule, subject (item or project) and threshold (percent; of expiry days).",
		[]string{"rule", "subject", "threshold"}, nil)
	descEvaluated  = prometheus.NewDesc("muster_alerts_evaluated_timestamp_seconds", "When usage alerts were evaluated last; 0: not since the start.", nil, nil)
	descDeliveries = prometheus.NewDesc("muster_alert_deliveries_total",
		"Tries to deliver alert messages since the process started, by channel and outcome (delivered, failed).", []string{"channel", "outcome"}, nil)
	descUndelivered = prometheus.NewDesc("muster_alert_deliveries_pending", "Deliveries of alert messages that are still to be made.", nil, nil)
)

func itemDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"item"}, nil)
}

func projectDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"project", "item"}, nil)
}

// collector shows the ledger to Prometheus. It reads what the decider published
// and holds nothing itself.
type collector struct{ *Admin }

// Describe tells all that Collect may send.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descDecisions, descItem, descUses, descQuota, descLimit, descSeats, descSpent, descBudget, descExpiry, descEnd,
		descProjectUses, descProjectSeats, descMet, descEvaluated, descDeliveries, descUndelivered,
	} {
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
	for _, p := range catalog.Projects {
		if p != nil {
			collectProject(p, ch)
		}
	}
	c.collectAlerts(ch)
}

func collectProject(p *engine.Project, ch chan<- prometheus.Metric) {
	for _, i := range p.Items {
		usage := i.Usage.Of(p.Ordinal)
		ch <- prometheus.MustNewConstMetric(descProjectUses, prometheus.GaugeValue, float64(usage.Uses.Load()), p.ID, i.Name())
		ch <- prometheus.MustNewConstMetric(descProjectSeats, prometheus.GaugeValue, float64(usage.Held.Load()), p.ID, i.Name())
	}
}

// collectAlerts shows what the last evaluation found, and what became of messages.
func (c *collector) collectAlerts(ch chan<- prometheus.Metric) {
	at := int64(0)
	if last := c.alerting.last.Load(); last != nil {
		at = last.at
		for _, m := range last.met {
			ch <- prometheus.MustNewConstMetric(descMet, prometheus.GaugeValue, 1, string(m.Rule), m.Subject, strconv.FormatUint(m.Threshold, 10))
		}
	}
	ch <- prometheus.MustNewConstMetric(descEvaluated, prometheus.GaugeValue, float64(at))
	for i, channel := range channelNames {
		ch <- prometheus.MustNewConstMetric(descDeliveries, prometheus.CounterValue, float64(c.alerting.counts.delivered[i].Load()), channel, "delivered")
		ch <- prometheus.MustNewConstMetric(descDeliveries, prometheus.CounterValue, float64(c.alerting.counts.failed[i].Load()), channel, "failed")
	}
	ch <- prometheus.MustNewConstMetric(descUndelivered, prometheus.GaugeValue, float64(c.undelivered()))
}

// undelivered is how many deliveries are still to be made.
func (c *collector) undelivered() (n int) {
	list := c.alerting.messages.list.Load()
	if list == nil {
		return 0
	}
	for i := range *list {
		for _, d := range (*list)[i].v.Deliveries {
			if d.State == deliveryPending {
				n++
			}
		}
	}
	return n
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
	ch <- prometheus.MustNewConstMetric(descItem, prometheus.GaugeValue, 1, i.Name(), i.Product, i.ChargeWay.String())
	gauge(descUses, float64(i.Usage.Uses.Load()))
	gauge(descQuota, float64(i.Quota))
	gauge(descLimit, float64(i.Limit()))
	gauge(descSeats, float64(i.Usage.Held.Load()))
	if i.ChargeWay.BySlot() {
		gauge(descSpent, float64(i.Usage.Overuse.Load()))
		gauge(descBudget, float64(i.OveruseSlots()))
	}
	gauge(descExpiry, float64(i.Expiry))
	gauge(descEnd, float64(i.End()))
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
