package admin

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"muster/engine"
)

// ImportPreview is what an import of a file would do [IMP-1].
type ImportPreview struct {
	Outcome     string      `json:"outcome"` // imported, updated, unchanged
	LicenseFile LicenseFile `json:"licenseFile"`
	// Before is the revision that is here, for an update.
	Before *LicenseFile `json:"before,omitempty"`
	// Items are those of the file; their usage is what was counted so far.
	Items []PreviewItem `json:"items"`
	// Removed are the names of items that the file no longer has: they answer 113.
	Removed []string `json:"removed"`
	// Projects are those that the file's items may be added to.
	Projects []string `json:"projects"`
}

// PreviewItem is an item as an import would leave it.
type PreviewItem struct {
	Item
	New     bool         `json:"new"`
	Changes []TermChange `json:"changes"` // against the revision that is here
}

// TermChange is a term that a newer revision changes.
type TermChange struct {
	Field  string          `json:"field"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

func (a *Admin) previewLicenseFile(w http.ResponseWriter, r *http.Request) error {
	text, err := licenseText(r)
	if err != nil {
		return err
	}
	var answer ImportPreview
	err = a.edit(r.Context(), func(c *engine.Core) error {
		p, err := c.PreviewImport(text)
		if err != nil {
			return err
		}
		answer, err = previewView(c.Current(), p, a.now())
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}

func previewView(catalog *engine.Catalog, p *engine.ImportPreview, now int64) (ImportPreview, error) {
	l := &engine.License{Text: p.File.SignedText, File: p.File}
	view := ImportPreview{
		Outcome: string(p.Outcome), LicenseFile: licenseFileView(l), Items: []PreviewItem{}, Removed: []string{}, Projects: []string{},
	}
	if p.Before != nil {
		before := licenseFileView(p.Before)
		view.Before = &before
	}
	for i := range p.File.Items {
		item, err := previewItem(catalog, &engine.Item{Item: p.File.Items[i], License: l, Usage: &engine.Usage{}}, now)
		if err != nil {
			return view, err
		}
		view.Items = append(view.Items, item)
	}
	for _, old := range catalog.Items {
		if old != nil && old.License == p.Before && p.Before != nil && !old.Removed && !slices.Contains(view.LicenseFile.Items, old.Name()) {
			view.Removed = append(view.Removed, old.Name())
		}
	}
	for _, project := range catalog.Projects {
		if project != nil && project.Organization == p.File.OrganizationID {
			view.Projects = append(view.Projects, project.ID)
		}
	}
	return view, nil
}

func previewItem(catalog *engine.Catalog, item *engine.Item, now int64) (PreviewItem, error) {
	view := PreviewItem{Item: itemView(catalog, item, now), New: true, Changes: []TermChange{}}
	old, known := catalog.ItemByName(item.Name())
	if !known {
		return view, nil
	}
	before := itemView(catalog, old, now)
	view.New, view.Projects = false, before.Projects
	view.Usage.Uses, view.Usage.Held, view.Usage.Authorizations, view.Usage.Reports = before.Usage.Uses, before.Usage.Held, before.Usage.Authorizations, before.Usage.Reports
	before.Usage = view.Usage // that the limit moves follows from the quota
	was, is, err := changedFields(before, view.Item)
	for _, field := range slices.Sorted(maps.Keys(is)) {
		view.Changes = append(view.Changes, TermChange{field, was[field], is[field]})
	}
	return view, err
}
