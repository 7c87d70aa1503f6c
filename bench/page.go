package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"go.yaml.in/yaml/v3"

	"muster/internal/uplot"
)

//go:embed report.html
var reportText string

var reportPage = template.Must(template.New("report").Funcs(template.FuncMap{
	"columns": func() (names []string) {
		for _, c := range columns {
			names = append(names, c.name)
		}
		return names
	},
	"cells": func(m *Measure) (cells []string) {
		for _, c := range columns {
			cells = append(cells, show(m, c.of, c.show))
		}
		return cells
	},
	"troubles": (*Measure).troubles,
}).Parse(reportText))

// pageChart is a chart of the page: lines over the seconds of the load.
type pageChart struct {
	Title  string      `json:"title"`
	Unit   string      `json:"unit"`
	Log    bool        `json:"log"`
	Names  []string    `json:"names"`
	Values [][]float64 `json:"values"` // of each line, one for each interval
}

// charts are those of a load's course; there are none without one.
func (r *Report) charts() (times []float64, list []pageChart) {
	for i := range r.Series {
		times = append(times, r.Series[i].At)
	}
	chart := func(title, unit string, log bool, lines ...chartLine) {
		c := pageChart{Title: title, Unit: unit, Log: log}
		for _, l := range lines {
			values, any := make([]float64, len(r.Series)), false
			for i := range r.Series {
				values[i] = l.of(&r.Series[i])
				any = any || values[i] != 0
			}
			if any {
				c.Names, c.Values = append(c.Names, l.name), append(c.Values, values)
			}
		}
		if len(c.Names) > 0 {
			list = append(list, c)
		}
	}
	chart("Rate", "requests a second", false,
		chartLine{"offered", func(i *Interval) float64 { return i.Offered }}, chartLine{"served", func(i *Interval) float64 { return i.Served }},
		chartLine{"busy", func(i *Interval) float64 { return i.Busy }}, chartLine{"refused", func(i *Interval) float64 { return i.Refused }})
	chart("Latency", "milliseconds", true,
		chartLine{"p50", func(i *Interval) float64 { return i.Latency.P50 / 1e3 }}, chartLine{"p99", func(i *Interval) float64 { return i.Latency.P99 / 1e3 }},
		chartLine{"p99.9", func(i *Interval) float64 { return i.Latency.P999 / 1e3 }}, chartLine{"max", func(i *Interval) float64 { return i.Latency.Max / 1e3 }})
	chart("Server CPU", "CPUs in use", false, chartLine{"CPUs", func(i *Interval) float64 { return i.CPUs }})
	chart("Server memory", "MiB", false, chartLine{"resident", func(i *Interval) float64 { return float64(i.Memory) / (1 << 20) }})
	return times, list
}

type chartLine struct {
	name string
	of   func(*Interval) float64
}

// WritePage writes the report as a page that needs nothing else.
func (r *Report) WritePage(out io.Writer) error {
	times, charts := r.charts()
	settings, err := yaml.Marshal(r.Settings)
	if err != nil {
		return err
	}
	return reportPage.Execute(out, map[string]any{
		"Report": r, "Began": r.Began.Format(time.DateTime), "Commit": fmt.Sprintf("%.12s", r.Commit), "Settings": string(settings),
		"Times": times, "Charts": charts, "Script": template.JS(uplot.Script), "Style": template.CSS(uplot.Style),
	})
}
