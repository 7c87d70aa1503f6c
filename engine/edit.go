package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"muster/license"
)

// Edits of the catalog run in the decider like any decision, as part of a
// batch. Each checks everything before it changes anything: an error means that
// nothing was changed.

// Errors of edits, for callers that map them to a status.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict")
	ErrInvalid  = errors.New("invalid")
)

// EditError is why an edit was refused; it is one of the errors above.
type EditError struct {
	Kind  error
	Field string // what it is about, by the names of the admin API; "" for nothing that was sent
	Item  string // name of the item, when the field stands there once for each
	Text  string
}

// Error is the sentence.
func (e *EditError) Error() string { return e.Text }

// Unwrap is the kind.
func (e *EditError) Unwrap() error { return e.Kind }

func editError(kind error, field, format string, a ...any) *EditError {
	return &EditError{Kind: kind, Field: field, Text: fmt.Sprintf(format, a...)}
}

// ProjectEdit is what an operator sets on a project; nil leaves a field as it is.
type ProjectEdit struct {
	Name     *string
	Password *string
	// PasswordGrace keeps the old password valid for so many seconds [PRJ-3].
	PasswordGrace int64
	Validation    *Validation
	Disabled      *bool
	Default       *bool
	// Items sets the items and their usage order by ordinal [PRJ-6]; an empty
	// Order with DefaultOrder set goes back to the default.
	Items        []uint32
	DefaultOrder bool
	// Shares are the project's parts of its items, all of them; empty and not
	// nil takes them away [PRJ-7].
	Shares []Share
}

// CreateProject makes an empty project for an organization [PRJ-1]. suffix may
// be empty: then it is the next free number.
func (c *Core) CreateProject(organization, suffix, name string) (*Project, error) {
	ordinal := c.nextID(ObjectProject)
	if ordinal > ProjectsMax {
		return nil, editError(ErrConflict, "", "this server has had %d projects and can have no more", ProjectsMax)
	}
	if suffix == "" {
		suffix = fmt.Sprint(100000 + ordinal)
	}
	id := organization + "-" + suffix
	if !license.ValidProjectID(id) {
		return nil, editError(ErrInvalid, "suffix", "project id %q: expected {OrganizationID}-{suffix}, the suffix 1 to 64 of A-Z a-z 0-9 _ -", id)
	}
	if _, taken := c.catalog.Project(id); taken {
		return nil, editError(ErrConflict, "suffix", "project %s exists already", id)
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	_, hasDefault := c.catalog.DefaultProject(organization)
	c.put(ObjectKey{ObjectProject, ordinal}, &projectObject{
		ID: id, Name: name, Organization: organization, Generation: 1,
		Default: !hasDefault, Created: c.now,
	})
	if err := c.rebuild(); err != nil {
		return nil, err
	}
	return c.catalog.Projects[ordinal], nil
}

func checkName(name string) error {
	if strings.TrimSpace(name) == "" || len(name) > 200 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		return editError(ErrInvalid, "name", "project name %q: expected 1 to 200 printable characters", name)
	}
	return nil
}

// EditProject changes a project.
func (c *Core) EditProject(id string, edit ProjectEdit) (*Project, error) {
	p, ok := c.catalog.Project(id)
	if !ok {
		return nil, editError(ErrNotFound, "", "no project %q", id)
	}
	o := p.object()
	if err := c.applyEdit(p, o, edit); err != nil {
		return nil, err
	}
	if edit.Default != nil && *edit.Default {
		if before, ok := c.catalog.DefaultProject(p.Organization); ok && before != p {
			other := before.object()
			other.Default = false
			c.put(ObjectKey{ObjectProject, before.Ordinal}, other)
		}
	}
	c.put(ObjectKey{ObjectProject, p.Ordinal}, o)
	if err := c.rebuild(); err != nil {
		return nil, err
	}
	return c.catalog.Projects[p.Ordinal], nil
}

// applyEdit changes the object that will be written; it checks before it returns.
func (c *Core) applyEdit(p *Project, o *projectObject, edit ProjectEdit) error {
	if edit.Name != nil {
		if err := checkName(*edit.Name); err != nil {
			return err
		}
		o.Name = *edit.Name
	}
	if edit.Password != nil && *edit.Password != o.Password {
		if err := c.changePassword(o, *edit.Password, edit.PasswordGrace); err != nil {
			return err
		}
	}
	if edit.Validation != nil {
		if err := edit.Validation.check(); err != nil {
			return err
		}
		o.Validation = *edit.Validation
	}
	if edit.Disabled != nil {
		o.Disabled = *edit.Disabled
	}
	if edit.Default != nil {
		if !*edit.Default && o.Default {
			return editError(ErrInvalid, "default", "project %s is the default of organization %s: make another one the default instead", p.ID, p.Organization)
		}
		o.Default = *edit.Default
	}
	if err := c.editItems(p, o, edit); err != nil {
		return err
	}
	return c.editShares(p, o, edit.Shares)
}

func (c *Core) changePassword(o *projectObject, password string, grace int64) error {
	if len(password) > 128 {
		return editError(ErrInvalid, "password", "session password of %d bytes: at most 128", len(password))
	}
	if o.Generation == passwordsMax {
		return editError(ErrConflict, "password", "the session password was changed %d times and can't be changed any more: make another project", passwordsMax-1)
	}
	if grace < 0 {
		return editError(ErrInvalid, "passwordGraceSeconds", "grace of %d seconds for the old password: expected 0 or more", grace)
	}
	kept := o.Old[:0:0]
	for _, old := range o.Old {
		if c.now < old.Until {
			kept = append(kept, old)
		}
	}
	if grace > 0 {
		kept = append(kept, OldPassword{o.Password, o.Generation, c.now + grace})
	}
	o.Old, o.Password, o.Generation = kept, password, o.Generation+1
	return nil
}

func (c *Core) editItems(p *Project, o *projectObject, edit ProjectEdit) error {
	if edit.DefaultOrder {
		o.Custom = false
	}
	if edit.Items == nil {
		return nil
	}
	if len(edit.Items) > ProjectItemsMax {
		return editError(ErrInvalid, "items", "%d items: a project has at most %d", len(edit.Items), ProjectItemsMax)
	}
	seen := map[uint32]bool{}
	for _, ordinal := range edit.Items {
		item := c.catalog.item(ordinal)
		switch {
		case item == nil:
			return editError(ErrNotFound, "items", "no item %d", ordinal)
		case seen[ordinal]:
			return editError(ErrInvalid, "items", "item %s stands twice in the list", item.Name())
		case item.License.File.OrganizationID != p.Organization:
			return editError(ErrInvalid, "items", "item %s belongs to organization %s, project %s to %s", item.Name(), item.License.File.OrganizationID, p.ID, p.Organization)
		}
		seen[ordinal] = true
	}
	o.Items, o.Custom = edit.Items, !edit.DefaultOrder
	return nil
}

// editShares checks and sets the shares; those of items that left the project go.
func (c *Core) editShares(p *Project, o *projectObject, shares []Share) error {
	if shares != nil {
		if err := c.checkShares(p, o, shares); err != nil {
			return err
		}
		o.Shares = shares
	}
	o.Shares = slices.DeleteFunc(slices.Clone(o.Shares), func(s Share) bool { return !slices.Contains(o.Items, s.Item) })
	return nil
}

func (c *Core) checkShares(p *Project, o *projectObject, shares []Share) error {
	for i, s := range shares {
		item := c.catalog.item(s.Item)
		if item == nil {
			return editError(ErrNotFound, "shares.item", "no item %d", s.Item)
		}
		twice := slices.ContainsFunc(shares[:i], func(other Share) bool { return other.Item == s.Item })
		if fault := checkShare(p, o, item, s, twice); fault != nil {
			fault.Item = item.Name()
			return fault
		}
	}
	return nil
}

func checkShare(p *Project, o *projectObject, item *Item, s Share, twice bool) *EditError {
	switch {
	case !slices.Contains(o.Items, s.Item):
		return editError(ErrInvalid, "shares.item", "a share of item %s, which is not in project %s", item.Name(), p.ID)
	case twice:
		return editError(ErrInvalid, "shares.item", "item %s has two shares in the list", item.Name())
	case item.ChargeWay == license.Domain:
		return editError(ErrInvalid, "shares.item", "item %s is charged by domain: it is unlimited, and nothing of it can be reserved or capped", item.Name())
	case s.Cap != nil && *s.Cap < s.Reserve:
		return editError(ErrInvalid, "shares.cap", "item %s: %d reserved is more than the cap of %d", item.Name(), s.Reserve, *s.Cap)
	}
	sum := s.Reserve
	for _, r := range item.reserves {
		if r.project != p.Ordinal {
			sum += r.amount
		}
	}
	if sum > item.Quota || sum < s.Reserve {
		return editError(ErrConflict, "shares.reserve", "item %s: %d would be reserved in all projects, its quota is %d", item.Name(), sum, item.Quota)
	}
	return nil
}

func (p *Project) object() *projectObject {
	o := &projectObject{
		ID: p.ID, Name: p.Name, Organization: p.Organization, Custom: p.Custom,
		Password: p.Password, Generation: p.Generation, Old: p.Old, Validation: p.Validation, Shares: p.Shares,
		Disabled: p.Disabled, Default: p.Default, Created: p.Created,
	}
	for _, item := range p.Items {
		o.Items = append(o.Items, item.Ordinal)
	}
	return o
}

// SetAddresses sets what goes into license keys [PRJ-4]. The caller checks their form.
func (c *Core) SetAddresses(addresses []string) error {
	s := c.settings()
	s.Addresses = addresses
	c.put(ObjectKey{Kind: ObjectSettings}, s)
	return c.rebuild()
}

func (c *Core) settings() *settingsObject {
	return &settingsObject{Addresses: c.catalog.Addresses, Modules: c.catalog.Modules[1:]}
}

// AddVendorKey trusts a vendor key from now on [FILE-5]. added is false when it
// was trusted before.
func (c *Core) AddVendorKey(text []byte) (key license.PublicKey, added bool, err error) {
	if key, err = license.ParsePublicKey(text); err != nil {
		return key, false, err
	}
	if _, known := c.trusted.Lookup(key.ID); known {
		return key, false, nil
	}
	c.put(ObjectKey{ObjectVendorKey, c.nextID(ObjectVendorKey)}, &vendorKeyObject{string(text)})
	return key, true, c.rebuild()
}

// Trusted are the vendor keys that licenses are checked with.
func (c *Core) Trusted() *license.KeyRing { return c.trusted }
