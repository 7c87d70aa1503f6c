package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"muster/client"
	"muster/license"
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

// startPrometheus runs one with the example configuration and the rules, sped up.
func startPrometheus(w *world) *prometheusServer {
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
	cmd := exec.Command(server, "--config.file="+path, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=error")
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

// series is how many series an expression has.
func (p *prometheusServer) series(expression string) int {
	p.t.Helper()
	var data struct{ Result []json.RawMessage }
	p.api("query", url.Values{"query": {expression}}, &data)
	return len(data.Result)
}

// dashboard is what the test reads of one of Grafana's.
type dashboard struct {
	Title  string
	Panels []struct {
		Title   string
		Targets []struct{ Expr string }
	}
}

// metricsLoad are devices that are served, refused and come by UDP, one of each a call.
func (s *showcase) metricsLoad() func() {
	key := s.key(s.projects[0])
	c := s.client(key, client.State{})
	use := client.Use{Product: "DBR", Version: 11, Modules: []string{"QR"}, ChargeWay: license.Scan}
	if _, err := c.CheckIn(context.Background(), use); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		if err := c.Report(context.Background(), client.Count{Module: "QR", Count: 1, At: time.Now()}); err != nil {
			s.t.Fatal(err)
		}
		refused := s.client(key, client.State{})
		if _, err := refused.CheckIn(context.Background(), client.Use{Product: "unknown", Version: 1}); err == nil {
			s.t.Fatal("an unknown product was served")
		}
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
	paths, err := filepath.Glob("../../deploy/grafana/*.json")
	if err != nil || len(paths) != 3 {
		t.Fatalf("%v: %v", paths, err)
	}
	variables := strings.NewReplacer("$instance", ".*", "$project", ".*", "$item", ".*", "$__rate_interval", "30s")
	for _, path := range paths {
		var d dashboard
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &d); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, panel := range d.Panels {
			for _, target := range panel.Targets {
				p.has(fmt.Sprintf("%s, %q", d.Title, panel.Title), variables.Replace(target.Expr), load)
			}
		}
	}
	p.checkRules()
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
