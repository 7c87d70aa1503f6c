package admin

import (
	"context"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"muster/engine"
)

const wantMetrics = `# HELP muster_alert_deliveries_pending Deliveries of alert messages that are still to be made.
# TYPE muster_alert_deliveries_pending gauge
muster_alert_deliveries_pending 0
# HELP muster_alert_deliveries_total Tries to deliver alert messages since the process started, by channel and outcome (delivered, failed).
# TYPE muster_alert_deliveries_total counter
muster_alert_deliveries_total{channel="mail",outcome="delivered"} 0
muster_alert_deliveries_total{channel="mail",outcome="failed"} 0
muster_alert_deliveries_total{channel="webhook",outcome="delivered"} 0
muster_alert_deliveries_total{channel="webhook",outcome="failed"} 0
# HELP muster_alert_met Always 1: a threshold of usage alerts that is met, by rule, subject (item or project) and threshold (percent; of expiry days).
# TYPE muster_alert_met gauge
muster_alert_met{rule="uses",subject="1001/scan",threshold="60"} 1
# HELP muster_alerts_evaluated_timestamp_seconds When usage alerts were evaluated last; 0: not since the start.
# TYPE muster_alerts_evaluated_timestamp_seconds gauge
muster_alerts_evaluated_timestamp_seconds 1.7954352e+09
# HELP muster_decisions_total Check-ins and reports decided since the process started, by project (empty: none) and code (0: granted or accepted).
# TYPE muster_decisions_total counter
muster_decisions_total{code="0",project="2001-100001"} 2
muster_decisions_total{code="101",project=""} 2
muster_decisions_total{code="120",project="2001-100001"} 3
# HELP muster_item_end_timestamp_seconds When the item's grace ends: from then on devices get error 111.
# TYPE muster_item_end_timestamp_seconds gauge
muster_item_end_timestamp_seconds{item="1001/device-yearly"} 1.8309024e+09
muster_item_end_timestamp_seconds{item="1001/scan"} 1.8309024e+09
# HELP muster_item_expiry_timestamp_seconds When the item expires, before its grace.
# TYPE muster_item_expiry_timestamp_seconds gauge
muster_item_expiry_timestamp_seconds{item="1001/device-yearly"} 1.8302976e+09
muster_item_expiry_timestamp_seconds{item="1001/scan"} 1.8302976e+09
# HELP muster_item_info Always 1: the item's product and charge way.
# TYPE muster_item_info gauge
muster_item_info{charge_way="device-yearly",item="1001/device-yearly",product="DBR"} 1
muster_item_info{charge_way="scan",item="1001/scan",product="DBR"} 1
# HELP muster_item_limit Quota with tolerance; from there on devices get error 120.
# TYPE muster_item_limit gauge
muster_item_limit{item="1001/device-yearly"} 110
muster_item_limit{item="1001/scan"} 105
# HELP muster_item_quota Quota of the item, in the unit of its charge way.
# TYPE muster_item_quota gauge
muster_item_quota{item="1001/device-yearly"} 100
muster_item_quota{item="1001/scan"} 100
# HELP muster_item_seats Devices that hold a seat; of scan and page items, a grant that still lasts.
# TYPE muster_item_seats gauge
muster_item_seats{item="1001/device-yearly"} 0
muster_item_seats{item="1001/scan"} 1
# HELP muster_item_uses Scans or pages counted in the item's life.
# TYPE muster_item_uses gauge
muster_item_uses{item="1001/device-yearly"} 0
muster_item_uses{item="1001/scan"} 62
# HELP muster_project_item_seats Seats of the item that devices hold through the project.
# TYPE muster_project_item_seats gauge
muster_project_item_seats{item="1001/device-yearly",project="2001-100001"} 0
muster_project_item_seats{item="1001/scan",project="2001-100001"} 1
# HELP muster_project_item_uses Scans or pages of the item that came through the project.
# TYPE muster_project_item_uses gauge
muster_project_item_uses{item="1001/device-yearly",project="2001-100001"} 0
muster_project_item_uses{item="1001/scan",project="2001-100001"} 62
`

func TestMetrics(t *testing.T) { // [STAT-3]
	b := newBed(t)
	b.scans(b.imported(), 62)
	if _, err := b.admin.checkAlerts(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	err := b.Do(context.Background(), func(c *engine.Core) error {
		for range 3 {
			c.Deny(1, 120, 0, [16]byte{})
		}
		c.Deny(0, 101, 0, [16]byte{})
		c.Deny(77, 101, 0, [16]byte{}) // a project that the catalog does not have
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	answer := b.send(request(localToken, "GET", "/metrics", noBody))
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != wantMetrics {
		t.Errorf("metrics:\n%s\nwant:\n%s", got, wantMetrics)
	}
}

func runtimeSource() RuntimeSource {
	return RuntimeSource{
		Histograms: []RuntimeHistogram{{
			Name: "muster_commit_seconds", Help: "Time to write and sync a batch.",
			Snapshot: func() (int, []uint64, float64) { return -1, []uint64{2, 1, 0, 4}, 9.5 },
		}},
		Counters: []RuntimeValue{{"muster_journal_entries_total", "Journal entries written.", func() float64 { return 42 }}},
		Gauges:   []RuntimeValue{{"muster_connections", "Open connections of devices.", func() float64 { return 7 }}},
	}
}

// One histogram is classic and native: the same counts in both forms.
func TestNativeHistogram(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewRuntimeCollector(runtimeSource()))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		h := f.GetMetric()[0].GetHistogram()
		if h == nil {
			continue
		}
		if h.GetSchema() != 0 || h.GetZeroThreshold() != 0.5 || h.GetZeroCount() != 2 || h.GetPositiveSpan()[0].GetOffset() != 0 {
			t.Errorf("%v", h)
		}
		if got := h.GetPositiveDelta(); !slices.Equal(got, []int64{1, -1, 4}) { // (0.5, 1], (1, 2], above
			t.Errorf("deltas %v", got)
		}
		return
	}
	t.Error("no histogram")
}

// Who asks for OpenMetrics gets it.
func TestOpenMetrics(t *testing.T) {
	b := newBed(t)
	r := request(localToken, "GET", "/metrics", noBody)
	r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	if got := w.Body.String(); !strings.HasPrefix(w.Header().Get("Content-Type"), "application/openmetrics-text") || !strings.HasSuffix(got, "# EOF\n") {
		t.Errorf("%s: %s", w.Header().Get("Content-Type"), got)
	}
}

// The operator may close the metrics to this machine too.
func TestMetricsToken(t *testing.T) {
	b := newBed(t)
	c := b.config()
	c.MetricsToken = true
	b.handler = New(c).Handler()
	r := request("", "GET", "/metrics", noBody)
	r.RemoteAddr = "127.0.0.1:1"
	if answer := b.send(r); answer.StatusCode != who {
		t.Errorf("without a token: %d", answer.StatusCode)
	}
}

func TestRuntimeCollector(t *testing.T) {
	want := `# HELP muster_commit_seconds Time to write and sync a batch.
# TYPE muster_commit_seconds histogram
muster_commit_seconds_bucket{le="0.5"} 2
muster_commit_seconds_bucket{le="1"} 3
muster_commit_seconds_bucket{le="2"} 3
muster_commit_seconds_bucket{le="+Inf"} 7
muster_commit_seconds_sum 9.5
muster_commit_seconds_count 7
# HELP muster_connections Open connections of devices.
# TYPE muster_connections gauge
muster_connections 7
# HELP muster_journal_entries_total Journal entries written.
# TYPE muster_journal_entries_total counter
muster_journal_entries_total 42
`
	if err := testutil.CollectAndCompare(NewRuntimeCollector(runtimeSource()), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// All that is shown keeps to the conventions of Prometheus.
func TestMetricsLint(t *testing.T) {
	b := newBed(t)
	b.scans(b.imported(), 12)
	c := b.config()
	c.Metrics = NewRegistry("test")
	New(c)
	c.Metrics.MustRegister(NewRuntimeCollector(runtimeSource()))
	problems, err := testutil.GatherAndLint(c.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "muster_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for _, name := range []string{"muster_build_info", "muster_item_uses", "muster_commit_seconds", "go_goroutines"} {
		if n, err := testutil.GatherAndCount(c.Metrics, name); err != nil || n == 0 {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

// Before recovery there is nothing to show, and no panic.
func TestMetricsStarting(t *testing.T) {
	b := newBed(t)
	b.recovering = true
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&collector{b.admin})
	if n, err := testutil.GatherAndCount(registry); err != nil || n != 0 {
		t.Errorf("%d metrics, %v", n, err)
	}
}
