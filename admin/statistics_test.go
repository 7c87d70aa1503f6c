package admin

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/protocol"
)

const statistics = "/api/v1/statistics"

func (b *bed) statistics(query string) (s Statistics) {
	b.t.Helper()
	b.call(localToken, "GET", statistics+"?"+query, noBody, ok, &s)
	return s
}

// total is the sum of all lines of a statistic.
func (s *Statistics) total() (n uint64) {
	for _, line := range s.Series {
		n += line.Total
	}
	return n
}

// denied has a device ask for what no item is for.
func (b *bed) denied(project string) {
	b.t.Helper()
	r := protocol.Request{Kind: protocol.KindCheckIn, ID: 1, UUID: [16]byte{8}, Tag: 1, CheckIn: &protocol.CheckIn{Product: []byte("NONE")}}
	if a := b.device(project, r); a.Kind != protocol.KindRefused {
		b.t.Fatalf("answered %d", a.Kind)
	}
}

// The numbers are those that were reported, by every measure, grain and period.
func TestStatistics(t *testing.T) { // [STAT-1] [STAT-2] [STAT-3]
	b := newBed(t)
	project := b.imported()
	b.scans(project, 5)
	b.denied(project)
	b.now = b.now.Add(24 * time.Hour)
	b.scansAgain(project, 7)
	today := b.now.Format(time.DateOnly)
	for query, want := range map[string]uint64{
		"": 12, "measure=uses&grain=hour&days=2": 12, "grain=slot&days=2": 12, "days=1": 7, "days=all": 12, "from=" + today + "&to=" + today: 7,
		"project=" + project: 12, "item=1001/scan": 12, "item=1001/device-yearly": 0, "project=" + project + "&item=1001/scan&days=7": 12,
		"measure=devices&project=" + project: 2, "measure=devices&item=1001/scan&days=1": 1, "measure=new-devices&project=" + project: 1,
		"measure=authorizations": 1, "measure=denials": 1, "measure=denials&days=1": 0,
	} {
		s := b.statistics(query)
		if got := s.total(); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
		for _, line := range s.Series {
			if len(line.Values) != len(s.Times) {
				t.Errorf("%s: %d values at %d times", query, len(line.Values), len(s.Times))
			}
		}
	}
	s := b.statistics("days=3&accumulated=true")
	if !slices.Equal(s.Series[0].Values, []uint64{0, 5, 12}) || s.Series[0].Name != "QR" || s.Times[2] != b.now.Unix()/86400*86400 {
		t.Errorf("accumulated: %+v", s)
	}
	if s := b.statistics("measure=denials"); s.Series[0].Name != "106" && s.Series[0].Text == "" {
		t.Errorf("denials: %+v", s.Series)
	}
	var totals Totals
	b.call(localToken, "GET", "/api/v1/totals?project="+project, noBody, ok, &totals)
	if totals.Uses[0] != (DataTotal{"QR", "", 12}) || totals.Devices != 1 || totals.Authorizations != 1 || totals.Denials[0].Total != 1 {
		t.Errorf("totals %+v", totals)
	}
}

// scansAgain reports for the device of scans, as its second change.
func (b *bed) scansAgain(project string, count uint32) {
	b.t.Helper()
	b.report(project, b.lastReport, count)
}

func TestStatisticsRefused(t *testing.T) {
	b := newBed(t)
	b.imported()
	for _, query := range []string{
		"measure=scans", "grain=week", "days=0", "days=x", "days=7&from=2026-11-01", "from=yesterday", "to=2026-13-01", "from=2026-11-24&to=2026-11-01",
		"measure=devices&item=1001/scan&grain=hour", "measure=devices", "measure=concurrency", "grain=slot&days=36", "accumulated=yes", "format=xml",
	} {
		b.refused(localToken, "GET", statistics+"?"+query, noBody, 400, "bad-parameter")
	}
	b.refused(localToken, "GET", statistics+"?project=2001-9", noBody, 404, "not-found")
	b.refused(localToken, "GET", statistics+"?item=1001/none", noBody, 422, "unknown-item")
	b.refused(localToken, "GET", statistics+"?period=all", noBody, 400, "unknown-parameter")
}

// CSV is what a spreadsheet reads, and no cell is taken for a formula.
func TestStatisticsCSV(t *testing.T) { // [STAT-2]
	b := newBed(t)
	project := b.imported()
	b.scans(project, 5)
	r := request(localToken, "GET", statistics+"?days=2&format=csv", noBody)
	answer := b.send(r)
	rows, err := csv.NewReader(answer.Body).ReadAll()
	if err != nil || answer.Header.Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Fatal(err, answer.Header)
	}
	want := [][]string{{"time", "QR"}, {"2026-11-22T00:00:00Z", "0"}, {"2026-11-23T00:00:00Z", "5"}}
	if fmt.Sprint(rows) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", rows, want)
	}
	for text, want := range map[string]string{"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@a": "'@a", "\ta": "'\ta", "QR": "QR", "": "", "1": "1"} {
		if got := plainCell(text); got != want {
			t.Errorf("cell %q is %q", text, got)
		}
	}
}

func TestRecords(t *testing.T) { // [STAT-1] [STAT-4]
	b := newBed(t)
	project := b.imported()
	b.scans(project, 5)
	b.denied(project)
	path := "/api/v1/projects/" + project + "/records/"
	for kind, want := range map[string]string{
		"reports": "report 1001/scan 5 QR 0", "authorizations": "authorization 1001/scan 0  0", "denials": "denial 1001/scan 0  106",
	} {
		var list RecordList
		b.call(localToken, "GET", path+kind, noBody, ok, &list)
		if len(list.Records) != 1 {
			t.Errorf("%s: %d records", kind, len(list.Records))
			continue
		}
		rec := list.Records[0]
		if got := fmt.Sprintf("%s %s %d %s %d", rec.Kind, rec.Item, rec.Count, rec.Module, rec.Code); got != want || !rec.Time.Equal(b.now) || rec.Device == "" || rec.Project != project {
			t.Errorf("%s: %q, want %q: %+v", kind, got, want, rec)
		}
		b.call(localToken, "GET", path+kind+"?day=2026-11-22", noBody, ok, &list)
		if len(list.Records) != 0 {
			t.Errorf("%s of another day: %d", kind, len(list.Records))
		}
	}
	var list RecordList
	b.call(localToken, "GET", path+"reports?item=1001/device-yearly", noBody, ok, &list)
	if len(list.Records) != 0 {
		t.Errorf("of another item: %d", len(list.Records))
	}
	b.refused(localToken, "GET", path+"refunds", noBody, 404, "not-found")
	b.refused(localToken, "GET", path+"reports?limit=2001", noBody, 400, "bad-parameter")

	var history RecordList
	b.call(localToken, "GET", "/api/v1/devices/"+uuidText([16]byte{9})+"/history", noBody, ok, &history)
	if len(history.Records) != 2 {
		t.Errorf("history: %+v", history)
	}
	b.refused(localToken, "GET", "/api/v1/devices/"+uuidText([16]byte{7})+"/history", noBody, 404, "not-found")
	b.refused(localToken, "GET", "/api/v1/devices/"+uuidText([16]byte{9})+"/history?days=36", noBody, 400, "bad-parameter")
}

func TestDeviceSearch(t *testing.T) { // [OPS-1]
	b := newBed(t)
	project := b.imported()
	for i := range 7 {
		b.seated(project, byte(i))
	}
	var list []string
	for after := uint32(0); ; {
		var page DevicePage
		b.call(localToken, "GET", fmt.Sprintf("/api/v1/devices?search=ab00&item=1001/device-yearly&state=held&limit=3&after=%d", after), noBody, ok, &page)
		for _, d := range page.Devices {
			list = append(list, d.UUID.String()[34:])
		}
		if after = page.Next; after == 0 {
			break
		}
	}
	if got := strings.Join(list, " "); got != "00 01 02 03 04 05 06" {
		t.Errorf("found %s", got)
	}
	for query, want := range map[string]int{"search=AB000000-0000-0000-0000-000000000005": 1, "search=AC": 0, "state=blocked": 0, "state=clone": 0, "item=1001/scan": 0, "": 7} {
		var page DevicePage
		b.call(localToken, "GET", "/api/v1/devices?"+query, noBody, ok, &page)
		if len(page.Devices) != want {
			t.Errorf("%s: %d devices, want %d", query, len(page.Devices), want)
		}
	}
	for _, query := range []string{"search=xyz", "state=lost", "after=x", "limit=501"} {
		b.refused(localToken, "GET", "/api/v1/devices?"+query, noBody, 400, "bad-parameter")
	}
}
