package portal

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"muster/admin"
)

func (p *Portal) projectRoutes() []route {
	return []route{
		{pattern: "GET /projects", handle: showProjects},
		{pattern: "POST /projects", handle: createProject},
		{pattern: "POST /projects/addresses", handle: setAddresses},
		{pattern: "GET /projects/{id}", handle: showProject},
		{pattern: "POST /projects/{id}/name", handle: renameProject},
		{pattern: "POST /projects/{id}/default", handle: makeDefault},
		{pattern: "POST /projects/{id}/enabled", handle: enableProject},
		{pattern: "POST /projects/{id}/items", handle: orderItems},
		{pattern: "POST /projects/{id}/default-order", handle: defaultOrder},
		{pattern: "POST /projects/{id}/shares", handle: setShares},
		{pattern: "POST /projects/{id}/validation", handle: setValidation},
		{pattern: "POST /projects/{id}/password", handle: setPassword},
	}
}

// projectsPage is the list of projects, and the addresses that all keys have.
type projectsPage struct {
	Rows          []projectRow
	Search        string
	Pages         pager
	Any           bool
	Organizations []string // for a new project
	Addresses     admin.Addresses
	Warnings      []string // of the addresses
	Set           string   // the addresses that were set, one a line
}

// projectRow is a project with what is to be said of its items.
type projectRow struct {
	admin.Project
	Badge   badge
	InForce int // items
	Fullest *gauge
}

func showProjects(x *exchange) error {
	var list admin.ProjectList
	if err := x.api.get("projects", &list); err != nil {
		return err
	}
	items, err := x.itemsByName()
	if err != nil {
		return err
	}
	var server admin.Server
	if err := x.api.get("server", &server); err != nil {
		return err
	}
	data := projectsPage{Search: strings.TrimSpace(x.r.URL.Query().Get("search")), Any: len(list.Projects) > 0, Addresses: server.Addresses}
	data.Warnings = forPortal(server.Addresses.Warnings)
	if !server.Addresses.Default {
		data.Set = strings.Join(server.Addresses.Addresses, "\n")
	}
	for _, item := range items {
		if id := item.OrganizationID; id != "" && !slices.Contains(data.Organizations, id) {
			data.Organizations = append(data.Organizations, id)
		}
	}
	slices.Sort(data.Organizations)
	for _, p := range list.Projects {
		if text := strings.ToLower(p.ID + " " + p.Name); strings.Contains(text, strings.ToLower(data.Search)) {
			data.Rows = append(data.Rows, projectRowOf(p, items))
		}
	}
	slices.SortStableFunc(data.Rows, func(a, b projectRow) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	data.Rows, data.Pages = paged("projects", x.r.URL.Query(), data.Rows)
	return x.show("projects", "Projects", &data)
}

func (x *exchange) itemsByName() (map[string]*itemRow, error) {
	rows, err := x.items()
	byName := map[string]*itemRow{}
	for i := range rows {
		byName[rows[i].Name] = &rows[i]
	}
	return byName, err
}

func projectRowOf(p admin.Project, items map[string]*itemRow) projectRow {
	row := projectRow{Project: p, Badge: badge{"good", "in use"}}
	for _, name := range p.Items {
		item := items[name]
		if item == nil || !inForce(&item.Item) {
			continue
		}
		row.InForce++
		if g := item.Gauge; !g.Unlimited && (row.Fullest == nil || g.Percent > row.Fullest.Percent) {
			row.Fullest = &g
		}
	}
	switch {
	case p.Disabled:
		row.Badge = badge{"bad", "disabled"}
	case row.InForce == 0:
		row.Badge = badge{"near", "no item in force"}
	}
	return row
}

func createProject(x *exchange) error {
	return x.submit("create", showProjects, func() error {
		form := x.r.PostForm
		in := admin.NewProject{Name: form.Get("name"), OrganizationID: form.Get("organization"), Suffix: form.Get("suffix")}
		var made admin.Project
		if err := x.api.change(http.MethodPost, "projects", in, &made); err != nil {
			return err
		}
		return x.done(at("projects", made.ID), "The project "+made.Name+" is made. Add the items that its key shall open.")
	})
}

// setAddresses sets where devices find the server, for all license keys [PRJ-4].
func setAddresses(x *exchange) error {
	return x.submit("addresses", showProjects, func() error {
		in := admin.NewAddresses{Addresses: linesOf(x.r.PostForm.Get("addresses"))}
		var after admin.Addresses
		if err := x.api.change(http.MethodPut, "server/addresses", in, &after); err != nil {
			return err
		}
		return x.done("projects", "The addresses in license keys are set.", forPortal(after.Warnings)...)
	})
}

// linesOf are the lines of a text, or what commas part, without what is empty.
func linesOf(text string) []string {
	lines := []string{}
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == ',' }) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// forPortal leaves out of warnings which command of the CLI helps: who reads
// them here has a form for it.
func forPortal(warnings []string) (list []string) {
	for _, w := range warnings {
		for _, command := range []string{" (muster address set tcp://host:port)", " (muster key PROJECT)"} {
			w = strings.TrimSuffix(w, command)
		}
		list = append(list, sentence(w))
	}
	return list
}
