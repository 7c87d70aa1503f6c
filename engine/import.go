package engine

import (
	"bytes"
	"fmt"
	"slices"

	"muster/license"
)

// ImportTarget says where an imported file's items go [IMP-1]: a new project
// with a name, an existing one, or neither: then a project named after the alias.
type ImportTarget struct {
	NewProject string // name
	Project    string // id
}

// ImportOutcome says what an import did.
type ImportOutcome string

// The outcomes.
const (
	Imported  ImportOutcome = "imported"
	Updated   ImportOutcome = "updated"   // a newer revision of a known file [FILE-3]
	Unchanged ImportOutcome = "unchanged" // the same file again
)

// ImportResult is what an import did.
type ImportResult struct {
	Outcome ImportOutcome
	License *License
	Items   []*Item // of the file
	Added   []*Item // those that were not known before
	Project *Project
}

// ImportLicense checks a license file and takes it over, all of it or nothing.
func (c *Core) ImportLicense(text []byte, target ImportTarget) (*ImportResult, error) {
	p, err := c.PreviewImport(text)
	if err != nil {
		return nil, err
	}
	if p.Outcome == Unchanged {
		return c.importResult(Unchanged, p.Before.Ordinal, nil, nil), nil
	}
	return c.takeOver(p.File, text, p.Before, target)
}

// ImportPreview is what an import of a file would do.
type ImportPreview struct {
	Outcome ImportOutcome
	File    *license.File
	Before  *License // the file that is here under the same license id, nil if none is
}

// PreviewImport checks a license file as an import does, and changes nothing.
func (c *Core) PreviewImport(text []byte) (*ImportPreview, error) {
	file, err := license.Parse(text, c.trusted)
	if err != nil {
		return nil, fmt.Errorf("license file refused: %w", err)
	}
	if err := file.CheckImport(c.catalog.Server, c.catalog.Mode); err != nil {
		return nil, fmt.Errorf("license file refused: %w", err)
	}
	p := &ImportPreview{Outcome: Imported, File: file}
	before, known := c.catalog.License(file.LicenseID)
	if !known {
		return p, nil
	}
	same, err := checkRevision(before, file, text)
	if err != nil {
		return nil, err
	}
	p.Outcome, p.Before = Updated, before
	if same {
		p.Outcome = Unchanged
	}
	return p, nil
}

// checkRevision compares a file with the one imported before under its license id [FILE-3].
func checkRevision(before *License, file *license.File, text []byte) (same bool, err error) {
	old := before.File
	switch {
	case bytes.Equal(before.Text, text):
		return true, nil
	case old.Vendor != "" && old.Vendor != file.Vendor:
		return false, editError(ErrConflict, "KeyId", "license %s was issued by vendor %q, this file is signed by vendor %q", file.LicenseID, old.Vendor, file.Vendor)
	case old.OrganizationID != file.OrganizationID && old.OrganizationID != "":
		return false, editError(ErrConflict, "OrganizationID", "license %s belongs to organization %s, this file says %s", file.LicenseID, old.OrganizationID, file.OrganizationID)
	case file.Revision < old.Revision:
		return false, editError(ErrConflict, "Revision", "license %s is here in revision %d, this file is revision %d: ask the vendor for the newest one", file.LicenseID, old.Revision, file.Revision)
	case file.Revision == old.Revision && bytes.Equal(file.SignedText, old.SignedText):
		return true, nil
	case file.Revision == old.Revision:
		return false, editError(ErrConflict, "Revision", "license %s revision %d is here with other content: ask the vendor for a file with a higher revision", file.LicenseID, file.Revision)
	}
	return false, nil
}

// takeOver writes the file, its new items and their project.
func (c *Core) takeOver(file *license.File, text []byte, before *License, target ImportTarget) (*ImportResult, error) {
	project, err := c.importProject(file, before, target)
	if err != nil {
		return nil, err
	}
	if project != nil && len(project.Items)+len(file.Items) > ProjectItemsMax {
		return nil, editError(ErrInvalid, "project", "project %s would have more than %d items", project.ID, ProjectItemsMax)
	}
	if c.nextID(ObjectItem)+uint32(len(file.Items)) > ItemsMax {
		return nil, editError(ErrConflict, "", "this server has had %d items and can have no more", ItemsMax)
	}
	if project == nil {
		if project, err = c.CreateProject(file.OrganizationID, "", projectName(file, target)); err != nil {
			return nil, err
		}
	}
	outcome, ordinal := Imported, c.nextID(ObjectLicense)
	if before != nil {
		outcome, ordinal = Updated, before.Ordinal
	}
	c.addModules(file)
	c.put(ObjectKey{ObjectLicense, ordinal}, &licenseObject{Text: string(text), Imported: c.now})
	c.dropItems(file, ordinal)
	added := c.addItems(file, ordinal, project, target != ImportTarget{})
	if err := c.rebuild(); err != nil {
		return nil, err
	}
	return c.importResult(outcome, ordinal, added, project), nil
}

// importProject finds the existing project an import appends to; nil means that
// one is to be made.
func (c *Core) importProject(file *license.File, before *License, target ImportTarget) (*Project, error) {
	switch {
	case target.NewProject != "" && target.Project != "":
		return nil, editError(ErrInvalid, "project", "give either a new project's name or an existing project's id, not both")
	case target.Project != "":
		p, ok := c.catalog.Project(target.Project)
		if !ok {
			return nil, editError(ErrNotFound, "project", "no project %q: nothing was imported", target.Project)
		}
		if p.Organization != file.OrganizationID {
			return nil, editError(ErrInvalid, "project", "project %s belongs to organization %s, the license to %s: nothing was imported", p.ID, p.Organization, file.OrganizationID)
		}
		return p, nil
	case target.NewProject != "":
		return nil, checkName(target.NewProject)
	case before != nil: // an update's new items go where its other items are
		for _, p := range c.catalog.Projects {
			if p != nil && slices.ContainsFunc(p.Items, func(i *Item) bool { return i.License == before }) {
				return p, nil
			}
		}
	}
	return nil, nil
}

func projectName(file *license.File, target ImportTarget) string {
	if target.NewProject != "" {
		return target.NewProject
	}
	return file.Alias
}

// addModules gives every module name of the file its ordinal on this server.
func (c *Core) addModules(file *license.File) {
	s := c.settings()
	known := len(s.Modules)
	for i := range file.Items {
		for _, name := range file.Items[i].Modules {
			if !slices.Contains(s.Modules, name) {
				s.Modules = append(slices.Clip(s.Modules), name)
			}
		}
	}
	if len(s.Modules) > known {
		c.put(ObjectKey{Kind: ObjectSettings}, s)
	}
}

// addItems gives new items an ordinal and appends them to the project. Items
// that the operator took out of all projects come back only to a project that
// the import names.
func (c *Core) addItems(file *license.File, licenseOrdinal uint32, project *Project, named bool) (added []uint32) {
	o := project.object()
	for i := range file.Items {
		ordinal, known := c.itemOrdinal(licenseOrdinal, file.Items[i].ID)
		if !known {
			ordinal = c.nextID(ObjectItem)
			c.put(ObjectKey{ObjectItem, ordinal}, &itemObject{License: licenseOrdinal, ID: file.Items[i].ID})
			added = append(added, ordinal)
			c.rowOf(counterKey{item: ordinal})
		} else if c.serves(ordinal) || !named {
			continue
		}
		o.Items = append(o.Items, ordinal)
	}
	c.put(ObjectKey{ObjectProject, project.Ordinal}, o)
	return added
}

// dropItems keeps the last terms of known items that the file no longer has, and
// forgets them of those that are back.
func (c *Core) dropItems(file *license.File, licenseOrdinal uint32) {
	for _, item := range c.catalog.Items {
		if item == nil || item.License.Ordinal != licenseOrdinal {
			continue
		}
		o := &itemObject{License: licenseOrdinal, ID: item.ID}
		has := slices.ContainsFunc(file.Items, func(i license.Item) bool { return i.ID == item.ID })
		if !has {
			o.Dropped = &item.Item
		}
		if has == item.Removed {
			c.put(ObjectKey{ObjectItem, item.Ordinal}, o)
		}
	}
}

// serves says whether an item is in any project.
func (c *Core) serves(ordinal uint32) bool {
	item := c.catalog.item(ordinal)
	return item != nil && len(item.Projects) > 0
}

func (c *Core) itemOrdinal(licenseOrdinal uint32, id string) (uint32, bool) {
	for _, item := range c.catalog.Items {
		if item != nil && item.License.Ordinal == licenseOrdinal && item.ID == id {
			return item.Ordinal, true
		}
	}
	return 0, false
}

func (c *Core) importResult(outcome ImportOutcome, ordinal uint32, added []uint32, project *Project) *ImportResult {
	r := &ImportResult{Outcome: outcome}
	for _, l := range c.catalog.Licenses {
		if l.Ordinal == ordinal {
			r.License = l
		}
	}
	for _, item := range c.catalog.Items {
		if item == nil || item.License != r.License || item.Removed {
			continue
		}
		r.Items = append(r.Items, item)
		if slices.Contains(added, item.Ordinal) {
			r.Added = append(r.Added, item)
		}
	}
	if project != nil {
		r.Project = c.catalog.Projects[project.Ordinal]
	}
	return r
}
