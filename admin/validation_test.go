package admin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/protocol"
)

func TestProjectValidation(t *testing.T) { // [PRJ-5]
	b := newBed(t)
	project := projects + "/" + b.imported()
	var p Project
	b.call(localToken, "GET", project, noBody, ok, &p)
	none := Validation{Domains: []string{}, Applications: []string{}, Processes: []string{}}
	if diff := cmp.Diff(none, p.Validation); diff != "" {
		t.Errorf("at first: %s", diff)
	}
	set := Validation{Domains: []string{"*.example.com"}, Applications: []string{"com.acme.app"}, Processes: []string{"reader.exe", "reader"}}
	b.call(localToken, "PATCH", project, jsonBody(
		`{"validation": {"domains": ["*.example.com"], "applications": ["com.acme.app"], "processes": ["reader.exe", "reader"]}}`), ok, &p)
	if diff := cmp.Diff(set, p.Validation); diff != "" {
		t.Errorf("set: %s", diff)
	}
	var named Project
	b.call(localToken, "PATCH", project, jsonBody(`{"name": "n"}`), ok, &named)
	if diff := cmp.Diff(set, named.Validation); diff != "" {
		t.Errorf("left out, so unchanged: %s", diff)
	}
	var replaced Project
	b.call(localToken, "PATCH", project, jsonBody(`{"validation": {"processes": ["reader"]}}`), ok, &replaced)
	if diff := cmp.Diff(Validation{Domains: []string{}, Applications: []string{}, Processes: []string{"reader"}}, replaced.Validation); diff != "" {
		t.Errorf("replaced as a whole: %s", diff)
	}
	a := b.device(replaced.ID, yearly(1))
	if a.Code != protocol.ValidationMismatch {
		t.Errorf("a device without process name is answered %v, want 114", a.Code)
	}
	b.call(localToken, "PATCH", project, jsonBody(`{"validation": {}}`), ok, &p)
	if diff := cmp.Diff(none, p.Validation); diff != "" {
		t.Errorf("cleared: %s", diff)
	}
}

func TestProjectValidationRefused(t *testing.T) { // [PRJ-5]
	b := newBed(t)
	project := projects + "/" + b.imported()
	for _, c := range []struct {
		in, kind, word, field string
		status                int
	}{
		{`{"domains": ["https://example.com/"]}`, "invalid", "example.com", "validation.domains", 422},
		{`{"applications": [""]}`, "invalid", "applications", "validation.applications", 422},
		{`{"processes": [" reader"]}`, "invalid", "processes", "validation.processes", 422},
		{`{"processes": [` + strings.Repeat(`"p",`, 1000) + `"p"]}`, "invalid", "at most 1000", "validation.processes", 422},
		{`{"domain": ["example.com"]}`, "unknown-field", "domain", "domain", 400},
		{`{"domains": "example.com"}`, "bad-json", "a list", "validation.domains", 400},
		{`null`, "invalid", "changes nothing", "", 422},
	} {
		p := b.refused(localToken, "PATCH", project, jsonBody("%s", fmt.Sprintf(`{"validation": %s}`, c.in)), c.status, c.kind)
		if !strings.Contains(p.Detail, c.word) || p.Field != c.field {
			t.Errorf("%s: field %q, %q", c.in, p.Field, p.Detail)
		}
	}
}
