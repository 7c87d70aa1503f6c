package admin

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"muster/engine"
)

func (a *Admin) projectRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/projects", scope: ScopeRead, query: []string{"after", "limit"}, handle: a.listProjects,
			doc: doc{"List the projects", nil, ProjectList{}, []int{200}}},
		{method: "POST", path: "/api/v1/projects", scope: ScopeWrite, bodyMax: textMax, handle: a.createProject,
			doc: doc{"Make a project", NewProject{}, Project{}, []int{201}}},
		{method: "GET", path: "/api/v1/projects/{id}", scope: ScopeRead, handle: a.showProject,
			doc: doc{"Show a project", nil, Project{}, []int{200}}},
		{method: "PATCH", path: "/api/v1/projects/{id}", scope: ScopeWrite, bodyMax: textMax, handle: a.editProject,
			doc: doc{"Edit a project; what is missing stays as it is", ProjectChange{}, Project{}, []int{200}}},
	}
}

// Project is a project [PRJ-1]. Its key has a route of its own.
type Project struct {
	ID               string     `json:"id"`
	Name             string     `json:"name"`
	OrganizationID   string     `json:"organizationId"`
	Items            []string   `json:"items"`        // names in usage order [PRJ-6]
	DefaultOrder     bool       `json:"defaultOrder"` // the operator did not set the order
	PasswordSet      bool       `json:"passwordSet"`
	Password         string     `json:"password,omitempty"`        // the session password, for write scope only
	OldPasswordUntil time.Time  `json:"oldPasswordUntil,omitzero"` // the replaced one is valid so long [PRJ-3]
	Validation       Validation `json:"validation"`
	Shares           []Share    `json:"shares"` // of its items, where one was set [PRJ-7]
	Disabled         bool       `json:"disabled"`
	Default          bool       `json:"default"` // of its organization
	Created          time.Time  `json:"created"`
	Warnings         []string   `json:"warnings,omitempty"` // in the answer to a change
}

// ProjectList is the answer to GET projects, in the order in which they were made.
type ProjectList struct {
	Projects []Project `json:"projects"`
	Next     uint32    `json:"next,omitempty"` // give it as "after" for more
}

// NewProject is what a project is made of.
type NewProject struct {
	Name           string `json:"name"`
	OrganizationID string `json:"organizationId,omitempty"` // may be left out when there is one organization
	Suffix         string `json:"suffix,omitempty"`         // of the id; the next free number by default
}

// ProjectChange is what PATCH changes; a missing field stays as it is.
type ProjectChange struct {
	Name                 *string     `json:"name,omitempty"`
	Password             *string     `json:"password,omitempty"`             // the session password; "" for none
	PasswordGraceSeconds *int64      `json:"passwordGraceSeconds,omitempty"` // for which the old one stays valid [PRJ-3]
	Validation           *Validation `json:"validation,omitempty"`           // all of it: a missing list is an empty one
	Shares               *[]Share    `json:"shares,omitempty"`               // all of them [PRJ-7]
	Disabled             *bool       `json:"disabled,omitempty"`
	Default              *bool       `json:"default,omitempty"`      // only true: another project stops being it
	Items                *[]string   `json:"items,omitempty"`        // names, all of them, in usage order [PRJ-6]
	DefaultOrder         *bool       `json:"defaultOrder,omitempty"` // only true: back to the default usage order
}

func projectOf(catalog *engine.Catalog, id string) (*engine.Project, error) {
	if p, ok := catalog.Project(id); ok {
		return p, nil
	}
	return nil, refusal(http.StatusNotFound, "not-found", "no project %q; see the list of projects", id)
}

// project is the one that a path names, with the catalog it stands in.
func (a *Admin) project(r *http.Request) (*engine.Catalog, *engine.Project, error) {
	catalog, err := a.catalog()
	if err != nil {
		return nil, nil, err
	}
	p, err := projectOf(catalog, r.PathValue("id"))
	return catalog, p, err
}

func (a *Admin) projectView(p *engine.Project, who caller) Project {
	view := Project{
		ID: p.ID, Name: p.Name, OrganizationID: p.Organization, Items: []string{}, DefaultOrder: !p.Custom,
		PasswordSet: p.Password != "", Validation: validationView(p.Validation), Disabled: p.Disabled, Default: p.Default, Created: unixTime(p.Created),
	}
	if who.scope.holds(ScopeWrite) {
		view.Password = p.Password
	}
	for _, item := range p.Items {
		view.Items = append(view.Items, item.Name())
	}
	view.Shares = shareViews(p)
	for _, old := range p.Old {
		if until := unixTime(old.Until); old.Until > a.now() && until.After(view.OldPasswordUntil) {
			view.OldPasswordUntil = until
		}
	}
	return view
}

// audited is a project as the audit has it: a changed password shows by its
// number alone.
func (a *Admin) audited(p *engine.Project) any {
	return struct {
		Project
		PasswordGeneration uint32 `json:"passwordGeneration"`
	}{a.projectView(p, caller{scope: ScopeRead}), p.Generation}
}

func (a *Admin) listProjects(w http.ResponseWriter, r *http.Request) error {
	catalog, err := a.catalog()
	if err != nil {
		return err
	}
	page, next, err := listPage(r, catalog.Projects)
	if err != nil {
		return err
	}
	answer := ProjectList{Projects: []Project{}, Next: next}
	for _, p := range page {
		answer.Projects = append(answer.Projects, a.projectView(p, callerOf(r)))
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (a *Admin) showProject(w http.ResponseWriter, r *http.Request) error {
	_, p, err := a.project(r)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", projectTag(p))
	return writeJSON(w, http.StatusOK, a.projectView(p, callerOf(r)))
}

// projectTag names the state of a project: it changes with every edit of it.
func projectTag(p *engine.Project) string { return fmt.Sprintf(`"%x"`, p.Revision) }

// unmodified refuses an edit of a project that somebody else has changed since the
// caller looked: If-Match names the state that the edit is for.
func unmodified(r *http.Request, p *engine.Project) error {
	wanted := r.Header.Values("If-Match")
	if len(wanted) == 0 || slices.Contains(wanted, "*") || slices.Contains(wanted, projectTag(p)) {
		return nil
	}
	return refusal(http.StatusPreconditionFailed, "changed-meanwhile", "project %s was changed by somebody else meanwhile; look at it again, then repeat your change", p.ID)
}

func (a *Admin) createProject(w http.ResponseWriter, r *http.Request) error {
	var in NewProject
	if err := readJSON(r, &in); err != nil {
		return err
	}
	var p *engine.Project
	err := a.edit(r.Context(), func(c *engine.Core) error {
		organization, err := organizationFor(c.Current(), in.OrganizationID)
		if err != nil {
			return err
		}
		if p, err = c.CreateProject(organization, in.Suffix, in.Name); err != nil {
			return err
		}
		return a.record(c, r, "project.create", p.ID, nil, a.audited(p))
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, a.projectView(p, callerOf(r)))
}

// organizationFor is the organization of a new project: one of which a license
// is here, since a project of any other could never have an item.
func organizationFor(catalog *engine.Catalog, given string) (string, error) {
	var here []string
	for _, l := range catalog.Licenses {
		if id := l.File.OrganizationID; id != "" && !slices.Contains(here, id) {
			here = append(here, id)
		}
	}
	invalid := func(format string, args ...any) (string, error) {
		return "", refusedField(http.StatusUnprocessableEntity, "invalid", "organizationId", format, args...)
	}
	switch {
	case len(here) == 0:
		return invalid("no license is here yet, so there is no organization to make a project for; import a license file first")
	case given == "" && len(here) == 1:
		return here[0], nil
	case given == "":
		return invalid("there are licenses of the organizations %s; say which one the project is for", joined(here, "and"))
	case !slices.Contains(here, given):
		return invalid("no license of organization %q is here, only of %s", given, joined(here, "and"))
	}
	return given, nil
}

func (a *Admin) editProject(w http.ResponseWriter, r *http.Request) error {
	var in ProjectChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	var before, after *engine.Project
	err := a.edit(r.Context(), func(c *engine.Core) (err error) {
		if before, err = projectOf(c.Current(), r.PathValue("id")); err != nil {
			return err
		}
		if err := unmodified(r, before); err != nil {
			return err
		}
		edit, err := in.edit(c.Current())
		if err != nil {
			return err
		}
		if after, err = c.EditProject(before.ID, edit); err != nil {
			return err
		}
		return a.record(c, r, "project.edit", before.ID, a.audited(before), a.audited(after))
	})
	if err != nil {
		return err
	}
	w.Header().Set("ETag", projectTag(after))
	view := a.projectView(after, callerOf(r))
	if before.Password != after.Password {
		view.Warnings = append(view.Warnings, keysChanged("the license key of "+after.ID))
	}
	return writeJSON(w, http.StatusOK, view)
}

// check refuses a change whose parts do not go together.
func (in *ProjectChange) check() error {
	invalid := func(field, format string, args ...any) error {
		return refusedField(http.StatusUnprocessableEntity, "invalid", field, format, args...)
	}
	switch {
	case *in == ProjectChange{}:
		return invalid("", "the request changes nothing; give at least one field")
	case in.PasswordGraceSeconds != nil && in.Password == nil:
		return invalid("passwordGraceSeconds", "a grace is for the password that is replaced; give the new password too")
	case in.PasswordGraceSeconds != nil && (*in.PasswordGraceSeconds < 0 || *in.PasswordGraceSeconds > int64(durationMax/time.Second)):
		return invalid("passwordGraceSeconds", "a grace of %d seconds: expected 0 up to 100 years", *in.PasswordGraceSeconds)
	case in.Default != nil && !*in.Default:
		return invalid("default", "make another project the default instead: an organization keeps one")
	case in.DefaultOrder != nil && !*in.DefaultOrder:
		return invalid("defaultOrder", "give the items in the order you want instead")
	}
	return nil
}

// edit is the change as the engine takes it; item names become ordinals.
func (in *ProjectChange) edit(catalog *engine.Catalog) (engine.ProjectEdit, error) {
	edit := engine.ProjectEdit{Name: in.Name, Password: in.Password, Disabled: in.Disabled, Default: in.Default}
	if in.PasswordGraceSeconds != nil {
		edit.PasswordGrace = *in.PasswordGraceSeconds
	}
	edit.Validation = (*engine.Validation)(in.Validation)
	edit.DefaultOrder = in.DefaultOrder != nil
	if err := in.editShares(catalog, &edit); err != nil {
		return edit, err
	}
	if in.Items == nil {
		return edit, nil
	}
	edit.Items = []uint32{} // of no items, not unchanged
	for _, name := range *in.Items {
		item, err := itemNamed(catalog, name, "items")
		if err != nil {
			return edit, err
		}
		edit.Items = append(edit.Items, item.Ordinal)
	}
	return edit, nil
}
