package portal

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"muster/admin"
	"muster/license"
)

func TestItemsAreSearched(t *testing.T) { // [OPS-1]
	b, _ := stocked(t)
	v := b.as(admin.RoleViewer)
	v.page("/items").has("1001/scan", "1001/device-yearly", "of 100", "2027-12-31")
	g := v.page("/items?search=device-YEARLY+warehouse")
	g.has("No item matches")
	g = v.page("/items?search=device-YEARLY+dbr")
	g.has("1001/device-yearly")
	g.lacks("1001/scan")
	v.page("/items?show=expired").has("There is none of this kind. 5 in all.")
	b.now = b.now.AddDate(2, 0, 0)
	v = b.as(admin.RoleViewer)
	v.page("/items?show=expired").has("1001/scan", "expired")
	g = v.page("/items?show=all&sort=used")
	if strings.Index(g.body, "1001/scan<") > strings.Index(g.body, "1001/server<") {
		t.Error("the fullest item is not the first one")
	}
}

func TestItem(t *testing.T) {
	b, project := stocked(t)
	v := b.as(admin.RoleViewer)
	v.page("/items/1001/scan").has("30", "of 100", "up to 105", project, "Acme Inc", "license-files/1001/text")
	if g := v.get("/items/1001/none"); g.status != http.StatusNotFound {
		t.Errorf("an item that is not there: %d", g.status)
	}
}

func TestAttentions(t *testing.T) {
	b, project := stocked(t)
	v := b.as(admin.RoleViewer)
	v.page("/").has("1 authorization was refused in the last 24 hours", "charge way")
	b.uses(project, license.Scan, 1, 55)
	v.page("/").has("1001/scan is 85 % used")
	b.uses(project, license.Scan, 1, 16)
	v.page("/").has("1001/scan is used up and serves its tolerance")
	b.uses(project, license.Scan, 1, 10)
	v.page("/").has("1001/scan is exhausted")
	b.now = b.now.AddDate(1, 0, 0)
	v = b.as(admin.RoleViewer)
	g := v.page("/")
	g.has("1001/scan is exhausted")
	g.lacks("authorization was refused")
	b.now = b.now.AddDate(0, 0, 20)
	b.as(admin.RoleViewer).page("/").has("1001/scan expires in 18 days")
	b.now = b.now.AddDate(0, 0, 20)
	b.as(admin.RoleViewer).page("/").has("expired and serves its grace until 2028-01-08 00:00:00")
}

// An import is looked at first; what is in the file goes to a new project or to
// one that is here [IMP-1].
func TestImport(t *testing.T) {
	b := newBed(t)
	v := b.as(admin.RoleAdmin)
	v.page("/items/import").has(b.identity.UUID().String())
	g := v.upload(b.licenseText("1001", 1, "100", "scan"))
	if g.status != http.StatusOK {
		t.Fatalf("%d\n%s", g.status, g.body)
	}
	g.has("A new license", "signed by Acme Inc", "1001/scan", `value="DM_1001_Date20261123"`)
	g.lacks("A project that is here")
	file := fileOf(t, g)
	if g := v.post("/items/import/now", "file", file, "target", "new", "name", ""); g.status != http.StatusUnprocessableEntity {
		t.Errorf("no name: %d", g.status)
	} else {
		g.has("Give the new project a name", "1001/scan")
	}
	v.done("/items/import/now", "file", file, "target", "new", "name", "Dock <1>").has("Dock &lt;1&gt;", "is imported", "License key")

	g = v.upload(b.licenseText("1002", 1, "7", "server"))
	g.has("A project that is here", "Dock &lt;1&gt; (2001-100001)")
	g = v.done("/items/import/now", "file", fileOf(t, g), "target", "existing", "project", "2001-100001")
	g.has("1001/scan", "1002/server")

	v.upload(b.licenseText("1001", 1, "100", "scan")).has("This license is here already")
	g = v.upload(b.licenseText("1001", 2, "250", "scan", "page")) // [FILE-3]
	g.has("A newer revision", "1 → 2", "<del>100</del>", "<ins>250</ins>", "new item", "Where the file’s other items are")
	v.done("/items/import/now", "file", fileOf(t, g), "target", "").has("1001/page")
	if g := v.page("/items/1001/scan"); !strings.Contains(g.body, "of 250") {
		t.Error("the quota was not raised")
	}
	v.upload(b.licenseText("1001", 3, "250", "page")).has("no longer has 1001/scan")
}

var hiddenFile = regexp.MustCompile(`name="file" value="([^"]+)"`)

// fileOf is the license file that a preview carries.
func fileOf(t *testing.T, g *got) string {
	t.Helper()
	m := hiddenFile.FindStringSubmatch(g.body)
	if m == nil {
		t.Fatalf("the page carries no file: %s", g.body)
	}
	return strings.ReplaceAll(m[1], "&#43;", "+")
}

// What is wrong with a file is said where it is chosen, with the place in it.
func TestImportRefused(t *testing.T) { // [FILE-1]
	b := newBed(t)
	v := b.as(admin.RoleAdmin)
	text := b.licenseText("1001", 1, "100", "scan")
	g := v.upload([]byte(strings.Replace(string(text), "Quota: 100", "Quota: 900", 1)))
	if g.status != http.StatusUnprocessableEntity {
		t.Errorf("%d", g.status)
	}
	g.has("changed after Acme Inc signed it", "Drop the license file here")
	v.upload(nil).has("The file is empty")
	v.upload(make([]byte, 2<<20+1)).has("probably another file")
	if g := v.post("/items/import"); g.status != http.StatusUnprocessableEntity {
		t.Errorf("no file: %d", g.status)
	}
	if g := v.post("/items/import/now", "file", "not base64!"); g.status != http.StatusBadRequest {
		t.Errorf("no base64: %d", g.status)
	}
	if g := v.post("/items/import/now", "file", base64.StdEncoding.EncodeToString([]byte("nothing"))); g.status != http.StatusUnprocessableEntity {
		t.Errorf("no license file: %d", g.status)
	}
}
