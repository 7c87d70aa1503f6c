package admin

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/engine"
)

func (a *Admin) statisticRoutes() []route {
	return []route{
		{
			method: "GET", path: "/api/v1/statistics", scope: ScopeRead,
			query: []string{"measure", "grain", "project", "item", "from", "to", "days", "accumulated", "format"}, handle: a.showStatistics,
			doc: doc{"Show a measure over time", nil, Statistics{}, []int{200}},
		},
		{method: "GET", path: "/api/v1/totals", scope: ScopeRead, query: []string{"project", "item"}, handle: a.showTotals,
			doc: doc{"Show the sums of all history", nil, Totals{}, []int{200}}},
		{
			method: "GET", path: "/api/v1/projects/{id}/records/{kind}", scope: ScopeRead,
			query: []string{"day", "item", "limit", "format"}, handle: a.showRecords,
			doc: doc{"Show the latest reports, authorizations or denials of a day", nil, RecordList{}, []int{200}},
		},
	}
}

// Statistics is a measure over time [STAT-1]. The numbers are the counters that
// quotas are held to [STAT-3].
type Statistics struct {
	Measure     string     `json:"measure"`
	Grain       string     `json:"grain"`
	Project     string     `json:"project,omitempty"`
	Item        string     `json:"item,omitempty"`
	Accumulated bool       `json:"accumulated"`
	Times       []int64    `json:"times"` // begin of each interval, unix seconds
	Series      []DataLine `json:"series"`
}

// DataLine is one line of a statistic.
type DataLine struct {
	// Name is the module of uses, the code of denials, else the measure.
	Name   string   `json:"name"`
	Text   string   `json:"text,omitempty"` // what the code means
	Values []uint64 `json:"values"`
	// Total is the sum of the values; of peaks, which add up to nothing, the highest.
	Total uint64 `json:"total"`
}

// measures by the names that the API has for them.
var measures = map[string]engine.Measure{
	"uses": engine.Uses, "devices": engine.Devices, "new-devices": engine.NewDevices,
	"concurrency": engine.Concurrency, "authorizations": engine.Authorizations, "denials": engine.Denials,
}

var grains = map[string]engine.Grain{"slot": engine.Slot, "hour": engine.Hour, "day": engine.Day}

// intervalsMax bounds the intervals of one answer: 35 days of slots.
const intervalsMax = 35 * 480

// span is what a statistic covers.
type span struct {
	measure     engine.Measure
	grain       engine.Grain
	scope       engine.Scope
	first, last uint32 // intervals
}

func (a *Admin) showStatistics(w http.ResponseWriter, r *http.Request) error {
	catalog, err := a.catalog()
	if err != nil {
		return err
	}
	q := r.URL.Query()
	s, err := a.spanOf(catalog, r)
	if err != nil {
		return err
	}
	accumulated, err := boolOf(q.Get("accumulated"), "accumulated")
	if err != nil {
		return err
	}
	lines, err := a.series(r.Context(), s)
	if err != nil {
		return err
	}
	answer := Statistics{
		Measure: cmp.Or(q.Get("measure"), "uses"), Grain: cmp.Or(q.Get("grain"), "day"),
		Project: q.Get("project"), Item: q.Get("item"), Accumulated: accumulated,
		Times: make([]int64, s.last-s.first+1), Series: []DataLine{},
	}
	for i := range answer.Times {
		answer.Times[i] = int64(s.first+uint32(i)) * s.grain.Seconds()
	}
	for _, line := range lines {
		shown := dataLine(catalog, answer.Measure, s.measure, &line, accumulated)
		if shown.Total > 0 || !split(s.measure) {
			answer.Series = append(answer.Series, shown)
		}
	}
	slices.SortFunc(answer.Series, func(a, b DataLine) int { return cmp.Or(-cmp.Compare(a.Total, b.Total), cmp.Compare(a.Name, b.Name)) })
	return writeTable(w, r, &answer, "muster-"+answer.Measure, func(row func(...string)) { answer.rows(row) })
}

// spanOf reads what is asked for.
func (a *Admin) spanOf(catalog *engine.Catalog, r *http.Request) (s span, err error) {
	q := r.URL.Query()
	var ok bool
	if s.measure, ok = measures[cmp.Or(q.Get("measure"), "uses")]; !ok {
		return s, badParameter("measure", q.Get("measure"), "uses, devices, new-devices, concurrency, authorizations or denials")
	}
	if s.grain, ok = grains[cmp.Or(q.Get("grain"), "day")]; !ok {
		return s, badParameter("grain", q.Get("grain"), "day, hour or slot")
	}
	if s.scope, err = scopeOf(catalog, r); err != nil {
		return s, err
	}
	daily := s.measure == engine.Devices || s.measure == engine.NewDevices
	switch {
	case daily && s.grain != engine.Day:
		return s, badParameter("grain", q.Get("grain"), "day: distinct devices are counted by day")
	case (daily || s.measure == engine.Concurrency) && s.scope == engine.Scope{}:
		return s, refusedField(http.StatusBadRequest, "bad-parameter", "project", "%s is counted for a project or an item: give one of them", q.Get("measure"))
	}
	from, to, err := a.periodOf(catalog, r)
	if err != nil {
		return s, err
	}
	s.first, s.last = s.grain.At(from), s.grain.At(to-1)
	if n := int64(s.last) - int64(s.first) + 1; n > intervalsMax {
		return s, refusedField(http.StatusBadRequest, "bad-parameter", "grain", "that are %d intervals, at most %d are answered at once; take a shorter period or a longer grain", n, intervalsMax)
	}
	return s, nil
}

// scopeOf reads which project and item are asked about.
func scopeOf(catalog *engine.Catalog, r *http.Request) (s engine.Scope, err error) {
	q := r.URL.Query()
	if id := q.Get("project"); id != "" {
		p, err := projectOf(catalog, id)
		if err != nil {
			return s, err
		}
		s.Project = p.Ordinal
	}
	if name := q.Get("item"); name != "" {
		item, err := itemNamed(catalog, name, "item")
		if err != nil {
			return s, err
		}
		s.Item = item.Ordinal
	}
	return s, nil
}

// daysDefault is the period of a statistic that names none.
const daysDefault = 30

// periodOf reads from when (unix seconds) to when, excluded: days back from
// today with today, or all, or from and to, which are days, both included.
func (a *Admin) periodOf(catalog *engine.Catalog, r *http.Request) (from, to int64, err error) {
	q := r.URL.Query()
	tomorrow := (a.now()/86400 + 1) * 86400
	from, to = tomorrow-daysDefault*86400, tomorrow
	switch days := q.Get("days"); {
	case days != "" && (q.Has("from") || q.Has("to")):
		return 0, 0, refusedField(http.StatusBadRequest, "bad-parameter", "days", "give days, or from and to, not both")
	case days == "all":
		return beginning(catalog, tomorrow), tomorrow, nil
	case days != "":
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil || n == 0 {
			return 0, 0, badParameter("days", days, "a number of days such as 7, or all")
		}
		return tomorrow - int64(n)*86400, tomorrow, nil
	}
	if text := q.Get("from"); text != "" {
		if from, err = dayOf("from", text); err != nil {
			return 0, 0, err
		}
	}
	if text := q.Get("to"); text != "" {
		if to, err = dayOf("to", text); err != nil {
			return 0, 0, err
		}
		to += 86400
	}
	if from >= to {
		return 0, 0, refusedField(http.StatusBadRequest, "bad-parameter", "to", "the period ends before it begins: from %s to %s", q.Get("from"), q.Get("to"))
	}
	return from, to, nil
}

func dayOf(name, text string) (second int64, err error) {
	t, err := time.ParseInLocation(time.DateOnly, text, time.UTC)
	if err != nil || t.Unix() < 0 || t.Year() > 2099 {
		return 0, badParameter(name, text, "a day such as 2026-11-24")
	}
	return t.Unix(), nil
}

// beginning is the first day that anything can be counted for: of the first
// license, less the time that reports may be late.
func beginning(catalog *engine.Catalog, tomorrow int64) int64 {
	first := tomorrow - 86400
	for _, l := range catalog.Licenses {
		first = min(first, l.Imported)
	}
	return first/86400*86400 - engine.LateSeconds
}

func badParameter(name, value, expected string) *Problem {
	return refusedField(http.StatusBadRequest, "bad-parameter", name, "%s=%q: expected %s", name, value, expected)
}

func boolOf(text, name string) (bool, error) {
	switch text {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, badParameter(name, text, "true or false")
}

// series reads a statistic from the decider, in steps.
func (a *Admin) series(ctx context.Context, s span) ([]engine.Series, error) {
	q := engine.NewSeriesQuery(s.scope, s.measure, s.grain, s.first, s.last)
	for done := false; !done; {
		err := a.edit(ctx, func(c *engine.Core) error {
			done = q.Step(c)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return q.Lines, nil
}

func dataLine(catalog *engine.Catalog, name string, m engine.Measure, s *engine.Series, accumulated bool) DataLine {
	line := DataLine{Name: name, Values: s.Values}
	switch m {
	case engine.Uses:
		line.Name = moduleName(catalog, s.Module)
	case engine.Denials:
		line.Name, line.Text = strconv.Itoa(int(s.Code)), codeText(s.Code)
	}
	for i, v := range line.Values {
		if m == engine.Concurrency {
			line.Total = max(line.Total, v)
			continue
		}
		line.Total += v
		if accumulated {
			line.Values[i] = line.Total
		}
	}
	return line
}

// split says whether a measure is split: then a line without a count is no news.
func split(m engine.Measure) bool { return m == engine.Uses || m == engine.Denials }

// codeText is what a code means, without its number.
func codeText(code engine.Code) string {
	_, text, _ := strings.Cut(code.String(), " ")
	return text
}

// noModule names uses that were reported for no module in particular.
const noModule = "(none)"

func moduleName(catalog *engine.Catalog, ordinal uint16) string {
	if ordinal == 0 || int(ordinal) >= len(catalog.Modules) {
		return noModule
	}
	return catalog.Modules[ordinal]
}

// rows are the statistic as a table: a row an interval, a column a series.
func (s *Statistics) rows(row func(...string)) {
	head := []string{"time"}
	for _, line := range s.Series {
		head = append(head, line.Name)
	}
	row(head...)
	for i, t := range s.Times {
		cells := []string{unixTime(t).Format(time.RFC3339)}
		for _, line := range s.Series {
			cells = append(cells, strconv.FormatUint(line.Values[i], 10))
		}
		row(cells...)
	}
}

// writeTable answers with JSON, or with CSV for format=csv.
func writeTable(w http.ResponseWriter, r *http.Request, v any, file string, rows func(row func(...string))) error {
	switch format := r.URL.Query().Get("format"); format {
	case "", "json":
		return writeJSON(w, http.StatusOK, v)
	case "csv":
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", file+".csv"))
		out := csv.NewWriter(w)
		rows(func(cells ...string) {
			for i := range cells {
				cells[i] = plainCell(cells[i])
			}
			_ = out.Write(cells) // an error: the reader went away
		})
		out.Flush()
		return nil
	default:
		return badParameter("format", format, "json or csv")
	}
}

// plainCell keeps a spreadsheet from taking a text for a formula.
func plainCell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

// Totals are the sums of all history [STAT-1].
type Totals struct {
	Uses           []DataTotal `json:"uses"` // by module
	Denials        []DataTotal `json:"denials"`
	Authorizations uint64      `json:"authorizations"`
	Devices        uint64      `json:"devices"`      // client UUIDs ever authorized; of a project or an item
	Undated        uint64      `json:"undatedLines"` // report lines whose slot could not be true; of an item [SLOT-1]
	OveruseSlots   uint64      `json:"overuseSlots"` // drawn from the budget; of an item [CDEV-2]
}

// DataTotal is a sum with what it is of.
type DataTotal struct {
	Name  string `json:"name"`
	Text  string `json:"text,omitempty"`
	Total uint64 `json:"total"`
}

func (a *Admin) showTotals(w http.ResponseWriter, r *http.Request) error {
	catalog, err := a.catalog()
	if err != nil {
		return err
	}
	scope, err := scopeOf(catalog, r)
	if err != nil {
		return err
	}
	var t engine.Totals
	err = a.edit(r.Context(), func(c *engine.Core) error {
		t = c.Totals(scope)
		return nil
	})
	if err != nil {
		return err
	}
	answer := Totals{
		Uses: []DataTotal{}, Denials: []DataTotal{}, Authorizations: t.Authorizations,
		Devices: t.Devices, Undated: t.Undated, OveruseSlots: t.Overuse,
	}
	for module, n := range t.Uses {
		if n > 0 {
			answer.Uses = append(answer.Uses, DataTotal{Name: moduleName(catalog, module), Total: n})
		}
	}
	for code, n := range t.Denials {
		if n > 0 {
			answer.Denials = append(answer.Denials, DataTotal{strconv.Itoa(int(code)), codeText(code), n})
		}
	}
	most := func(a, b DataTotal) int { return cmp.Or(-cmp.Compare(a.Total, b.Total), cmp.Compare(a.Name, b.Name)) }
	slices.SortFunc(answer.Uses, most)
	slices.SortFunc(answer.Denials, most)
	return writeJSON(w, http.StatusOK, answer)
}

// Record is one of the latest reports, authorizations or denials of a project
// and day; about 1,000 of each are kept, for 35 days [STAT-1], [STAT-4].
type Record struct {
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"` // report, authorization, denial
	Project string    `json:"project"`
	Device  string    `json:"device"` // client UUID; of a refused handshake it may be unknown
	Item    string    `json:"item,omitempty"`
	Slot    time.Time `json:"slot,omitzero"`    // of a report's first line
	Count   uint32    `json:"count,omitempty"`  // scans or pages of a report, instances of an authorization
	Module  string    `json:"module,omitempty"` // of a report
	Code    int       `json:"code,omitempty"`   // of a denial
	Text    string    `json:"text,omitempty"`   // what the code means
}

// RecordList is the answer to GET records, newest first.
type RecordList struct {
	Records []Record `json:"records"`
}

// recordKinds by the names that paths have for them.
var recordKinds = map[string]engine.RecordKind{
	"reports": engine.ReportRecords, "authorizations": engine.AuthorizationRecords, "denials": engine.DenialRecords,
}

func (a *Admin) showRecords(w http.ResponseWriter, r *http.Request) error {
	catalog, p, err := a.project(r)
	if err != nil {
		return err
	}
	name := r.PathValue("kind")
	kind, ok := recordKinds[name]
	if !ok {
		return refusal(http.StatusNotFound, "not-found", "there are no records %q; there are reports, authorizations and denials", name)
	}
	day := a.now() / 86400 * 86400
	if text := r.URL.Query().Get("day"); text != "" {
		if day, err = dayOf("day", text); err != nil {
			return err
		}
	}
	scope, err := scopeOf(catalog, r)
	if err != nil {
		return err
	}
	_, limit, err := pageOf(r, 100, 2000)
	if err != nil {
		return err
	}
	var records []engine.Record
	err = a.edit(r.Context(), func(c *engine.Core) error {
		records = c.Records(kind, p.Ordinal, uint32(day/86400))
		return nil
	})
	if err != nil {
		return err
	}
	answer := RecordList{Records: []Record{}}
	for _, rec := range records {
		if (scope.Item == 0 || rec.Item == scope.Item) && uint64(len(answer.Records)) < limit {
			answer.Records = append(answer.Records, recordView(catalog, p.ID, kind, &rec))
		}
	}
	return writeTable(w, r, &answer, "muster-"+name, answer.rows)
}

func recordView(catalog *engine.Catalog, project string, kind engine.RecordKind, rec *engine.Record) Record {
	view := Record{
		Time: unixTime(rec.Time), Project: project, Count: rec.Count, Slot: unixTime(int64(rec.Slot) * engine.Slot.Seconds()),
		Kind: map[engine.RecordKind]string{engine.ReportRecords: "report", engine.AuthorizationRecords: "authorization", engine.DenialRecords: "denial"}[kind],
	}
	if rec.UUID != ([16]byte{}) {
		view.Device = uuidText(rec.UUID)
	}
	if item := numbered(catalog.Items, rec.Item); item != nil {
		view.Item = item.Name()
	}
	if kind == engine.ReportRecords {
		view.Module = moduleName(catalog, rec.Module)
	}
	if rec.Code != 0 {
		view.Code, view.Text = int(rec.Code), codeText(rec.Code)
	}
	return view
}

func (l *RecordList) rows(row func(...string)) {
	row("time", "kind", "project", "device", "item", "slot", "count", "module", "code", "text")
	for _, rec := range l.Records {
		slot, code := "", ""
		if !rec.Slot.IsZero() {
			slot = rec.Slot.Format(time.RFC3339)
		}
		if rec.Code != 0 {
			code = strconv.Itoa(rec.Code)
		}
		row(rec.Time.Format(time.RFC3339), rec.Kind, rec.Project, rec.Device, rec.Item, slot, strconv.FormatUint(uint64(rec.Count), 10), rec.Module, code, rec.Text)
	}
}
