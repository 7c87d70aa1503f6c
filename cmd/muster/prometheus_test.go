package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"muster/bench"
	"muster/client"
	"muster/license"
	"muster/protocol"
)

// prometheusPath finds Debian's prometheus and promtool. MUSTER_PROMETHEUS=required
// says that there have to be some.
func prometheusPath(t *testing.T) (server, tool string) {
	t.Helper()
	server, missing := exec.LookPath("prometheus")
	tool, missingTool := exec.LookPath("promtool")
	if missing != nil || missingTool != nil {
		if os.Getenv("MUSTER_PROMETHEUS") == "required" {
			t.Fatal("no prometheus is installed, and MUSTER_PROMETHEUS=required")
		}
		t.Skip("no prometheus is installed (Debian: apt-get install prometheus)")
	}
	return server, tool
}

// prometheusServer is a real Prometheus that scrapes a world.
type prometheusServer struct {
	t   *testing.T
	url string
}

// startPrometheus runs one with the example configuration and the rules, sped up,
// and with more arguments.
func startPrometheus(w *world, more ...string) *prometheusServer {
	t := w.t
	server, tool := prometheusPath(t)
	dir := t.TempDir()
	config, err := os.ReadFile("../../deploy/prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(config), "127.0.0.1:48080", strings.TrimPrefix(w.p.url, "http://"))
	text = strings.ReplaceAll(text, "_interval: 15s", "_interval: 1s")
	rules, err := os.ReadFile("../../deploy/prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "prometheus.yml")
	for name, data := range map[string]string{path: text, filepath.Join(dir, "rules.yml"): string(rules)} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, check := range [][]string{{"check", "config", path}, {"check", "rules", filepath.Join(dir, "rules.yml")}} {
		if out, err := exec.Command(tool, check...).CombinedOutput(); err != nil {
			t.Fatalf("promtool %v: %v\n%s", check, err, out)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command(server, append(more, "--config.file="+path, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=error")...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &prometheusServer{t, "http://" + address}
}

// api asks for something of the HTTP API; ok is false while it does not answer.
func (p *prometheusServer) api(path string, query url.Values, out any) (ok bool) {
	p.t.Helper()
	answer, err := http.Get(p.url + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	var got struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		return false // it starts
	}
	if got.Status != "success" {
		p.t.Fatalf("%s %s: %s", path, query.Get("query"), got.Error)
	}
	if err := json.Unmarshal(got.Data, out); err != nil {
		p.t.Fatal(err)
	}
	return true
}

// series is how many series an expression has whose value is a number.
func (p *prometheusServer) series(expression string) (n int) {
	p.t.Helper()
	var data struct{ Result []struct{ Value [2]any } }
	p.api("query", url.Values{"query": {expression}}, &data)
	for _, r := range data.Result {
		if r.Value[1] != "NaN" {
			n++
		}
	}
	return n
}

// dashboard is what the test reads of one of Grafana's.
type dashboard struct {
	Title  string
	Panels []dashboardPanel
}

type dashboardPanel struct {
	Title, Type     string
	GridPos         map[string]int
	FieldConfig     struct{ Defaults struct{ Unit string } }
	Transformations []struct {
		ID      string
		Options json.RawMessage
	}
	Targets []struct{ Expr, LegendFormat string }
}

// dashboardVariables are what Grafana puts into expressions.
var dashboardVariables = strings.NewReplacer("$instance", ".*", "$project", ".*", "$item", ".*", "$__rate_interval", "30s")

// metricsLoad are devices that are served, by UDP, and refused, some of each a call.
func (s *showcase) metricsLoad() func() {
	key := s.key(s.projects[0])
	parsed, err := license.ParseLicenseKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	datagrams := parsed.Addresses[0]
	datagrams.Transport = "udp"
	parsed.Addresses = append(parsed.Addresses, datagrams)
	c := s.client(parsed.String(), client.State{})
	use := client.Use{Product: "DBR", Version: 11, Modules: []string{"QR"}, ChargeWay: license.Scan}
	if _, err := c.CheckIn(context.Background(), use); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		for range 3 {
			if err := c.Report(context.Background(), client.Count{Module: "QR", Count: 1, At: time.Now()}); err != nil {
				s.t.Fatal(err)
			}
		}
		refused := s.client(key, client.State{})
		defer refused.Close()
		if _, err := refused.CheckIn(context.Background(), client.Use{Product: "unknown", Version: 1}); err == nil {
			s.t.Fatal("an unknown product was served")
		}
	}
}

// untilCheckpoint has devices bring long reports until there is journal enough for
// a checkpoint.
func (s *showcase) untilCheckpoint() {
	s.t.Helper()
	key := s.importItems(item("long", "scan", "1000000000000"))
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	fleet, err := bench.NewFleet(ctx, key, bench.Load{
		Devices: 256, Conns: 4, Depth: 64, PerRecord: 8, Mix: bench.Mix{Late: 1}, LateSlots: protocol.MaxReportLines,
		Uses: []client.Use{{Product: "DBR", ChargeWay: license.Scan}}, Module: "QR",
	})
	if err != nil {
		s.t.Fatal(err)
	}
	defer fleet.Close()
	if err := fleet.CheckIn(ctx); err != nil {
		s.t.Fatal(err)
	}
	load, stop := context.WithCancel(ctx)
	go func() {
		defer stop()
		for s.p.decider.Stats.Begun.Load() == 0 && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}()
	if err := fleet.Run(load); err != nil || ctx.Err() != nil {
		s.t.Fatalf("no checkpoint begins: %v", errors.Join(err, ctx.Err()))
	}
}

// dashboardTries bounds how often an expression is asked for before it counts as empty.
const dashboardTries = 60

// A real Prometheus scrapes a server under load: every expression of every panel
// has data, and every rule is evaluated without an error.
func TestDashboards(t *testing.T) {
	prometheusPath(t)
	s := newShowcase(t)
	s.call(http.MethodPost, "alerts/check", nil, nil)
	load := s.metricsLoad()
	p := startPrometheus(s.world)
	p.has("the first scrape", "muster_checkpoint_pause_seconds_count", load)
	s.untilCheckpoint()
	paths, err := filepath.Glob("../../deploy/grafana/*.json")
	if err != nil || len(paths) != 3 {
		t.Fatalf("%v: %v", paths, err)
	}
	for _, path := range paths {
		d := readDashboard(t, path)
		for _, panel := range d.Panels {
			for _, target := range panel.Targets {
				p.has(fmt.Sprintf("%s, %q", d.Title, panel.Title), dashboardVariables.Replace(target.Expr), load)
			}
		}
	}
	p.checkRules()
}

// value is what an expression comes to; ok is false while it has no series, or more
// than one.
func (p *prometheusServer) value(expression string) (v float64, ok bool) {
	p.t.Helper()
	var data struct{ Result []struct{ Value [2]any } }
	if !p.api("query", url.Values{"query": {expression}}, &data) || len(data.Result) != 1 {
		return 0, false
	}
	v, err := strconv.ParseFloat(data.Result[0].Value[1].(string), 64)
	return v, err == nil
}

// A real Prometheus with native histograms switched on takes them: it counts what
// the server's classic buckets count, and its quantile lies in the bucket where the
// classic ones have it.
func TestNativeHistograms(t *testing.T) {
	prometheusPath(t)
	s := newShowcase(t)
	p := startPrometheus(s.world, "--enable-feature=native-histograms")
	load := s.metricsLoad()
	for range 100 {
		load()
	}
	var below, above, count float64 // the classic bucket of the median
	var n, q float64
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		below, above, count = s.classicMedian("muster_journal_commit_seconds")
		n, _ = p.value("histogram_count(muster_journal_commit_seconds)")
		if q, _ = p.value("histogram_quantile(0.5, muster_journal_commit_seconds)"); n == count && q > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the native histogram counts %v, the classic one %v; its median is %v", n, count, q)
		}
	}
	if q <= below || q > above || count < 300 {
		t.Errorf("the median of %v commits is %v by the native histogram, from %v to %v by the classic one", count, q, below, above)
	}
	if n := p.series(`{__name__=~"muster_journal_commit_seconds_bucket"}`); n != 0 {
		t.Errorf("the histogram came in its classic form, with %d series", n)
	}
}

// classicMedian is the bucket in which the median of a histogram in /metrics lies,
// and how many values it has.
func (s *showcase) classicMedian(name string) (below, above, count float64) {
	s.t.Helper()
	answer, err := apiHTTP.Get(s.p.url + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	number := func(text string) float64 {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return v
	}
	count = number(regexp.MustCompile(`(?m)^` + name + `_count (\S+)$`).FindStringSubmatch(string(text))[1])
	for _, m := range regexp.MustCompile(`(?m)^`+name+`_bucket\{le="([^"]+)"\} (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		if above = number(m[1]); number(m[2]) >= count/2 {
			break
		}
		below = above
	}
	return below, above, count
}

// has waits until an expression has data, and keeps the server busy meanwhile.
func (p *prometheusServer) has(where, expression string, load func()) {
	p.t.Helper()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for range dashboardTries {
		load()
		if p.series(expression) > 0 {
			return
		}
		<-tick.C
	}
	p.t.Errorf("%s is empty: %s", where, expression)
}

// checkRules looks at how the rules fared.
func (p *prometheusServer) checkRules() {
	p.t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Query, Health, LastError string }
		}
	}
	if !p.api("rules", nil, &data) || len(data.Groups) != 1 {
		p.t.Fatalf("rules: %+v", data)
	}
	text, err := os.ReadFile("../../docs/METRICS.md")
	if err != nil {
		p.t.Fatal(err)
	}
	operating, err := os.ReadFile("../../docs/OPERATING.md")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, r := range data.Groups[0].Rules {
		if r.Health != "ok" {
			p.t.Errorf("rule %s: %s %s", r.Name, r.Health, r.LastError)
		}
		for _, name := range regexp.MustCompile(`muster_[a-z_]+`).FindAllString(r.Query, -1) {
			if !strings.Contains(string(text), "`"+strings.TrimSuffix(name, "_bucket")+"`") {
				p.t.Errorf("rule %s asks for %s, which there is not", r.Name, name)
			}
		}
		if !strings.Contains(string(operating), "`"+r.Name+"`") {
			p.t.Errorf("docs/OPERATING.md says nothing about the alarm %s", r.Name)
		}
	}
}
