package admin

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"muster/engine"
	"muster/license"
)

func (a *Admin) licenseFileRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/license-files", scope: ScopeRead, handle: a.listLicenseFiles,
			doc: doc{"List the imported license files", nil, LicenseFileList{}, []int{200}}},
		{
			method: "POST", path: "/api/v1/license-files", scope: ScopeWrite,
			bodyMax: fileMax + multipartMax, query: []string{"project", "name"}, handle: a.importLicenseFile,
			doc: doc{"Import a license file", licenseFileBody, ImportResult{}, []int{200, 201}},
		},
		{
			method: "POST", path: "/api/v1/license-file-preview", asks: true, scope: ScopeWrite,
			bodyMax: fileMax + multipartMax, handle: a.previewLicenseFile,
			doc: doc{"Say what an import would do", licenseFileBody, ImportPreview{}, []int{200}},
		},
		{method: "GET", path: "/api/v1/license-files/{licenseId}", scope: ScopeRead, handle: a.showLicenseFile,
			doc: doc{"Show an imported license file", nil, LicenseFile{}, []int{200}}},
		{method: "GET", path: "/api/v1/license-files/{licenseId}/text", scope: ScopeRead, handle: a.showLicenseText,
			doc: doc{"Show the text of a license file as it came", nil, plainText, []int{200}}},
	}
}

// LicenseFile is an imported license file [FILE-1].
type LicenseFile struct {
	LicenseID      string    `json:"licenseId"`
	Alias          string    `json:"alias"`
	OrganizationID string    `json:"organizationId"`
	Revision       uint32    `json:"revision"`
	Trial          string    `json:"trial"` // none, first, extended [FILE-4]
	Vendor         string    `json:"vendor"`
	KeyID          string    `json:"keyId"`
	Issued         time.Time `json:"issued,omitzero"`
	Activated      time.Time `json:"activated,omitzero"`
	Imported       time.Time `json:"imported"`
	ServerUUIDs    []string  `json:"serverUuids"`
	Bindings       []string  `json:"bindings"`
	Items          []string  `json:"items"`               // names, LicenseId/ItemId
	Suspended      string    `json:"suspended,omitempty"` // why its items answer 113
}

// LicenseFileList is the answer to GET license-files.
type LicenseFileList struct {
	LicenseFiles []LicenseFile `json:"licenseFiles"`
}

// ImportResult is the answer to an import [IMP-1], [FILE-3].
type ImportResult struct {
	Outcome     string      `json:"outcome"` // imported, updated, unchanged
	LicenseFile LicenseFile `json:"licenseFile"`
	Items       []Item      `json:"items"`             // of the file
	Added       []string    `json:"added"`             // names of those that were not known before
	Project     string      `json:"project,omitempty"` // id of the project that new items went to
	ProjectName string      `json:"projectName,omitempty"`
}

func licenseFileView(l *engine.License) LicenseFile {
	f := l.File
	view := LicenseFile{
		LicenseID: f.LicenseID, Alias: f.Alias, OrganizationID: f.OrganizationID, Revision: f.Revision,
		Trial: f.Trial.String(), Vendor: f.Vendor, KeyID: f.KeyID,
		Issued: unixTime(f.Issued), Activated: unixTime(f.Activated), Imported: unixTime(l.Imported),
		ServerUUIDs: []string{}, Bindings: []string{}, Items: []string{}, Suspended: l.Suspended,
	}
	for _, uuid := range f.ServerUUIDs {
		view.ServerUUIDs = append(view.ServerUUIDs, uuid.String())
	}
	for _, b := range f.Bindings {
		view.Bindings = append(view.Bindings, b.String())
	}
	for i := range f.Items {
		view.Items = append(view.Items, f.LicenseID+"/"+f.Items[i].ID)
	}
	return view
}

func (a *Admin) listLicenseFiles(w http.ResponseWriter, _ *http.Request) error {
	catalog, err := a.catalog()
	if err != nil {
		return err
	}
	answer := LicenseFileList{LicenseFiles: []LicenseFile{}}
	for _, l := range catalog.Licenses {
		answer.LicenseFiles = append(answer.LicenseFiles, licenseFileView(l))
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (a *Admin) license(r *http.Request) (*engine.License, error) {
	catalog, err := a.catalog()
	if err != nil {
		return nil, err
	}
	l, ok := catalog.License(r.PathValue("licenseId"))
	if !ok {
		return nil, refusal(http.StatusNotFound, "not-found", "no license file %q is imported; see the list of license files", r.PathValue("licenseId"))
	}
	return l, nil
}

func (a *Admin) showLicenseFile(w http.ResponseWriter, r *http.Request) error {
	l, err := a.license(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, licenseFileView(l))
}

func (a *Admin) showLicenseText(w http.ResponseWriter, r *http.Request) error {
	l, err := a.license(r)
	if err != nil {
		return err
	}
	return writeText(w, http.StatusOK, l.Text)
}

func (a *Admin) importLicenseFile(w http.ResponseWriter, r *http.Request) error {
	target, err := importTarget(r)
	if err != nil {
		return err
	}
	text, err := licenseText(r)
	if err != nil {
		return err
	}
	var result *engine.ImportResult
	err = a.edit(r.Context(), func(c *engine.Core) (err error) {
		before := c.Current()
		if result, err = c.ImportLicense(text, target); err != nil {
			return err
		}
		return a.recordImport(c, r, before, result)
	})
	if err != nil {
		return err
	}
	catalog, err := a.catalog()
	if err != nil {
		return err
	}
	status := http.StatusOK
	if result.Outcome == engine.Imported {
		status = http.StatusCreated
	}
	return writeJSON(w, status, importView(catalog, result, a.now()))
}

// recordImport writes into the audit what an import changed; one that changed
// nothing leaves no entry.
func (a *Admin) recordImport(c *engine.Core, r *http.Request, before *engine.Catalog, result *engine.ImportResult) error {
	if result.Outcome == engine.Unchanged {
		return nil
	}
	id := result.License.File.LicenseID
	var was any
	if i := slices.IndexFunc(before.Licenses, func(l *engine.License) bool { return l.File.LicenseID == id }); i >= 0 {
		was = licenseFileView(before.Licenses[i])
	}
	is := struct {
		LicenseFile
		Project string `json:"project,omitempty"` // new items went there
	}{LicenseFile: licenseFileView(result.License)}
	if result.Project != nil {
		is.Project = result.Project.ID
	}
	return a.record(c, r, "license-file.import", id, was, is)
}

// importTarget reads where the items shall go [IMP-1]. Project ids hold a
// hyphen, so "new" is none.
func importTarget(r *http.Request) (engine.ImportTarget, error) {
	q := r.URL.Query()
	project, name := q.Get("project"), q.Get("name")
	switch {
	case project == "new" && name == "":
		return engine.ImportTarget{}, refusedField(http.StatusBadRequest, "bad-parameter", "name", "project=new needs the new project's name; add name=…")
	case project == "new":
		return engine.ImportTarget{NewProject: name}, nil
	case q.Has("name"):
		return engine.ImportTarget{}, refusedField(http.StatusBadRequest, "bad-parameter", "name", "name is the name of a new project; add project=new, or leave name out")
	case q.Has("project") && project == "":
		return engine.ImportTarget{}, refusedField(http.StatusBadRequest, "bad-parameter", "project", "project is empty; give a project's id, or new, or leave it out")
	}
	return engine.ImportTarget{Project: project}, nil
}

// licenseText reads the file from the body or from the field "file" of a form.
func licenseText(r *http.Request) ([]byte, error) {
	if err := contentType(r, "text/plain", "multipart/form-data"); err != nil {
		return nil, err
	}
	if contentType(r, "text/plain") == nil {
		return io.ReadAll(http.MaxBytesReader(nil, r.Body, fileMax))
	}
	form, err := r.MultipartReader()
	if err != nil {
		return nil, badForm(err)
	}
	var text []byte
	for parts := 0; ; parts++ {
		part, err := form.NextPart()
		switch {
		case errors.Is(err, io.EOF) && parts == 1:
			return text, nil
		case errors.Is(err, io.EOF):
			return nil, refusedField(http.StatusBadRequest, "bad-form", "file", "the form has no field \"file\"; send the license file in it")
		case err != nil:
			return nil, badForm(err)
		case part.FormName() != "file" || parts > 0:
			return nil, refusedField(http.StatusBadRequest, "bad-form", "file", "the form has a field %q too much; it takes one field \"file\"", part.FormName())
		}
		if text, err = io.ReadAll(io.LimitReader(part, fileMax+1)); err != nil {
			return nil, badForm(err)
		}
		if len(text) > license.FileSizeMax {
			return nil, refusal(http.StatusRequestEntityTooLarge, "too-large", "the license file has more than %d bytes, which is the limit; this is probably another file", license.FileSizeMax)
		}
	}
}

// badForm keeps the error of a body that is too large.
func badForm(err error) error {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return err
	}
	return refusal(http.StatusBadRequest, "bad-form", "the form does not read: %v", err)
}

func importView(catalog *engine.Catalog, result *engine.ImportResult, now int64) ImportResult {
	view := ImportResult{
		Outcome: string(result.Outcome), LicenseFile: licenseFileView(result.License), Items: []Item{}, Added: []string{},
	}
	for _, item := range result.Items {
		if shown, ok := catalog.ItemByName(item.Name()); ok { // as published: with its projects and use
			view.Items = append(view.Items, itemView(catalog, shown, now))
		}
	}
	for _, item := range result.Added {
		view.Added = append(view.Added, item.Name())
	}
	if p := result.Project; p != nil {
		view.Project, view.ProjectName = p.ID, p.Name
	}
	return view
}
