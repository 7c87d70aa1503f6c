package admin

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/license"
)

const files = "/api/v1/license-files"

func TestImport(t *testing.T) { // [IMP-1] [FILE-3]
	b := newBed(t)
	first := b.licenseText("1001", "2001")
	var r ImportResult
	b.call(localToken, "POST", files, text(first), created, &r)
	if r.Outcome != "imported" || r.ProjectName != "DM_1001_Date20261123" || len(r.Items) != 2 || len(r.Added) != 2 { // [FILE-2]
		t.Errorf("import %+v", r)
	}
	if got := r.Items[0].Projects; len(got) != 1 || got[0] != r.Project {
		t.Errorf("the item is in the projects %q, want %q", got, r.Project)
	}
	var again ImportResult
	b.call(localToken, "POST", files, text(first), ok, &again)
	if again.Outcome != "unchanged" || len(again.Added) != 0 {
		t.Errorf("the same file again: %+v", again)
	}
	b.scans(r.Project, 30)
	newer := b.licenseText("1001", "2001", func(f *license.File) { f.Revision = 2; f.Items[0].Quota = 500 })
	var updated ImportResult
	b.call(localToken, "POST", files, text(newer), ok, &updated)
	if i := updated.Items[0]; updated.Outcome != "updated" || updated.LicenseFile.Revision != 2 || i.Quota != 500 || i.Usage.Uses != 30 {
		t.Errorf("a newer revision: %+v", updated)
	}
	b.refused(localToken, "POST", files, text(first), http.StatusConflict, "conflict")
}

func TestImportTarget(t *testing.T) { // [IMP-1]
	b := newBed(t)
	var r ImportResult
	b.call(localToken, "POST", files+"?project=new&name=Warehouse", text(b.licenseText("1001", "2001")), created, &r)
	if r.ProjectName != "Warehouse" {
		t.Errorf("project %q", r.ProjectName)
	}
	var second ImportResult
	b.call(localToken, "POST", files+"?project="+r.Project, text(b.licenseText("1002", "2001")), created, &second)
	if second.Project != r.Project {
		t.Errorf("appended to %q, want %q", second.Project, r.Project)
	}
	var p Project
	b.call(localToken, "GET", "/api/v1/projects/"+r.Project, noBody, ok, &p)
	if len(p.Items) != 4 {
		t.Errorf("items %q, want those of both files", p.Items)
	}
	for target, want := range map[string]string{
		"?project=2001-9": "404 not-found", "?project=new": "400 bad-parameter", "?name=x": "400 bad-parameter",
		"?project=": "400 bad-parameter", "?project=2001-9&name=x": "400 bad-parameter", "?project=new&name=%09": "422 invalid",
	} {
		p := b.problem(request(localToken, "POST", files+target, text(b.licenseText("1003", "2001"))))
		if got := fmt.Sprint(p.Status, " ", p.Kind()); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	b.refused(localToken, "POST", files+"?project="+r.Project, text(b.licenseText("1004", "3001")), 422, "invalid") // [PRJ-1]
	b.refused(localToken, "GET", files+"/1003", noBody, 404, "not-found")
}

// What is wrong with a file has its own kind, and nothing is imported. [FILE-1]
func TestImportRefused(t *testing.T) {
	b := newBed(t)
	good := string(b.licenseText("1001", "2001"))
	stranger, err := license.GenerateKey("Stranger", bytes.NewReader(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	ofStranger := newBed(t)
	ofStranger.vendor, ofStranger.identity = stranger, b.identity
	for _, c := range []struct {
		name, text string
		status     int
		kind       string
		line       bool
	}{
		{"changed", strings.Replace(good, "Quota: 100", "Quota: 900", 1), 422, "bad-signature", false},
		{"bad field", strings.Replace(good, "Quota: 100", "Quota: many", 1), 422, "bad-value", true},
		{"field missing", strings.Replace(good, "OrganizationID: 2001\n", "", 1), 422, "missing-field", false},
		{"field unknown", strings.Replace(good, "OrganizationID: 2001\n", "OrganizationID: 2001\nDiscount: 5\n", 1), 422, "unknown-field", true},
		{"no signature", good[:strings.Index(good, "-----BEGIN")], 422, "not-signed", false},
		{"no text", "", 422, "not-signed", false},
		{"binary", "\x00\x01", 422, "syntax", true},
		{"unknown vendor", string(ofStranger.licenseText("1001", "2001")), 422, "unknown-key", false},
		{"other server", string(b.licenseText("1001", "2001", func(f *license.File) { f.ServerUUIDs[0][0] ^= 1 })), 422, "wrong-server", false},
		{"other binding", string(b.licenseText("1001", "2001", func(f *license.File) { f.Bindings = []license.Binding{license.BindHardware} })), 422, "wrong-binding", false},
		{"too large", strings.Repeat("#", license.FileSizeMax+1), 413, "too-large", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			p := b.refused(localToken, "POST", files, text([]byte(c.text)), c.status, c.kind)
			if c.line && p.Line == 0 {
				t.Errorf("the problem names no line: %+v", p)
			}
			if strings.Contains(p.Detail, "(invalid)") {
				t.Errorf("detail %q", p.Detail)
			}
		})
	}
	var list LicenseFileList
	b.t = t
	b.call(localToken, "GET", files, noBody, ok, &list)
	if len(list.LicenseFiles) != 0 {
		t.Errorf("imported in spite of all: %+v", list)
	}
}

// form is a multipart body with fields and their contents.
func form(t *testing.T, pairs ...string) body {
	t.Helper()
	var data bytes.Buffer
	w := multipart.NewWriter(&data)
	for i := 0; i < len(pairs); i += 2 {
		part, err := w.CreateFormFile(pairs[i], "a.lic")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return body{w.FormDataContentType(), data.Bytes()}
}

func TestImportForm(t *testing.T) {
	b := newBed(t)
	good := string(b.licenseText("1001", "2001"))
	whole := form(t, "file", good)
	for _, c := range []struct {
		name   string
		in     body
		status int
		kind   string
	}{
		{"no field", form(t), 400, "bad-form"},
		{"other field", form(t, "license", good), 400, "bad-form"},
		{"two files", form(t, "file", good, "file", good), 400, "bad-form"},
		{"cut off", body{whole.contentType, whole.data[:len(whole.data)-100]}, 400, "bad-form"},
		{"no boundary", body{"multipart/form-data", whole.data}, 400, "bad-form"},
		{"large file", form(t, "file", strings.Repeat("#", license.FileSizeMax+1)), 413, "too-large"},
		{"large form", form(t, "file", strings.Repeat("#", license.FileSizeMax+2*multipartMax)), 413, "too-large"},
		{"JSON", jsonBody(`{}`), 415, "unsupported-media-type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			b.refused(localToken, "POST", files, c.in, c.status, c.kind)
		})
	}
	b.t = t
	var r ImportResult
	b.call(localToken, "POST", files, whole, created, &r)
	if r.LicenseFile.LicenseID != "1001" {
		t.Errorf("import %+v", r)
	}
}

func TestLicenseFileViews(t *testing.T) {
	b := newBed(t)
	b.imported()
	var f LicenseFile
	b.call(localToken, "GET", files+"/1001", noBody, ok, &f)
	want := LicenseFile{
		LicenseID: "1001", Alias: "DM_1001_Date20261123", OrganizationID: "2001", Revision: 1, Trial: "none", Vendor: "Acme Inc",
		KeyID: b.vendor.ID, Issued: noon, Activated: noon, Imported: noon, ServerUUIDs: []string{b.identity.UUID().String()},
		Bindings: []string{"key"}, Items: []string{"1001/scan", "1001/device-yearly"},
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Error(diff)
	}
	answer := b.send(request(localToken, "GET", files+"/1001/text", noBody))
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b.licenseText("1001", "2001")) || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("text %q as %s", got, answer.Header.Get("Content-Type"))
	}
	b.refused(localToken, "GET", files+"/1002", noBody, 404, "not-found")
	b.refused(localToken, "GET", files+"/1002/text", noBody, 404, "not-found")
}

func TestItemViews(t *testing.T) {
	b := newBed(t)
	project := b.imported()
	b.scans(project, 7)
	var i Item
	b.call(localToken, "GET", "/api/v1/items/1001/scan", noBody, ok, &i)
	want := Item{
		Name: "1001/scan", LicenseID: "1001", ItemID: "scan", OrganizationID: "2001", State: "active", Product: "DBR",
		Versions: []uint16{}, Modules: []string{"QR"}, ChargeWay: "scan", Quota: 100, TolerancePercent: 5,
		Start: noon.AddDate(0, -10, -22).Add(-12 * 3600e9), Expiry: unixTime(1830297600), End: unixTime(1830297600 + 7*86400),
		GraceSeconds: 7 * 86400, OfflineForSeconds: 7 * 86400, Networks: []string{}, Domains: []string{}, ExtraSuffixes: []string{},
		SeatsFreedByHandMax: 10, Projects: []string{project},
		Usage: Usage{Uses: 7, Held: 1, Authorizations: 1, Reports: 1, Limit: 105}, // [SCAN-2]
	}
	if diff := cmp.Diff(want, i); diff != "" {
		t.Error(diff)
	}
	for days, state := range map[int]string{0: "active", 404: "in grace", 412: "expired", -400: "not yet effective"} { // [EXH-3]
		b.now = noon.AddDate(0, 0, days)
		var list ItemList
		b.call(localToken, "GET", "/api/v1/items", noBody, ok, &list)
		if len(list.Items) != 2 || list.Items[0].State != state {
			t.Errorf("after %d days: %+v, want state %s", days, list.Items, state)
		}
	}
	b.refused(localToken, "GET", "/api/v1/items/1001/none", noBody, 404, "not-found")
}

// A preview says what an import would do, and does nothing.
func TestImportPreview(t *testing.T) { // [IMP-1] [FILE-3]
	b := newBed(t)
	preview := func(file []byte) (p ImportPreview) {
		t.Helper()
		before := b.done
		b.call(localToken, "POST", "/api/v1/license-file-preview", text(file), ok, &p)
		if b.done != before {
			t.Error("a preview changed something")
		}
		return p
	}
	first := b.licenseText("1001", "2001")
	p := preview(first)
	if p.Outcome != "imported" || p.Before != nil || len(p.Items) != 2 || !p.Items[0].New || p.Items[0].Quota != 100 || p.Items[0].State != "active" || len(p.Projects) != 0 {
		t.Errorf("of a new file: %+v", p)
	}
	project := b.imported()
	b.scans(project, 5)
	if p := preview(first); p.Outcome != "unchanged" || p.Items[0].New || len(p.Items[0].Changes) != 0 {
		t.Errorf("of the same file: %+v", p)
	}
	p = preview(b.licenseText("1001", "2001", func(f *license.File) {
		f.Revision = 2
		f.Items[0].Quota = 250
		f.Items[1].ID = "other"
	}))
	var changes []string
	for _, c := range p.Items[0].Changes {
		changes = append(changes, fmt.Sprintf("%s %s %s", c.Field, c.Before, c.After))
	}
	if p.Outcome != "updated" || p.Before.Revision != 1 || p.LicenseFile.Revision != 2 || strings.Join(changes, ", ") != "quota 100 250, seatsFreedByHandMax 10 25" || p.Items[0].Usage.Uses != 5 {
		t.Errorf("of a newer revision: %+v", p)
	}
	if !p.Items[1].New || len(p.Removed) != 1 || p.Removed[0] != "1001/device-yearly" || len(p.Projects) != 1 || p.Projects[0] != project {
		t.Errorf("of a newer revision: %+v", p)
	}
	b.refused(localToken, "POST", "/api/v1/license-file-preview", text([]byte("no license")), 422, "syntax")
}
