package portal

import (
	"go/format"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"muster/admin"
	"muster/license"
)

func (b *bed) projectView(id string) (p admin.Project) {
	b.t.Helper()
	b.call("GET", "projects/"+id, nil, &p)
	return p
}

func TestProjects(t *testing.T) { // [PRJ-1]
	b, project := stocked(t)
	v := b.as(admin.RoleAdmin)
	v.page("/projects").has("Warehouse", project, "5 items", "default")
	v.page("/projects?search=nothing").has("No project matches")
	v.page("/projects/" + project).has("client.Use{Product: &#34;DBR&#34;, Version: 1}")
	g := v.post("/projects", "name", "Docks", "suffix", "no good!")
	if g.status != http.StatusUnprocessableEntity {
		t.Errorf("a bad suffix: %d", g.status)
	}
	g.has(`value="Docks"`, `value="no good!"`, `id="create-suffix-error"`)
	v.post("/projects", "name", "", "suffix", "fine").has(`id="create-name-error"`)
	v.done("/projects", "name", "Docks", "suffix", "docks").has("Docks", "2001-docks", "opens nothing")
	v.done("/projects/2001-docks/name", "name", "Yard").has("The project is called Yard now")
	if g := v.post("/projects/2001-docks/name", "name", ""); g.status != http.StatusUnprocessableEntity {
		t.Errorf("no name: %d", g.status)
	} else {
		g.has(`id="name-name-error"`)
	}
	v.done("/projects/2001-docks/default").has("Yard is the default project of organization 2001 now")
	v.done("/projects/2001-docks/enabled", "enabled", "no").has("error 162", "disabled")
	v.done("/projects/2001-docks/enabled", "enabled", "yes").has("The project is enabled")
	if p := b.projectView("2001-docks"); p.Name != "Yard" || !p.Default || p.Disabled {
		t.Errorf("%+v", p)
	}
}

// The code that a project's page shows is Go as gofmt writes it, whatever its items are called.
func TestSnippetIsGo(t *testing.T) {
	for _, items := range [][]orderedItem{
		nil, {{Name: "1001/gone"}}, {{Row: &itemRow{Item: admin.Item{Product: "Q\"uoted", Versions: []uint16{3, 11}, Modules: []string{"a\\b"}}}}},
	} {
		code := (&projectPage{Items: items}).snippet()
		if formatted, err := format.Source([]byte(code)); err != nil || string(formatted) != code {
			t.Errorf("%v\n%s\nis, formatted:\n%s", err, code, formatted)
		}
	}
}

// The usage order by buttons, by dragging, and back [PRJ-6].
func TestUsageOrder(t *testing.T) {
	b := newBed(t)
	project := b.imported("scan", "page", "server")
	v := b.as(admin.RoleAdmin)
	post := func(pairs ...string) *got { return v.done("/projects/"+project+"/items", pairs...) }
	a, c, d := "1001/page", "1001/scan", "1001/server"
	order := func(want ...string) {
		t.Helper()
		if got := b.projectView(project).Items; strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("order %v, want %v", got, want)
		}
	}
	post("items", a, "items", c, "items", d, "do", "up 3").has("1001/server is number 2 of 3 now")
	order(a, d, c)
	post("items", a, "items", d, "items", c, "do", "down 1").has("1001/page is number 2 of 3 now")
	order(d, a, c)
	post("items", c, "items", d, "items", a).has("The usage order is set") // dragged
	order(c, d, a)
	post("items", c, "items", d, "items", a, "do", "remove 2").has("1001/server is no longer in the project")
	order(c, a)
	post("items", c, "items", a, "do", "add", "add", d).has("1001/server is added")
	order(c, a, d)
	v.done("/projects/" + project + "/default-order").has("default order")
	if p := b.projectView(project); !p.DefaultOrder {
		t.Error("the order is not the default one")
	}
	post("items", a, "do", "remove 1")
	order()
	for _, do := range []string{"up 9", "remove x", "down", "jump 1"} {
		if g := v.post("/projects/"+project+"/items", "items", a, "do", do); g.status != http.StatusUnprocessableEntity && do != "jump 1" {
			t.Errorf("%s: %d", do, g.status)
		}
	}
}

var stateField = regexp.MustCompile(`name="state" value="([^"]+)"`)

// Who changes a project that somebody else has changed meanwhile is told so, and
// loses nothing of the form.
func TestChangedMeanwhile(t *testing.T) {
	b, project := stocked(t)
	v := b.as(admin.RoleAdmin)
	state := strings.ReplaceAll(stateField.FindStringSubmatch(v.page("/projects/" + project).body)[1], "&#34;", `"`)
	b.call("PATCH", "projects/"+project, map[string]string{"name": "Theirs"}, nil)
	g := v.post("/projects/"+project+"/name", "state", state, "name", "Mine")
	if g.status != http.StatusPreconditionFailed {
		t.Fatalf("%d", g.status)
	}
	g.has("was changed by somebody else meanwhile", `value="Mine"`, "Theirs")
	state = strings.ReplaceAll(stateField.FindStringSubmatch(g.body)[1], "&#34;", `"`)
	v.done("/projects/"+project+"/name", "state", state, "name", "Mine").has("The project is called Mine now")
}

func TestShares(t *testing.T) { // [PRJ-7]
	b, project := stocked(t)
	b.call("POST", "projects", admin.NewProject{Name: "Docks", Suffix: "docks"}, nil)
	items := []string{"1001/scan", "1001/page"}
	b.call("PATCH", "projects/2001-docks", admin.ProjectChange{Items: &items}, nil)
	v := b.as(admin.RoleAdmin)
	v.page("/projects/"+project).has("reserve-1001/scan", "cap-1001/page")
	g := v.post("/projects/"+project+"/shares", "item", "1001/scan", "reserve-1001/scan", "many", "cap-1001/scan", "50")
	if g.status != http.StatusUnprocessableEntity {
		t.Errorf("no number: %d", g.status)
	}
	g.has("Expected a whole number", `value="many"`, `value="50"`, `id="shares-reserve-1001/scan-error"`)
	g.lacks(`role="alert"`)
	for _, row := range []struct{ reserve, most, at string }{
		{"1,000", "", "reserve-1001/scan"}, // more than the quota
		{"40", "30", "cap-1001/scan"},
	} {
		g = v.post("/projects/"+project+"/shares", "item", "1001/scan", "item", "1001/page", "reserve-1001/scan", row.reserve, "cap-1001/scan", row.most)
		if g.status < 400 || strings.Count(g.body, "field-error") != 1 {
			t.Errorf("%+v: %d, %d faults shown", row, g.status, strings.Count(g.body, "field-error"))
		}
		g.has(`<div class="field-error" id="shares-` + row.at + `-error">`)
		g.lacks(`role="alert"`)
	}
	v.done("/projects/"+project+"/shares", "item", "1001/scan", "item", "1001/page", "reserve-1001/scan", "40", "cap-1001/scan", "60").has(`value="40"`, `value="60"`, "30")
	if s := b.projectView(project).Shares; len(s) != 1 || s[0].Reserve != 40 || *s[0].Cap != 60 {
		t.Errorf("shares %+v", s)
	}
}

func TestValidationFields(t *testing.T) { // [PRJ-5]
	b, project := stocked(t)
	v := b.as(admin.RoleAdmin)
	g := v.post("/projects/"+project+"/validation", "domains", "a.example\r\nnot a domain", "applications", "com.example.app")
	if g.status != http.StatusUnprocessableEntity {
		t.Errorf("no domain: %d", g.status)
	}
	g.has("not a domain", "com.example.app", `id="validation-domains-error"`)
	g.lacks(`role="alert"`)
	v.post("/projects/"+project+"/validation", "applications", strings.Repeat("a", 300)).has(`id="validation-applications-error"`)
	v.post("/projects/"+project+"/validation", "processes", strings.Repeat("a", 300)).has(`id="validation-processes-error"`)
	v.done("/projects/"+project+"/validation", "domains", "a.example\r\n*.b.example", "processes", "reader.exe").has("limited")
	if p := b.projectView(project).Validation; len(p.Domains) != 2 || len(p.Processes) != 1 || len(p.Applications) != 0 {
		t.Errorf("%+v", p)
	}
}

func TestSessionPassword(t *testing.T) { // [PRJ-3]
	b, project := stocked(t)
	v := b.as(admin.RoleAdmin)
	path := "/projects/" + project + "/password"
	if g := v.post(path, "password", "", "grace", "0"); g.status != http.StatusUnprocessableEntity {
		t.Errorf("no password: %d", g.status)
	}
	if g := v.post(path, "password", "hush", "grace", "long"); g.status != http.StatusUnprocessableEntity {
		t.Errorf("no grace: %d", g.status)
	}
	v.post(path, "password", strings.Repeat("p", 129), "grace", "0").has(`id="password-password-error"`)
	v.done(path, "password", "hush hush", "grace", "0").has("The session password is set", "The license key of "+project+" changed")
	g := v.done(path, "password", "quiet now", "grace", "86400")
	g.has("The old one is valid until 2026-11-24 12:00:00")
	g.lacks("hush hush", "quiet now")
	v.done(path, "do", "remove", "grace", "0").has("has no session password now")
	if p := b.projectView(project); p.PasswordSet {
		t.Error("the password is still set")
	}
}

func TestAddresses(t *testing.T) { // [PRJ-4]
	b, project := stocked(t)
	v := b.as(admin.RoleAdmin)
	g := v.post("/projects/addresses", "addresses", "tcp://a.example:4808\nhttp://b.example")
	if g.status != http.StatusUnprocessableEntity {
		t.Errorf("a bad address: %d", g.status)
	}
	g.has(`id="addresses-addresses-error"`, "http://b.example")
	v.done("/projects/addresses", "addresses", "tcp://a.example:4808, udp://a.example:4808").has("The addresses in license keys are set", "Every license key changed")
	var key admin.LicenseKey
	b.call("GET", "projects/"+project+"/key", nil, &key)
	v.page("/projects/"+project).has("tcp://a.example:4808, udp://a.example:4808", key.LicenseKey)
	if parsed, err := license.ParseLicenseKey(key.LicenseKey); err != nil || len(parsed.Addresses) != 2 {
		t.Errorf("%v %v", parsed, err)
	}
}
