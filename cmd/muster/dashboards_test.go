package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"muster/internal/uplot"
)

var (
	dashboardPictures = flag.String("dashboards", "", "directory for pictures of the dashboards; empty: none are made")
	dashboardTime     = flag.Duration("dashboards-time", 6*time.Minute, "for how long a server is watched for them")
)

// panelPicture is a panel with what Prometheus has for it, for testdata/dashboard.html.
type panelPicture struct {
	Title   string         `json:"title"`
	Type    string         `json:"type"`
	Unit    string         `json:"unit"`
	Grid    map[string]int `json:"grid"`
	Times   []float64      `json:"times"`
	Series  []panelSeries  `json:"series"`
	Columns []string       `json:"columns"`
	Rows    [][]string     `json:"rows"`
}

type panelSeries struct {
	Name   string     `json:"name"`
	Values []*float64 `json:"values"` // nil where there is none
}

// TestDashboardPictures draws every panel of the dashboards as a real Prometheus
// answers for it: "make dashboards". Grafana itself is not among Debian's packages.
func TestDashboardPictures(t *testing.T) {
	if *dashboardPictures == "" {
		t.Skip("no directory is given for them: make dashboards")
	}
	prometheusPath(t)
	s := newShowcase(t)
	s.tellByMailAndWebhook()
	load := s.metricsLoad()
	p := startPrometheus(s.world)
	from := time.Now()
	for n := 0; time.Since(from) < *dashboardTime; n++ {
		for range 1 + n/20%8 { // more and less, so that the lines move
			load()
		}
		time.Sleep(100 * time.Millisecond)
	}
	pages := http.FileServer(http.Dir("../../admin/portal/assets/kept"))
	var shown string
	mux := http.NewServeMux()
	mux.Handle("/kept/", http.StripPrefix("/kept", pages))
	for name, file := range map[string][]byte{"uplot.js": uplot.Script, "uplot.css": uplot.Style} {
		mux.HandleFunc("/kept/"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(file))
		})
	}
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, shown) })
	mux.HandleFunc("/favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	site := httptest.NewServer(mux)
	defer site.Close()
	b := newBrowser(t, s.world)
	b.origin = site.URL
	paths, err := filepath.Glob("../../deploy/grafana/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		d := readDashboard(t, path)
		panels := []panelPicture{}
		for _, panel := range d.Panels {
			panels = append(panels, p.picture(panel, from))
		}
		data, err := json.Marshal(map[string]any{"title": d.Title, "panels": panels})
		if err != nil {
			t.Fatal(err)
		}
		shown = strings.Replace(dashboardPage, "DATA", string(data), 1)
		b.do(chromedp.EmulateViewport(1280, 760), chromedp.Navigate(site.URL+"/"))
		b.holds("window.drawn")
		name := "dashboards-" + strings.TrimSuffix(filepath.Base(path), ".json")
		b.capture(*dashboardPictures, name, 1280)
	}
}

//go:embed testdata/dashboard.html
var dashboardPage string

var legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)

// picture asks for everything that a panel shows.
func (p *prometheusServer) picture(panel dashboardPanel, from time.Time) panelPicture {
	out := panelPicture{Title: panel.Title, Type: panel.Type, Unit: panel.FieldConfig.Defaults.Unit, Grid: panel.GridPos, Series: []panelSeries{}}
	to := time.Now()
	const step = 2
	for at := from.Unix(); at <= to.Unix(); at += step {
		out.Times = append(out.Times, float64(at))
	}
	if panel.Type == "table" {
		p.tabulate(panel, &out)
		return out
	}
	for _, target := range panel.Targets {
		var data struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
		query := url.Values{"query": {dashboardVariables.Replace(target.Expr)}, "start": {fmt.Sprint(from.Unix())}, "end": {fmt.Sprint(to.Unix())}, "step": {fmt.Sprint(step)}}
		if !p.api("query_range", query, &data) {
			p.t.Fatalf("%s: no answer", panel.Title)
		}
		for _, r := range data.Result {
			name := legendLabel.ReplaceAllStringFunc(target.LegendFormat, func(m string) string { return r.Metric[m[2:len(m)-2]] })
			line := panelSeries{Name: name, Values: make([]*float64, len(out.Times))}
			for _, v := range r.Values {
				n, err := strconv.ParseFloat(v[1].(string), 64)
				i := (int64(v[0].(float64)) - from.Unix()) / step
				if err == nil && n == n && i >= 0 && i < int64(len(line.Values)) {
					line.Values[i] = &n
				}
			}
			out.Series = append(out.Series, line)
		}
	}
	return out
}

// tabulate fills a table, with the columns that its transformation leaves.
func (p *prometheusServer) tabulate(panel dashboardPanel, out *panelPicture) {
	var organize struct {
		ExcludeByName map[string]bool
		RenameByName  map[string]string
	}
	for _, t := range panel.Transformations {
		if t.ID == "organize" {
			if err := json.Unmarshal(t.Options, &organize); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	rows := map[string]map[string]string{} // by labels, in the order in which they came
	var order []string
	for i, target := range panel.Targets {
		value := "Value"
		if len(panel.Targets) > 1 {
			value += " #" + string(rune('A'+i))
		}
		var data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
		p.api("query", url.Values{"query": {dashboardVariables.Replace(target.Expr)}}, &data)
		for _, r := range data.Result {
			delete(r.Metric, "__name__")
			key := fmt.Sprint(r.Metric)
			if rows[key] == nil {
				rows[key] = r.Metric
				order = append(order, key)
			}
			rows[key][value] = r.Value[1].(string)
		}
	}
	names := map[string]bool{}
	for _, row := range rows {
		for name := range row {
			names[name] = !organize.ExcludeByName[name]
		}
	}
	var columns []string
	for name, is := range names {
		if is {
			columns = append(columns, name)
		}
	}
	slices.SortFunc(columns, func(a, b string) int { // labels, then values
		return strings.Compare(strings.Replace(a, "Value", "~", 1), strings.Replace(b, "Value", "~", 1))
	})
	for _, name := range columns {
		title := name
		if renamed := organize.RenameByName[name]; renamed != "" {
			title = renamed
		}
		out.Columns = append(out.Columns, title)
	}
	for _, key := range order {
		var cells []string
		for _, name := range columns {
			cells = append(cells, rows[key][name])
		}
		out.Rows = append(out.Rows, cells)
	}
}

func readDashboard(t *testing.T, path string) (d dashboard) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return d
}
