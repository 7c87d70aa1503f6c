package portal

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"muster/admin"
	"muster/license"
)

var chartData = regexp.MustCompile(`data-chart="([^"]*)"`)

// chartOn is the first chart of a page.
func chartOn(t *testing.T, g *got) (c chart) {
	t.Helper()
	m := chartData.FindStringSubmatch(g.body)
	if m == nil {
		t.Fatalf("no chart in %s", g.body)
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// What the page shows is what was counted, in the chart, in the table and in what
// it links to [STAT-1] [STAT-3].
func TestStatisticsShowWhatWasCounted(t *testing.T) {
	b := newBed(t)
	project := b.imported("scan", "device-yearly")
	b.uses(project, license.Scan, 1, 30)
	b.now = b.now.AddDate(0, 0, 1)
	b.uses(project, license.Scan, 2, 1012)
	b.uses(project, license.DeviceYearly, 3, 4)
	v := b.as(admin.RoleViewer)
	g := v.page("/statistics?days=7")
	g.has("1,046", "1,016", `<a class="btn" download href="api/v1/statistics?days=7&amp;measure=uses&amp;format=csv">`)
	c := chartOn(t, g)
	if len(c.Series) != 1 || c.Series[0].Values[5] != 30 || c.Series[0].Values[6] != 1016 || c.Kind != "bars" {
		t.Errorf("chart %+v", c)
	}
	c = chartOn(t, v.page("/statistics?days=7&item=1001/scan&accumulated=true"))
	if c.Series[0].Values[5] != 30 || c.Series[0].Values[6] != 1042 || c.Kind != "line" {
		t.Errorf("accumulated chart %+v", c)
	}
	g = v.page("/statistics?measure=devices&days=7") // of the default project
	c = chartOn(t, g)
	if c.Series[0].Name != "Devices" || c.Series[0].Values[5] != 1 || c.Series[0].Values[6] != 2 || c.Series[1].Name != "New devices" || c.Series[1].Values[6] != 2 {
		t.Errorf("devices %+v", c)
	}
	c = chartOn(t, v.page("/statistics?measure=devices&days=7&accumulated=true"))
	if c.Series[0].Values[6] != 3 {
		t.Errorf("devices so far %+v", c)
	}
	c = chartOn(t, v.page("/statistics?measure=concurrency&days=7&item=1001/device-yearly"))
	if c.Quota != 100 || c.Series[0].Values[6] != 1 {
		t.Errorf("concurrency %+v", c)
	}
	v.page("/statistics?measure=uses&days=range&from=2026-11-23&to=2026-11-23").has(">30<")
	v.page("/statistics?days=range&from=2026-11-24&to=2026-11-23").has("The period ends before it begins")
	v.page("/statistics?item=1001/none").has("No item")
	b.uses(project, license.Domain, 4, 0)
	v.page("/statistics?measure=denials&days=7").has("115 charge way")
}

func TestStatisticsOfNothing(t *testing.T) {
	v := newBed(t).as(admin.RoleViewer)
	v.page("/statistics").has("Nothing was counted yet")
	v.page("/statistics/day").has("Nothing was counted on this day")
}

func TestDay(t *testing.T) { // [STAT-1] [STAT-4]
	b, project := stocked(t)
	b.uses(project, license.Scan, 1, 12)
	v := b.as(admin.RoleViewer)
	g := v.page("/statistics/day?day=2026-11-23&project=" + project)
	g.has("12:00", "115 charge way", deviceName(4), "records/denials?day=2026-11-23", "2026-11-22")
	if i := strings.Index(g.body, deviceName(1)); i < 0 || !strings.Contains(g.body[i:i+600], ">42<") { // two reports of it
		t.Error("the reports of a device are not added up")
	}
	g.lacks("2026-11-24</a>")
	v.page("/statistics/day?day=2026-11-20").has("No report arrived on this day", "2026-11-21")
	g = v.page("/statistics/day?item=1001/scan")
	g.has(deviceName(1))
	g.lacks(deviceName(4))
	if g := v.get("/statistics/day?day=monday"); g.status != http.StatusBadRequest {
		t.Errorf("no day: %d", g.status)
	}
}
