package portal

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"muster/admin"
)

// projectPage is one project with all that can be set of it.
type projectPage struct {
	Project    admin.Project
	State      string // of the project, for edits: see admin's ETag
	Row        projectRow
	Items      []orderedItem
	Addable    []*itemRow // of its organization, that it has not
	Shares     []shareRow
	Key        *admin.LicenseKey // nil for viewers
	KeyProblem string            // why there is no key
	Snippet    string
	Limited    bool // a validation field is set
}

// orderedItem is an item at its place.
type orderedItem struct {
	Row   *itemRow
	Name  string
	Place int // from 1
	Last  bool
}

// shareRow is a project's part of an item [PRJ-7].
type shareRow struct {
	Name, Unit   string
	Used         string // through the project; "" where no share is set, and none is told
	Reserve, Cap string // numbers; "" for none
	Quota        uint64
}

// grace is a choice of how long an old session password stays valid.
type grace struct{ Value, Text string } // seconds

// Graces are the choices.
func (*projectPage) Graces() []grace {
	return []grace{{"604800", "7 days"}, {"0", "not at all"}, {"86400", "1 day"}, {"2592000", "30 days"}, {"7776000", "90 days"}}
}

// project reads a project, and the name of its state.
func (x *exchange) project() (p admin.Project, state string, err error) {
	got, err := x.api.send(message{method: http.MethodGet, path: at("projects", x.r.PathValue("id"))}, &p)
	if err != nil {
		return p, "", err
	}
	return p, got.header.Get("ETag"), nil
}

func showProject(x *exchange) error {
	p, state, err := x.project()
	if err != nil {
		return err
	}
	items, err := x.itemsByName()
	if err != nil {
		return err
	}
	data := projectPage{Project: p, State: state, Row: projectRowOf(p, items)}
	data.Limited = len(p.Validation.Domains)+len(p.Validation.Applications)+len(p.Validation.Processes) > 0
	data.order(items)
	data.shares(items)
	if x.admin() {
		if err := data.key(x); err != nil {
			return err
		}
	}
	return x.show("project", p.Name, &data)
}

// order fills in the items at their places, and those that could be added.
func (d *projectPage) order(items map[string]*itemRow) {
	for i, name := range d.Project.Items {
		d.Items = append(d.Items, orderedItem{items[name], name, i + 1, i == len(d.Project.Items)-1})
	}
	for _, item := range items {
		if item.OrganizationID == d.Project.OrganizationID && !item.Removed && !slices.Contains(d.Project.Items, item.Name) {
			d.Addable = append(d.Addable, item)
		}
	}
	slices.SortFunc(d.Addable, func(a, b *itemRow) int { return strings.Compare(a.Name, b.Name) })
}

// shares fills in what can be reserved and capped: items that serve other projects
// too, but those by domain, which are unlimited.
func (d *projectPage) shares(items map[string]*itemRow) {
	for _, name := range d.Project.Items {
		item := items[name]
		i := slices.IndexFunc(d.Project.Shares, func(s admin.Share) bool { return s.Item == name })
		if item == nil || item.ChargeWay == "domain" || len(item.Projects) < 2 && i < 0 {
			continue
		}
		row := shareRow{Name: name, Unit: item.Gauge.Unit, Quota: item.Quota}
		if isConcurrent(item.ChargeWay) {
			row.Unit = "at the same time"
		}
		if i >= 0 {
			row.set(&d.Project.Shares[i])
		}
		d.Shares = append(d.Shares, row)
	}
}

func (r *shareRow) set(s *admin.Share) {
	r.Used = number(s.Used)
	if s.Reserve > 0 {
		r.Reserve = fmt.Sprint(s.Reserve)
	}
	if s.Cap != nil {
		r.Cap = fmt.Sprint(*s.Cap)
	}
}

// key reads the license key; that there is none yet is no reason not to show the
// page.
func (d *projectPage) key(x *exchange) error {
	d.Key = &admin.LicenseKey{}
	err := x.api.get(at("projects", d.Project.ID, "key"), d.Key)
	if kindOf(err) == "not-ready" {
		d.Key, d.KeyProblem = nil, err.Error()
		return nil
	}
	d.Key.Warnings = forPortal(d.Key.Warnings)
	d.Snippet = d.snippet()
	return err
}

// snippet is how an application uses the key: what examples/scanner does, with the
// values of the item that is used first.
func (d *projectPage) snippet() string {
	product, version, modules, module := "DBR", uint16(1), "", ""
	if len(d.Items) > 0 && d.Items[0].Row != nil {
		item := d.Items[0].Row
		product, version = item.Product, slices.Max(append(item.Versions, 1))
		if len(item.Modules) > 0 {
			module = item.Modules[0]
			modules = fmt.Sprintf(", Modules: []string{%q}", module)
		}
	}
	return fmt.Sprintf(`s, err := spool.Open(spool.Options{
	Dir: "license-data", LicenseKey: os.Getenv("LICENSE_KEY"),
	Vendor: ring, // holds the vendor's public key, which is built into the application
	Use:    client.Use{Product: %q, Version: %d%s},
})
if err != nil {
	return err
}
defer s.Close()
if _, err := s.CheckIn(ctx); err != nil {
	return err // its text says what to do
}
// Run renews the grant and sends what is counted; Add returns when that is on disk.
go s.Run(ctx, func(err error) { log.Print(err) })
return s.Add(%q, 3)`, product, version, modules, module)
}
