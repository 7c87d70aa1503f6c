package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"muster/license"
)

// ObjectKind is a kind of catalog object. Objects are small, rare and readable:
// JSON, replaced as a whole.
type ObjectKind uint8

// The kinds, frozen. Kinds from ObjectAdmin on are opaque to the engine.
const (
	ObjectLicense   ObjectKind = 1
	ObjectItem      ObjectKind = 2
	ObjectProject   ObjectKind = 3
	ObjectSettings  ObjectKind = 4 // one, id 0
	ObjectVendorKey ObjectKind = 5
	ObjectAdmin     ObjectKind = 128
)

// ObjectKey names an object.
type ObjectKey struct {
	Kind ObjectKind
	ID   uint32
}

type object struct {
	data   []byte // empty: deleted
	index  uint64 // of the entry that wrote it
	loaded uint64 // index it had in the checkpoint, 0: it was not there
	dirty  bool
}

// What the objects hold.
type (
	licenseObject struct {
		Text     string `json:"text"`
		Imported int64  `json:"imported"`
	}
	itemObject struct {
		License uint32 `json:"license"`
		ID      string `json:"id"`
		// Dropped are the terms of an item that the file no longer has, so that
		// who asks for its product is told 113 and not 106.
		Dropped *license.Item `json:"dropped,omitempty"`
	}
	projectObject struct {
		ID           string        `json:"id"`
		Name         string        `json:"name"`
		Organization string        `json:"organization"`
		Items        []uint32      `json:"items"`
		Custom       bool          `json:"customOrder,omitempty"`
		Password     string        `json:"password,omitempty"`
		Generation   uint32        `json:"generation"`
		Old          []OldPassword `json:"old,omitempty"`
		Validation   Validation    `json:"validation,omitzero"`
		Shares       []Share       `json:"shares,omitempty"`
		Disabled     bool          `json:"disabled,omitempty"`
		Default      bool          `json:"default,omitempty"`
		Created      int64         `json:"created"`
	}
	settingsObject struct {
		Addresses []string `json:"addresses,omitempty"`
		Modules   []string `json:"modules,omitempty"`
	}
	vendorKeyObject struct {
		Key string `json:"key"`
	}
)

// put writes an object as an effect; v is marshalled, nil deletes.
func (c *Core) put(key ObjectKey, v any) {
	var data []byte
	if v != nil {
		var err error
		if data, err = json.Marshal(v); err != nil {
			panic(fmt.Sprintf("engine: object %v does not marshal: %v", key, err))
		}
	}
	c.PutObject(key, data)
}

// PutObject writes an object as part of the batch under way; no data deletes it.
func (c *Core) PutObject(key ObjectKey, data []byte) {
	e := objectEffect{key: key, data: data}
	c.body = e.append(c.body)
	c.applyObject(&e)
}

// Object returns an object's data, nil if there is none. Not to be changed.
func (c *Core) Object(key ObjectKey) []byte {
	if o := c.objects[key]; o != nil && len(o.data) > 0 {
		return o.data
	}
	return nil
}

// HasObject says whether a catalog object was ever made; deleted ones count.
func (c *Core) HasObject(key ObjectKey) bool { return c.objects[key] != nil }

// ObjectIDs returns the ids of a kind's objects, ascending.
func (c *Core) ObjectIDs(kind ObjectKind) []uint32 {
	var ids []uint32
	for key, o := range c.objects {
		if key.Kind == kind && len(o.data) > 0 {
			ids = append(ids, key.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// nextID is an id that no object of the kind ever had: deleted ones count.
func (c *Core) nextID(kind ObjectKind) uint32 {
	next := uint32(1)
	for key := range c.objects {
		if key.Kind == kind {
			next = max(next, key.ID+1)
		}
	}
	return next
}

// read unmarshals every object of a kind, in the order of ids.
func read[T any](c *Core, kind ObjectKind, visit func(id uint32, v *T)) error {
	for _, id := range c.ObjectIDs(kind) {
		v := new(T)
		if err := json.Unmarshal(c.objects[ObjectKey{kind, id}].data, v); err != nil {
			return fmt.Errorf("catalog object kind %d id %d does not read: %w", kind, id, err)
		}
		visit(id, v)
	}
	return nil
}

// rebuild makes the catalog anew from the objects. It is called after the
// objects changed, in the decider.
func (c *Core) rebuild() error {
	cat := &Catalog{
		Server: c.config.Server.UUID(), Mode: c.config.Server.Mode, Modules: []string{""},
		byProjectID: map[string]*Project{}, defaults: map[string]*Project{},
	}
	steps := []func(*Catalog) error{c.readSettings, c.readLicenses, c.readItems, c.readProjects}
	for _, step := range steps {
		if err := step(cat); err != nil {
			return err
		}
	}
	c.catalog = cat
	c.catalogChanged = true
	c.growUsage()
	return nil
}

func (c *Core) readSettings(cat *Catalog) error {
	c.trusted = &license.KeyRing{}
	for _, key := range c.config.Trusted.List() {
		_ = c.trusted.Add(key) // it was added to a ring before
	}
	err := read(c, ObjectVendorKey, func(_ uint32, v *vendorKeyObject) {
		if key, err := license.ParsePublicKey([]byte(v.Key)); err == nil {
			cat.VendorKeys = append(cat.VendorKeys, key)
			_ = c.trusted.Add(key) // a key that stands there already stays
		}
	})
	if err != nil {
		return err
	}
	return read(c, ObjectSettings, func(_ uint32, v *settingsObject) {
		cat.Addresses = v.Addresses
		cat.Modules = append(cat.Modules, v.Modules...)
	})
}

func (c *Core) readLicenses(cat *Catalog) error {
	return read(c, ObjectLicense, func(id uint32, v *licenseObject) {
		l := &License{Ordinal: id, Text: []byte(v.Text), Imported: v.Imported}
		file, err := c.parsed.get(v.Text, c.trusted)
		if err != nil { // its vendor key is not configured any more
			l.File, l.Suspended = &license.File{LicenseID: fmt.Sprintf("license-%d", id)}, err.Error()
		} else {
			l.File = file
			if err := file.CheckImport(cat.Server, cat.Mode); err != nil {
				l.Suspended = err.Error()
			}
		}
		cat.Licenses = append(cat.Licenses, l)
	})
}

func (c *Core) readItems(cat *Catalog) error {
	return read(c, ObjectItem, func(ordinal uint32, v *itemObject) {
		for uint32(len(cat.Items)) <= ordinal {
			cat.Items = append(cat.Items, nil)
		}
		i := slices.IndexFunc(cat.Licenses, func(l *License) bool { return l.Ordinal == v.License })
		if i < 0 {
			return
		}
		item := &Item{Ordinal: ordinal, License: cat.Licenses[i], Usage: c.usage(ordinal)}
		c.fillItem(item, v, cat.Modules)
		cat.Items[ordinal] = item
	})
}

// fillItem takes the item's terms from its license file.
func (c *Core) fillItem(item *Item, v *itemObject, modules []string) {
	file := item.License.File
	n := slices.IndexFunc(file.Items, func(i license.Item) bool { return i.ID == v.ID })
	if n < 0 {
		item.Removed = true
		if v.Dropped != nil {
			item.Item = *v.Dropped
		}
		item.ID = v.ID
		return
	}
	item.Item = file.Items[n]
	item.span = grantSpan(&item.Item)
	proof := license.Proof{Server: c.config.Server, Certificate: file.Certificate(n)}
	var err error
	if item.Proof, err = proof.AppendBinary(nil); err != nil {
		panic("engine: a parsed license has no certificate: " + err.Error())
	}
	item.ProofID = license.ProofID(item.Proof)
	for _, d := range item.Domains {
		item.registrable = append(item.registrable, registrable(d, item.ExtraSuffixes))
	}
	for _, name := range item.Modules {
		item.modules = append(item.modules, license.GrantModule{Ordinal: uint16(slices.Index(modules, name)), Name: name})
	}
}

func (c *Core) readProjects(cat *Catalog) error {
	return read(c, ObjectProject, func(ordinal uint32, v *projectObject) {
		for uint32(len(cat.Projects)) <= ordinal {
			cat.Projects = append(cat.Projects, nil)
		}
		p := &Project{
			Ordinal: ordinal, ID: v.ID, Name: v.Name, Organization: v.Organization, Custom: v.Custom,
			Password: v.Password, Generation: v.Generation, Old: v.Old, Validation: v.Validation, Shares: v.Shares,
			Disabled: v.Disabled, Default: v.Default, Created: v.Created,
			Revision: c.objects[ObjectKey{ObjectProject, ordinal}].index,
		}
		for _, o := range v.Items {
			if item := cat.item(o); item != nil {
				p.Items = append(p.Items, item)
				item.Projects = append(item.Projects, ordinal)
			}
		}
		for _, s := range p.Shares {
			if item := cat.item(s.Item); item != nil && s.Reserve > 0 {
				item.reserves = append(item.reserves, reserve{ordinal, s.Reserve})
			}
		}
		if !p.Custom {
			slices.SortStableFunc(p.Items, defaultOrder)
		}
		cat.Projects[ordinal] = p
		cat.byProjectID[p.ID] = p
		if p.Default {
			cat.defaults[p.Organization] = p
		}
	})
}

// parsedFiles keeps parsed license files by their text: parsing verifies
// signatures, and the catalog is rebuilt at every edit.
type parsedFiles map[string]*license.File

func (p parsedFiles) get(text string, trusted *license.KeyRing) (*license.File, error) {
	if f := p[text]; f != nil {
		if _, ok := trusted.Lookup(f.KeyID); ok {
			return f, nil
		}
	}
	f, err := license.Parse([]byte(text), trusted)
	if err == nil {
		p[text] = f
	}
	return f, err
}

// keep forgets all files but those of the catalog.
func (p parsedFiles) keep(licenses []*License) {
	maps.DeleteFunc(p, func(text string, _ *license.File) bool {
		return !slices.ContainsFunc(licenses, func(l *License) bool { return string(l.Text) == text })
	})
}
