package portal

import (
	"net/http"
	"strings"
	"testing"

	"muster/admin"
	"muster/license"
)

// stocked is a bed in which every page has something to show.
func stocked(t *testing.T) (b *bed, project string) {
	b = newBed(t)
	b.setupCode = ""
	project = b.imported("scan", "device-yearly", "concurrent-device", "server", "page")
	b.uses(project, license.Scan, 1, 30)
	b.uses(project, license.DeviceYearly, 2, 4)
	b.uses(project, license.ConcurrentDevice, 3, 2)
	b.uses(project, license.Domain, 4, 0) // refused
	return b, project
}

// pagesOf are all pages; shot pages of the browser tests are the same.
func pagesOf(project string) []string {
	return []string{
		"/", "/items", "/items?show=all&sort=expiry&search=DBR", "/items/1001/scan", "/projects", "/projects/" + project, "/audit", "/audit?before=3", "/alerts", "/devices", "/devices?search=01&state=held", "/devices?search=zz", "/devices/" + deviceName(1), "/security",
		"/statistics", "/statistics?measure=devices&days=7", "/statistics?measure=devices&accumulated=true", "/statistics?measure=concurrency&item=1001/server&days=all",
		"/statistics?measure=denials", "/statistics?measure=authorizations&days=90", "/statistics/day", "/statistics/day?item=1001/scan", "/statistics/day?project=" + project,
	}
}

// adminPages are for admins alone.
var adminPages = []string{"/items/import"}

// Every page renders for every role; a viewer gets no control that changes
// something, and no license key.
func TestPagesOfEveryRole(t *testing.T) {
	b, project := stocked(t)
	var key admin.LicenseKey
	b.call("GET", "projects/"+project+"/key", nil, &key)
	viewer, operator := b.as(admin.RoleViewer), b.as(admin.RoleAdmin)
	controls := 0
	for _, path := range append(pagesOf(project), adminPages...) {
		g := operator.page(path)
		controls += len(changes(g.body))
		g.lacks("style=", "<style", "<script>", "onclick=", "ZgotmplZ")
		if path == "/projects/"+project && !strings.Contains(g.body, key.LicenseKey) {
			t.Error("an admin does not see the license key")
		}
	}
	for _, path := range pagesOf(project) {
		g := viewer.page(path)
		g.lacks(key.LicenseKey, "ZgotmplZ")
		for _, form := range changes(g.body) {
			t.Errorf("%s: a viewer gets a form to %s", path, form)
		}
	}
	if controls < 10 {
		t.Errorf("%d forms that change something were found for an admin", controls)
	}
}

// changes are the actions of the forms of POST on a page, but for those that
// everybody has: to log out, to change one's own password.
func changes(body string) (actions []string) {
	for _, part := range strings.Split(body, `<form`)[1:] {
		tag, _, _ := strings.Cut(part, ">")
		_, action, _ := strings.Cut(tag, `action="`)
		action, _, _ = strings.Cut(action, `"`)
		if strings.Contains(tag, `method="post"`) && action != "logout" && action != "security/password" {
			actions = append(actions, action)
		}
	}
	return actions
}

// What a viewer sends all the same is refused by the API.
func TestViewerChangesNothing(t *testing.T) {
	b, project := stocked(t)
	v := b.as(admin.RoleViewer)
	for _, rt := range New(Config{}).routes() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		if method != http.MethodPost || rt.open || path == "/logout" || path == "/security/password" {
			continue
		}
		if path == "/items/import" {
			if g := v.upload(b.licenseText("1002", 1, "5", "scan")); g.status != http.StatusForbidden {
				t.Errorf("POST %s: %d", path, g.status)
			}
			continue
		}
		path = strings.NewReplacer("{id}", project, "{uuid}", deviceName(1), "{name}", "admin").Replace(path)
		if g := v.post(path, "name", "n", "file", "bXVzdGVy", "do", "add", "grace", "0", "password", password, "again", password); g.status != http.StatusForbidden {
			t.Errorf("POST %s: %d", path, g.status)
		}
	}
}
