package portal

import (
	"cmp"
	"net/url"
	"slices"
	"time"

	"muster/admin"
)

func (p *Portal) statisticRoutes() []route {
	return []route{
		{pattern: "GET /statistics", handle: showStatistics},
		{pattern: "GET /statistics/day", handle: showDay},
	}
}

// asking is what a statistic is asked for; its names are those of the form.
type asking struct {
	Measure       string // uses, devices, concurrency, authorizations, denials
	Project, Item string
	Days          string // 7, 30, 90, all, range
	From, To      string // days, of a range
	Accumulated   bool
}

// statisticsPage is a measure over days [STAT-1].
type statisticsPage struct {
	Asked    asking
	Projects []admin.Project
	Items    []itemRow
	Tiles    []tile
	Chart    *chart
	Columns  []string
	Rows     []statisticRow // newest first
	Totals   []uint64       // of the columns; nil where adding up means nothing
	Export   string         // query of the same numbers from the API
	Problem  string         // why there are none
}

type tile struct{ Name, Value, More string }

type statisticRow struct {
	Day    time.Time
	Values []uint64
}

// accumulates says whether a measure can be added up over days: devices are, as
// those that came for the first time.
func accumulates(measure string) bool { return measure != "concurrency" }

func askingOf(q url.Values) asking {
	a := asking{
		Measure: cmp.Or(q.Get("measure"), "uses"), Project: q.Get("project"), Item: q.Get("item"),
		Days: cmp.Or(q.Get("days"), "30"), From: q.Get("from"), To: q.Get("to"),
	}
	a.Accumulated = q.Get("accumulated") == "true" && accumulates(a.Measure)
	return a
}

// query is what the API is asked, for a measure of it.
func (a *asking) query(measure string) string {
	pairs := []string{"measure", measure, "project", a.Project, "item", a.Item}
	if a.Days == "range" {
		pairs = append(pairs, "from", a.From, "to", a.To)
	} else {
		pairs = append(pairs, "days", a.Days)
	}
	if a.Accumulated {
		pairs = append(pairs, "accumulated", "true")
	}
	return "statistics" + asked(pairs...)
}

func showStatistics(x *exchange) error {
	data := statisticsPage{Asked: askingOf(x.r.URL.Query())}
	var projects admin.ProjectList
	if err := x.api.get("projects", &projects); err != nil {
		return err
	}
	var err error
	if data.Items, err = x.items(); err != nil {
		return err
	}
	data.Projects = projects.Projects
	data.scope()
	if len(data.Projects) == 0 {
		return x.show("statistics", "Statistics", &data)
	}
	s, err := data.read(x)
	if p := problemIn(err); p != nil { // what was asked for in the address can't be had
		data.Problem = p.Detail
		return x.show("statistics", "Statistics", &data)
	}
	if err != nil {
		return err
	}
	data.fill(s)
	if err := data.tiles(x, s); err != nil {
		return err
	}
	return x.show("statistics", "Statistics", &data)
}

// scope chooses a project where the measure needs one and none is given.
func (d *statisticsPage) scope() {
	a := &d.Asked
	if a.Project == "" && a.Item == "" && (a.Measure == "devices" || a.Measure == "concurrency") && len(d.Projects) > 0 {
		a.Project = d.Projects[max(slices.IndexFunc(d.Projects, func(p admin.Project) bool { return p.Default }), 0)].ID
	}
}

// read asks for the numbers; devices are those of each day and the new ones.
func (d *statisticsPage) read(x *exchange) (*admin.Statistics, error) {
	measure := d.Asked.Measure
	if measure == "devices" && d.Asked.Accumulated {
		measure = "new-devices"
	}
	d.Export = d.Asked.query(measure)
	var s admin.Statistics
	if err := x.api.get(d.Export, &s); err != nil || measure != "devices" {
		return &s, err
	}
	var fresh admin.Statistics
	if err := x.api.get(d.Asked.query("new-devices"), &fresh); err != nil {
		return nil, err
	}
	s.Series = append(s.Series, fresh.Series...)
	return &s, nil
}

// fill makes the chart and the table of the same numbers.
func (d *statisticsPage) fill(s *admin.Statistics) {
	d.Chart = chartOf(s)
	if d.Chart != nil && s.Measure == "devices" {
		d.Chart.Kind = "line"
	}
	if d.Chart != nil && s.Measure == "concurrency" {
		d.Chart.Quota = d.quota()
	}
	adds := (s.Measure == "uses" || s.Measure == "authorizations" || s.Measure == "denials") && !s.Accumulated
	for i := range s.Series {
		d.Columns = append(d.Columns, lineName(s.Measure, &s.Series[i]))
		if adds {
			d.Totals = append(d.Totals, s.Series[i].Total)
		}
	}
	if adds && len(s.Series) > 1 {
		d.Columns = append(d.Columns, "All")
		d.Totals = append(d.Totals, sum(d.Totals))
	}
	for t := len(s.Times) - 1; t >= 0; t-- {
		row := statisticRow{Day: time.Unix(s.Times[t], 0).UTC()}
		for i := range s.Series {
			row.Values = append(row.Values, s.Series[i].Values[t])
		}
		if adds && len(s.Series) > 1 {
			row.Values = append(row.Values, sum(row.Values))
		}
		d.Rows = append(d.Rows, row)
	}
}

// quota is that of the item that is asked about, 0 if it has none to compare with.
func (d *statisticsPage) quota() uint64 {
	for i := range d.Items {
		if item := &d.Items[i]; item.Name == d.Asked.Item && !metered(item.ChargeWay) && item.ChargeWay != "domain" {
			return item.Quota
		}
	}
	return 0
}

// tiles are the numbers that people look for first.
func (d *statisticsPage) tiles(x *exchange, s *admin.Statistics) error {
	var ever admin.Totals
	if err := x.api.get("totals"+asked("project", d.Asked.Project, "item", d.Asked.Item), &ever); err != nil {
		return err
	}
	add := func(name, value, more string) { d.Tiles = append(d.Tiles, tile{name, value, more}) }
	allOf := func(list []admin.DataTotal) (n uint64) {
		for _, t := range list {
			n += t.Total
		}
		return n
	}
	most, when := peak(s)
	switch d.Asked.Measure {
	case "uses":
		add("In this period", number(d.total(s)), "")
		add("Busiest day", number(most), when)
		add("Ever", number(allOf(ever.Uses)), "since the first import")
	case "devices":
		add("Most on one day", number(most), when)
		add("Ever authorized", number(ever.Devices), "")
	case "concurrency":
		add("Peak in this period", number(most), when)
		if quota := d.quota(); quota > 0 {
			add("Quota", number(quota), "")
		}
		if ever.OveruseSlots > 0 {
			add("Overuse spent", number(ever.OveruseSlots), "device-slots, ever")
		}
	case "authorizations":
		add("In this period", number(d.total(s)), "")
		add("Ever", number(ever.Authorizations), "")
	case "denials":
		add("In this period", number(d.total(s)), "")
		add("Ever", number(allOf(ever.Denials)), "")
	}
	return nil
}

// total is the sum over the period.
func (d *statisticsPage) total(s *admin.Statistics) (n uint64) {
	for i := range s.Series {
		n += s.Series[i].Total
	}
	return n
}

// peak is the highest sum of an interval, and its day. Accumulated numbers are
// taken apart again.
func peak(s *admin.Statistics) (most uint64, when string) {
	for t := range s.Times {
		var n uint64
		for i := range s.Series {
			if s.Measure == "devices" && i > 0 { // new devices are among the devices
				break
			}
			n += s.Series[i].Values[t]
			if s.Accumulated && t > 0 {
				n -= s.Series[i].Values[t-1]
			}
		}
		if n > most {
			most, when = n, day(time.Unix(s.Times[t], 0))
		}
	}
	return most, when
}
