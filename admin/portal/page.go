package portal

import (
	"bytes"
	"cmp"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"muster/admin"
)

// page is what a template gets.
type page struct {
	Title  string
	Root   string // address of the portal's root, relative to the page
	Path   string // of the page, from the root
	Who    admin.Session
	Admin  bool // may change things
	Notice *notice
	Data   any

	refused *form
	now     time.Time
}

// notice says what a change did.
type notice struct {
	Text     string
	Warnings []string
}

// pageTemplate is a page within the frame that all pages have.
type pageTemplate = template.Template

// bare are the pages without navigation, for those who are not inside.
var bare = map[string]bool{"login": true, "setup": true, "starting": true, "again": true}

// parseTemplates reads templates/: what stands in parts/ is for all pages, the
// others are pages, by their names.
func parseTemplates() map[string]*pageTemplate {
	parts := template.Must(template.New("").Funcs(functions()).ParseFS(templateFiles, "templates/parts/*.html"))
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic("portal: " + err.Error())
	}
	pages := map[string]*pageTemplate{}
	for _, name := range names {
		t := template.Must(template.Must(parts.Clone()).ParseFS(templateFiles, name))
		pages[strings.TrimSuffix(path.Base(name), ".html")] = t
	}
	return pages
}

// show answers with a page. A page with a refused form has the refusal's status.
func (x *exchange) show(name, title string, data any) error {
	status := http.StatusOK
	if x.refused != nil {
		status = x.refused.problem.Status
	}
	return x.showStatus(status, name, title, data)
}

func (x *exchange) showStatus(status int, name, title string, data any) error {
	p := &page{
		Title: title, Root: x.root(), Path: strings.TrimPrefix(x.r.URL.Path, "/"), Who: x.who, Admin: x.admin(),
		Data: data, refused: x.refused, now: x.now(),
	}
	frame := "frame"
	if bare[name] || x.who.Account == "" {
		frame = "bare"
	} else {
		p.Notice = x.notice()
	}
	var out bytes.Buffer
	if err := x.templates[name].ExecuteTemplate(&out, frame, p); err != nil {
		return err
	}
	x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	x.w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
	x.w.WriteHeader(status)
	_, _ = x.w.Write(out.Bytes())
	return nil
}

// Section is the part of the portal that the page belongs to.
func (p *page) Section() string {
	section, _, _ := strings.Cut(p.Path, "/")
	return section
}

// Form is a form of the page: empty, or as it was refused.
func (p *page) Form(name ...string) *form {
	whole := strings.Join(name, "-")
	if p.refused != nil && p.refused.name == whole {
		return p.refused
	}
	return &form{name: whole}
}

// form is what stood in a form, and why it was refused.
type form struct {
	name    string
	values  url.Values
	problem *admin.Problem
	shown   bool // the problem, at its field
}

// Name is unique on the page.
func (f *form) Name() string { return f.name }

// Refused says whether the form was sent and refused.
func (f *form) Refused() bool { return f.problem != nil }

// Value is what stood in a field, or what stands in it at first.
func (f *form) Value(name, otherwise string) string {
	if f.values != nil {
		return f.values.Get(name)
	}
	return otherwise
}

// Has says whether one of the values of a field is chosen, or was at first.
func (f *form) Has(name, value string, otherwise bool) bool {
	if f.values == nil {
		return otherwise
	}
	for _, v := range f.values[name] {
		if v == value {
			return true
		}
	}
	return false
}

// Problem is the refusal, unless a field has shown it: it comes after the fields.
func (f *form) Problem() *admin.Problem {
	if f.problem == nil || f.shown {
		return nil
	}
	return f.problem
}

// field is an input with its label, its hint, and what was wrong with it.
type field struct {
	ID, Name, Label, Value, Error string
	more                          map[string]string
}

// Field makes a field. more are pairs: type, hint, autocomplete, placeholder,
// required, rows, maxlength; "of" is what the API calls the field, "item" the item
// that it is for, when each has one, and a sole field is what any refusal is about.
func (f *form) Field(name, label, value string, more ...string) field {
	in := field{ID: f.name + "-" + name, Name: name, Label: label, Value: f.Value(name, value), more: map[string]string{"type": "text"}}
	for i := 0; i+1 < len(more); i += 2 {
		in.more[more[i]] = more[i+1]
	}
	if in.more["type"] == "password" {
		in.Value = "" // a secret does not come back in a page
	}
	if f.problem != nil && in.isMeant(f.problem) {
		in.Error, f.shown = f.problem.Detail, true
	}
	return in
}

// isMeant says whether the API's refusal is about the field.
func (f field) isMeant(p *admin.Problem) bool {
	return f.more["sole"] != "" || p.Field == cmp.Or(f.more["of"], f.Name) && p.Item == f.more["item"]
}

// Get is one of the pairs that the field was made with.
func (f field) Get(name string) string { return f.more[name] }

// DescribedBy are the ids of what describes the field.
func (f field) DescribedBy() string {
	var ids []string
	if f.Get("hint") != "" {
		ids = append(ids, f.ID+"-hint")
	}
	if f.Error != "" {
		ids = append(ids, f.ID+"-error")
	}
	return strings.Join(ids, " ")
}
