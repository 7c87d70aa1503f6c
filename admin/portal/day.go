package portal

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"muster/admin"
)

// dayPage is one day of a project, an item or all of them [STAT-1].
type dayPage struct {
	Day            time.Time
	Before, After  string // the days beside it; After is "" for today
	Asked          asking
	Uses           *chart
	Hours          []hourRow
	Columns        []string
	Concurrency    *chart
	Devices        []dayDevice
	Reports        []admin.Record
	Authorizations []admin.Record
	Denials        []admin.Record
	Exports        []dayExport
	Partly         bool // of some projects only: there are too many
}

type hourRow struct {
	Hour   string
	Values []uint64
}

// dayDevice is what the latest reports say of a device.
type dayDevice struct {
	UUID    string
	Count   uint64
	Reports int
	Last    time.Time
}

// dayExport is where records of a project are had as a table.
type dayExport struct{ Project, Kind, Query string }

const (
	dayProjects = 20  // of which single records are read
	dayRecords  = 100 // that are shown of each kind
)

func showDay(x *exchange) error {
	q := x.r.URL.Query()
	data := dayPage{Asked: askingOf(q)}
	today := x.now().Truncate(24 * time.Hour)
	var err error
	if data.Day, err = time.Parse(time.DateOnly, cmp.Or(q.Get("day"), day(today))); err != nil {
		return problem(400, "bad-parameter", "day", "A day is written as 2026-11-24.")
	}
	data.Before = day(data.Day.AddDate(0, 0, -1))
	if data.Day.Before(today) {
		data.After = day(data.Day.AddDate(0, 0, 1))
	}
	if err := data.hours(x); err != nil {
		return err
	}
	if err := data.records(x); err != nil {
		return err
	}
	return x.show("day", "Statistics of "+day(data.Day), &data)
}

// hours reads what was counted by the hour.
func (d *dayPage) hours(x *exchange) error {
	ask := func(measure, grain string, s *admin.Statistics) error {
		that := day(d.Day)
		return x.api.get("statistics"+asked("measure", measure, "grain", grain, "project", d.Asked.Project, "item", d.Asked.Item, "from", that, "to", that), s)
	}
	var uses, concurrency admin.Statistics
	if err := ask("uses", "hour", &uses); err != nil {
		return err
	}
	d.Uses = chartOf(&uses)
	for i := range uses.Series {
		d.Columns = append(d.Columns, lineName("uses", &uses.Series[i]))
	}
	for t := range uses.Times {
		row := hourRow{Hour: time.Unix(uses.Times[t], 0).UTC().Format("15:04")}
		for i := range uses.Series {
			row.Values = append(row.Values, uses.Series[i].Values[t])
		}
		if sum(row.Values) > 0 {
			d.Hours = append(d.Hours, row)
		}
	}
	if d.Asked.Project == "" && d.Asked.Item == "" {
		return nil // concurrency is counted for one of them
	}
	if err := ask("concurrency", "hour", &concurrency); err != nil {
		return err
	}
	d.Concurrency = chartOf(&concurrency)
	return nil
}

// records reads the latest reports, authorizations and denials, which are kept by
// project.
func (d *dayPage) records(x *exchange) error {
	projects, err := d.projects(x)
	if err != nil {
		return err
	}
	d.Partly = len(projects) > dayProjects
	for _, id := range projects[:min(len(projects), dayProjects)] {
		for kind, list := range map[string]*[]admin.Record{"reports": &d.Reports, "authorizations": &d.Authorizations, "denials": &d.Denials} {
			limit := "100"
			if kind == "reports" {
				limit = "2000" // devices are added up from them
			}
			path := at("projects", id, "records", kind)
			var answer admin.RecordList
			if err := x.api.get(path+asked("day", day(d.Day), "item", d.Asked.Item, "limit", limit), &answer); err != nil {
				return err
			}
			*list = append(*list, answer.Records...)
			if len(answer.Records) > 0 {
				d.Exports = append(d.Exports, dayExport{id, kind, path + asked("day", day(d.Day), "item", d.Asked.Item, "limit", "2000", "format", "csv")})
			}
		}
	}
	slices.SortFunc(d.Exports, func(a, b dayExport) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), -cmp.Compare(a.Kind, b.Kind))
	})
	d.Devices = devicesOf(d.Reports)
	for _, list := range []*[]admin.Record{&d.Reports, &d.Authorizations, &d.Denials} {
		slices.SortStableFunc(*list, func(a, b admin.Record) int { return b.Time.Compare(a.Time) })
		*list = (*list)[:min(len(*list), dayRecords)]
	}
	return nil
}

// projects are the ids of those that the page is about.
func (d *dayPage) projects(x *exchange) (ids []string, err error) {
	if d.Asked.Project != "" {
		return []string{d.Asked.Project}, nil
	}
	if d.Asked.Item != "" {
		var item admin.Item
		err := x.api.get(itemPath(d.Asked.Item), &item)
		return item.Projects, err
	}
	var list admin.ProjectList
	err = x.api.get("projects", &list)
	for _, p := range list.Projects {
		ids = append(ids, p.ID)
	}
	return ids, err
}

// devicesOf adds reports up by device, the most used first.
func devicesOf(reports []admin.Record) (list []dayDevice) {
	places := map[string]int{}
	for _, r := range reports {
		i, known := places[r.Device]
		if !known {
			i = len(list)
			places[r.Device] = i
			list = append(list, dayDevice{UUID: r.Device})
		}
		d := &list[i]
		d.Count += uint64(r.Count)
		d.Reports++
		if r.Time.After(d.Last) {
			d.Last = r.Time
		}
	}
	slices.SortStableFunc(list, func(a, b dayDevice) int { return -cmp.Compare(a.Count, b.Count) })
	return list[:min(len(list), dayRecords)]
}

// recordTable is a table of single records; Kinds: of several kinds, of one device.
type recordTable struct {
	ID, Title string
	Records   []admin.Record
	Kinds     bool
}

func recordsOf(title string, list []admin.Record) recordTable {
	return recordTable{ID: "records-" + strings.ToLower(title), Title: title, Records: list, Kinds: title == "History"}
}
