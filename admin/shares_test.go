package admin

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/protocol"
)

func TestProjectShares(t *testing.T) { // [PRJ-7]
	b := newBed(t)
	id := b.imported()
	project := projects + "/" + id
	var p Project
	b.call(localToken, "PATCH", project, jsonBody(`{"shares": [{"item": "1001/device-yearly", "reserve": 1, "cap": 2}]}`), ok, &p)
	b.seated(id, 1)
	two := uint64(2)
	b.call(localToken, "GET", project, noBody, ok, &p)
	if diff := cmp.Diff([]Share{{Item: "1001/device-yearly", Reserve: 1, Cap: &two, Used: 1}}, p.Shares); diff != "" {
		t.Error(diff)
	}
	b.seated(id, 2)
	if a := b.device(id, yearly(3)); a.Code != protocol.LimitExceeded {
		t.Errorf("beyond the cap: %v, want 120", a.Code)
	}
	for in, want := range map[string]struct {
		status int
		kind   string
		field  string
	}{
		`[{"item": "1001/device-yearly", "reserve": 1000000}]`:                  {409, "conflict", "shares.reserve"},
		`[{"item": "1001/device-yearly", "reserve": 3, "cap": 2}]`:              {422, "invalid", "shares.cap"},
		`[{"item": "1001/none", "reserve": 3}]`:                                 {422, "unknown-item", "shares.item"},
		`[{"item": "1001/scan"}, {"item": "1001/scan", "reserve": 1}]`:          {422, "invalid", "shares.item"},
		`[{"item": "1001/scan", "reserve": -1}]`:                                {400, "bad-json", "shares.reserve"},
		`[{"item": "1001/scan", "reserve": 1, "limit": 7}]`:                     {400, "unknown-field", "limit"},
		`[{"item": "1001/scan", "reserve": 1, "cap": 99999999999999999999999}]`: {400, "bad-json", "shares.cap"},
	} {
		p := b.refused(localToken, "PATCH", project, jsonBody(`{"shares": %s}`, in), want.status, want.kind)
		if p.Field != want.field {
			t.Errorf("%s: field %q, want %q", in, p.Field, want.field)
		}
		if of := strings.Contains(p.Detail, "1001/device-yearly"); of && p.Item != "1001/device-yearly" {
			t.Errorf("%s: item %q", in, p.Item)
		}
	}
	b.call(localToken, "PATCH", project, jsonBody(`{"shares": []}`), ok, &p)
	if len(p.Shares) != 0 {
		t.Errorf("taken away: %+v", p.Shares)
	}
}
