package portal

import (
	"cmp"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"

	"muster/admin"
)

func (p *Portal) importRoutes() []route {
	return []route{
		{pattern: "GET /items/import", handle: showImport},
		{pattern: "POST /items/import", bodyMax: importMax, handle: previewImport},
		{pattern: "POST /items/import/now", bodyMax: importMax, handle: importFile},
	}
}

// importMax is what an import may send: a license file, also in base64, and some.
const importMax = 2 << 20

// importPage is where a license file is chosen.
type importPage struct{ Server admin.Server }

func showImport(x *exchange) error {
	var data importPage
	if err := x.api.get("server", &data.Server); err != nil {
		return err
	}
	return x.show("import", "Import a license file", &data)
}

// previewPage is what an import would do [IMP-1]. The page itself carries the
// file, so that nothing of it waits on the server.
type previewPage struct {
	Preview  admin.ImportPreview
	File     string // base64
	Items    []previewRow
	Projects []admin.Project // that new items may go to
	New      int             // items that are new
	Home     string          // id of the project that serves the file's other items
}

type previewRow struct {
	itemRow
	New     bool
	Changes []diffLine
}

// previewImport takes the file of a form and shows what is in it.
func previewImport(x *exchange) error {
	text, err := uploaded(x.r)
	if err == nil {
		var data *previewPage
		if data, err = x.preview(text); err == nil {
			return x.show("preview", "Look before you import", data)
		}
	}
	return x.refuseWith("import", err, showImport)
}

// uploaded is the text of the file in a form.
func uploaded(r *http.Request) ([]byte, error) {
	refused := func(detail string) ([]byte, error) {
		return nil, problem(http.StatusUnprocessableEntity, "bad-form", "file", detail)
	}
	file, _, err := r.FormFile("file")
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return refused("The file is larger than a license file may be (1 MiB). It is probably another file.")
	}
	if err != nil {
		return refused("Choose the license file that the vendor sent.")
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err == nil && len(text) == 0 {
		return refused("The file is empty.")
	}
	return text, err
}

// preview asks what an import of a file would do.
func (x *exchange) preview(text []byte) (*previewPage, error) {
	data := &previewPage{File: base64.StdEncoding.EncodeToString(text)}
	m := message{method: http.MethodPost, path: "license-file-preview", contentType: "text/plain", body: text}
	if _, err := x.api.send(m, &data.Preview); err != nil {
		return nil, err
	}
	var projects admin.ProjectList
	if err := x.api.get("projects", &projects); err != nil {
		return nil, err
	}
	for _, p := range projects.Projects {
		if slices.Contains(data.Preview.Projects, p.ID) {
			data.Projects = append(data.Projects, p)
		}
	}
	for i := range data.Preview.Items {
		item := &data.Preview.Items[i]
		row := previewRow{itemRow: rowOf(item.Item), New: item.New}
		if item.New {
			data.New++
		} else if len(item.Projects) > 0 {
			data.Home = cmp.Or(data.Home, item.Projects[0])
		}
		for _, c := range item.Changes {
			row.Changes = append(row.Changes, diffLine{Field: words(c.Field), Before: plain(c.Before), After: plain(c.After)})
		}
		data.Items = append(data.Items, row)
	}
	return data, nil
}

// importFile imports what was looked at.
func importFile(x *exchange) error {
	if err := x.parse(); err != nil {
		return err
	}
	text, err := base64.StdEncoding.DecodeString(x.r.PostForm.Get("file"))
	if err != nil {
		return problem(http.StatusBadRequest, "bad-form", "", "The form does not read. Choose the license file again.")
	}
	again := func(x *exchange) error {
		data, err := x.preview(text)
		if err != nil {
			return err
		}
		return x.show("preview", "Look before you import", data)
	}
	return x.submit("target", again, func() error {
		form := x.r.PostForm
		query := ""
		switch target := form.Get("target"); target {
		case "new":
			if form.Get("name") == "" {
				return problem(http.StatusUnprocessableEntity, "invalid", "name", "Give the new project a name.")
			}
			query = asked("project", "new", "name", form.Get("name"))
		case "existing":
			query = asked("project", form.Get("project"))
		}
		var result admin.ImportResult
		m := message{method: http.MethodPost, path: "license-files" + query, contentType: "text/plain", body: text}
		if _, err := x.api.send(m, &result); err != nil {
			return err
		}
		return x.imported(&result)
	})
}

// imported says what an import did, and goes on to where its items are.
func (x *exchange) imported(result *admin.ImportResult) error {
	file := result.LicenseFile.LicenseID + ", " + result.LicenseFile.Alias
	switch {
	case result.Outcome == "unchanged":
		return x.done("items", "License "+file+" was here already; nothing changed.")
	case result.Outcome == "updated" && result.Project == "":
		return x.done("items?search="+result.LicenseFile.LicenseID, "License "+file+" was updated to revision "+number(result.LicenseFile.Revision)+".")
	}
	return x.done(at("projects", result.Project), "License "+file+" is imported. This project’s key opens its items.")
}
