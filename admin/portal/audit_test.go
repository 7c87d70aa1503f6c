package portal

import (
	"encoding/json"
	"fmt"
	"testing"

	"muster/admin"
)

func TestAudit(t *testing.T) {
	b, project := stocked(t)
	for i := range 60 {
		b.call("PATCH", "projects/"+project, map[string]string{"name": fmt.Sprintf("Name %d", i)}, nil)
	}
	v := b.as(admin.RoleViewer)
	g := v.page("/audit")
	g.has("local", "changed the project", `href="projects/`+project+`"`, "<del>Name 58</del>", "<ins>Name 59</ins>", "Older", "before=")
	g.lacks("imported the license")
	g = v.page("/audit?before=5")
	g.has("imported the license", "Newest")
	g.lacks("Older")
	if g := v.get("/audit?before=x"); g.status != 400 {
		t.Errorf("no number: %d", g.status)
	}
}

func TestDiff(t *testing.T) {
	before, after := json.RawMessage(`{"name":"a","quota":1000,"items":["x"],"gone":true,"same":1,"expiry":"2026-11-24T00:00:00Z"}`),
		json.RawMessage(`{"name":"b","quota":12000,"items":["x","y"],"same":1,"graceSeconds":5,"expiry":"2027-11-24T00:00:00Z","shares":[{"item":"x","reserve":2}]}`)
	want := []diffLine{
		{"expiry", "2026-11-24 00:00:00 UTC", "2027-11-24 00:00:00 UTC"}, {"gone", "yes", ""}, {"items", "x", "x, y"}, {"name", "a", "b"},
		{"quota", "1,000", "12,000"}, {"grace seconds", "", "5"}, {"shares", "", "item x, reserve 2"},
	}
	got := diffOf(before, after)
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	if lines := diffOf(nil, json.RawMessage(`"no object"`)); len(lines) > 0 {
		t.Errorf("%+v", lines)
	}
}
