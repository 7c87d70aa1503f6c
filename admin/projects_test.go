package admin

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const projects = "/api/v1/projects"

func TestCreateProject(t *testing.T) { // [PRJ-1]
	b := newBed(t)
	b.refused(localToken, "POST", projects, jsonBody(`{"name": "Docks"}`), 422, "invalid") // nobody to make it for
	b.imported()
	var p Project
	b.call(localToken, "POST", projects, jsonBody(`{"name": "Docks", "suffix": "docks"}`), created, &p)
	if p.ID != "2001-docks" || p.Name != "Docks" || p.OrganizationID != "2001" || p.Default || len(p.Items) != 0 || !p.Created.Equal(noon) {
		t.Errorf("project %+v", p)
	}
	if p := b.refused(localToken, "POST", projects, jsonBody(`{"name": "Docks", "suffix": "docks"}`), 409, "conflict"); p.Field != "suffix" {
		t.Errorf("an id that is taken: field %q", p.Field)
	}
	b.refused(localToken, "POST", projects, jsonBody(`{"name": " "}`), 422, "invalid")
	b.refused(localToken, "POST", projects, jsonBody(`{"name": "Docks", "suffix": "a b"}`), 422, "invalid")
	b.refused(localToken, "POST", projects, jsonBody(`{"name": "Docks", "organizationId": "4711"}`), 422, "invalid")
	b.call(localToken, "POST", files, text(b.licenseText("1002", "3001")), created, nil)
	problem := b.refused(localToken, "POST", projects, jsonBody(`{"name": "Docks"}`), 422, "invalid")
	if problem.Field != "organizationId" || !strings.Contains(problem.Detail, "2001 and 3001") {
		t.Errorf("problem %+v", problem)
	}
	b.call(localToken, "POST", projects, jsonBody(`{"name": "Docks", "organizationId": "3001"}`), created, nil)
	var list ProjectList
	b.call(localToken, "GET", projects, noBody, ok, &list)
	if len(list.Projects) != 4 {
		t.Errorf("%d projects, want 4", len(list.Projects))
	}
}

func TestEditProject(t *testing.T) { // [PRJ-1] [PRJ-2] [PRJ-6]
	b := newBed(t)
	first := b.imported()
	b.call(localToken, "POST", projects, jsonBody(`{"name": "Docks", "suffix": "docks"}`), created, nil)
	var p Project
	b.call(localToken, "PATCH", projects+"/2001-docks",
		jsonBody(`{"name": "Yard", "disabled": true, "default": true, "items": ["1001/scan", "1001/device-yearly"]}`), ok, &p)
	if p.Name != "Yard" || !p.Disabled || !p.Default || p.DefaultOrder || !slices.Equal(p.Items, []string{"1001/scan", "1001/device-yearly"}) {
		t.Errorf("project %+v", p)
	}
	var before Project
	b.call(localToken, "GET", projects+"/"+first, noBody, ok, &before)
	if before.Default || len(before.Items) != 2 {
		t.Errorf("the default before %+v", before)
	}
	b.call(localToken, "PATCH", projects+"/2001-docks", jsonBody(`{"defaultOrder": true}`), ok, &p)
	if !p.DefaultOrder || p.Items[0] != "1001/scan" { // it pins modules, the other does not
		t.Errorf("in default order %+v", p)
	}
	b.call(localToken, "PATCH", projects+"/2001-docks", jsonBody(`{"items": ["1001/device-yearly", "1001/scan"]}`), ok, &p)
	if p.Items[0] != "1001/device-yearly" || p.Name != "Yard" || !p.Disabled {
		t.Errorf("in the operator's order %+v", p)
	}
	b.call(localToken, "PATCH", projects+"/2001-docks", jsonBody(`{"items": [], "disabled": false}`), ok, &p)
	if len(p.Items) != 0 || p.Disabled {
		t.Errorf("emptied %+v", p)
	}
}

func TestEditProjectRefused(t *testing.T) {
	b := newBed(t)
	project := projects + "/" + b.imported()
	b.call(localToken, "POST", files, text(b.licenseText("1002", "3001")), created, nil)
	for _, c := range []struct {
		in, kind, field string
	}{
		{`{}`, "invalid", ""},
		{`{"name": ""}`, "invalid", "name"},
		{`{"default": false}`, "invalid", "default"},
		{`{"defaultOrder": false}`, "invalid", "defaultOrder"},
		{`{"passwordGraceSeconds": 60}`, "invalid", "passwordGraceSeconds"},
		{`{"password": "p", "passwordGraceSeconds": -1}`, "invalid", "passwordGraceSeconds"},
		{`{"password": "p", "passwordGraceSeconds": 9223372036854775807}`, "invalid", "passwordGraceSeconds"},
		{`{"password": "` + strings.Repeat("p", 129) + `"}`, "invalid", "password"},
		{`{"items": ["1001/none"]}`, "unknown-item", "items"},
		{`{"items": ["1001/scan", "1001/scan"]}`, "invalid", "items"},
		{`{"items": ["1002/scan"]}`, "invalid", "items"}, // of another organization
		{`{"name": "fine", "items": ["1001/none"]}`, "unknown-item", "items"},
	} {
		if p := b.refused(localToken, "PATCH", project, jsonBody("%s", c.in), 422, c.kind); p.Field != c.field {
			t.Errorf("%s: field %q, want %q", c.in, p.Field, c.field)
		}
	}
	b.refused(localToken, "PATCH", projects+"/2001-0", jsonBody(`{"name": "n"}`), 404, "not-found")
	b.refused(localToken, "GET", projects+"/2001-0", noBody, 404, "not-found")
}

// The session password is for write scope only, and never in the log. [CLI-8]
func TestPassword(t *testing.T) { // [PRJ-3]
	b := newBed(t)
	id := b.imported()
	read := b.token(ScopeRead)
	var p Project
	b.call(localToken, "PATCH", projects+"/"+id, jsonBody(`{"password": "hush-hush"}`), ok, &p)
	if p.Password != "hush-hush" || !p.PasswordSet || len(p.Warnings) != 1 {
		t.Errorf("project %+v", p)
	}
	b.call(localToken, "PATCH", projects+"/"+id, jsonBody(`{"password": "hush-hush"}`), ok, &p)
	b.call(localToken, "PATCH", projects+"/"+id, jsonBody(`{"password": "tiptoe", "passwordGraceSeconds": 3600}`), ok, &p)
	if want := b.now.Add(time.Hour); !p.OldPasswordUntil.Equal(want) {
		t.Errorf("the old password is valid until %v, want %v", p.OldPasswordUntil, want)
	}
	var seen Project
	b.call(read, "GET", projects+"/"+id, noBody, ok, &seen)
	var list ProjectList
	b.call(read, "GET", projects, noBody, ok, &list)
	if seen.Password != "" || !seen.PasswordSet || list.Projects[0].Password != "" {
		t.Errorf("to a reader: %+v %+v", seen, list)
	}
	b.now = b.now.Add(time.Hour)
	var after Project
	b.call(localToken, "GET", projects+"/"+id, noBody, ok, &after)
	if !after.OldPasswordUntil.IsZero() {
		t.Errorf("after the grace: %+v", after)
	}
	if log := b.log.String(); strings.Contains(log, "hush-hush") || strings.Contains(log, "tiptoe") || !strings.Contains(log, "PATCH") {
		t.Errorf("log %s", log)
	}
}

// Who edits what they looked at does not undo what somebody else did meanwhile.
func TestConcurrentEdits(t *testing.T) { // [OPS-3]
	b := newBed(t)
	path := "/api/v1/projects/" + b.imported()
	look := func() string { return b.send(request(localToken, "GET", path, noBody)).Header.Get("ETag") }
	edit := func(name, tag string) *http.Response {
		r := request(localToken, "PATCH", path, jsonBody(`{"name": %q}`, name))
		if tag != "" {
			r.Header.Set("If-Match", tag)
		}
		return b.send(r)
	}
	seen := look()
	answer := edit("mine", seen)
	if answer.StatusCode != ok || answer.Header.Get("ETag") != look() || look() == seen {
		t.Errorf("the first edit: %d, tag %s, now %s", answer.StatusCode, answer.Header.Get("ETag"), look())
	}
	if got := edit("theirs", seen).StatusCode; got != http.StatusPreconditionFailed {
		t.Errorf("an edit of what was: %d", got)
	}
	for _, row := range []struct {
		tag  string
		want int
	}{{look(), ok}, {"*", ok}, {"", ok}, {`"0"`, http.StatusPreconditionFailed}} {
		tag, want := row.tag, row.want
		if got := edit("name "+tag, tag).StatusCode; got != want {
			t.Errorf("If-Match %s: %d, want %d", tag, got, want)
		}
	}
}
