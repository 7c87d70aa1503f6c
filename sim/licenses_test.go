package sim_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"muster/engine"
	"muster/license"
	"muster/sim"
)

// draft is a license of a scenario, as its vendor knows it.
type draft struct {
	header    []license.Field
	items     [][]license.Field // the first field of each is its ItemId
	vendor    string
	servers   string
	activated int64
	newest    uint32
	texts     map[uint32][]byte // signed, by revision
}

// itemDefaults stand in an item that does not say otherwise.
var itemDefaults = []license.Field{
	{Name: "Product", Value: "DBR"}, {Name: "ChargeWay", Value: "scan"}, {Name: "Quota", Value: "100"},
	{Name: "Start", Value: "2026-01-01"}, {Name: "Expiry", Value: "2027-12-31"},
}

// license writes a license, or another revision of one, which begins with what
// the one before says.
func (r *runner) license(s *statement, m []string) error {
	id, revision := m[1], uint32(1)
	if m[2] != "" {
		n, err := strconv.ParseUint(m[2], 10, 32)
		if err != nil {
			return err
		}
		revision = uint32(n)
	}
	d := r.licenses[id]
	if d == nil || m[2] == "" {
		d = &draft{
			vendor: "Acme", servers: "this", activated: r.now.Unix(), texts: map[uint32][]byte{},
			header: []license.Field{{Name: "LicenseId", Value: id}, {Name: "OrganizationID", Value: "2001"}, {Name: "Bindings", Value: "key"}},
		}
		r.licenses[id] = d
	}
	for i := range s.block {
		if err := d.change(&s.block[i]); err != nil {
			return s.block[i].at(err)
		}
	}
	return r.sign(d, revision)
}

// change takes one line of a license: a field, or an item that comes, changes or goes.
func (d *draft) change(s *statement) error {
	if id, ok := strings.CutPrefix(s.text, "drop "); ok {
		d.items = slices.DeleteFunc(d.items, func(item []license.Field) bool { return item[0].Value == id })
		return nil
	}
	if id, ok := strings.CutPrefix(s.text, "item "); ok {
		return d.changeItem(id, s.block)
	}
	name, value, ok := strings.Cut(s.text, ": ")
	switch {
	case !ok:
		return fmt.Errorf(`%q: expected "Name: value", "item NAME" or "drop NAME"`, s.text)
	case name == "ServerUUID":
		d.servers = value
	case name == "Vendor":
		d.vendor = value
	default:
		d.header = setField(d.header, name, value)
	}
	return nil
}

func (d *draft) changeItem(id string, block []statement) error {
	i := slices.IndexFunc(d.items, func(item []license.Field) bool { return item[0].Value == id })
	if i < 0 {
		i = len(d.items)
		d.items = append(d.items, append([]license.Field{{Name: "ItemId", Value: id}}, itemDefaults...))
	}
	for _, line := range block {
		name, value, ok := strings.Cut(line.text, ": ")
		if !ok {
			return line.at(fmt.Errorf(`%q: expected "Name: value"`, line.text))
		}
		d.items[i] = setField(d.items[i], name, value)
	}
	return nil
}

func setField(fields []license.Field, name, value string) []license.Field {
	fields = slices.DeleteFunc(slices.Clone(fields), func(f license.Field) bool { return f.Name == name })
	return append(fields, license.Field{Name: name, Value: value})
}

func (r *runner) sign(d *draft, revision uint32) error {
	vendor, err := r.vendor(d.vendor)
	if err != nil {
		return err
	}
	terms := sim.Terms{Header: d.header, Items: d.items, Revision: revision, Issued: r.now.Unix(), Activated: d.activated}
	for name := range strings.SplitSeq(d.servers, ", ") {
		terms.Servers = append(terms.Servers, r.serverUUID(name))
	}
	d.newest = revision
	d.texts[revision], err = vendor.Issue(terms)
	return err
}

// serverUUID is "this" server's, or one made of another's name.
func (r *runner) serverUUID(name string) license.UUID {
	if name == "this" {
		return r.world.identity().UUID()
	}
	sum := sha256.Sum256([]byte(name))
	return license.UUID(sum[:16])
}

// vendor finds a vendor, or makes one that nobody trusts yet.
func (r *runner) vendor(name string) (v sim.Vendor, err error) {
	v, ok := r.vendors[name]
	if !ok {
		v, err = sim.NewVendor(name)
		r.vendors[name] = v
	}
	return v, err
}

func (r *runner) trust(s *statement, m []string) error {
	v, err := r.vendor(m[1])
	if err != nil {
		return err
	}
	text, err := v.Key.Public().MarshalText()
	if err != nil {
		return err
	}
	return r.operator(s, func(c *engine.Core) error {
		_, _, err := c.AddVendorKey(text)
		return err
	})
}

// importLicense imports the newest revision, or the one named. Besides failing,
// its outcome can be imported, updated or unchanged.
func (r *runner) importLicense(s *statement, m []string) error {
	text, err := r.licenseText(m[1], m[2])
	if err != nil {
		return err
	}
	var result *engine.ImportResult
	err = r.world.do(func(c *engine.Core) (err error) {
		result, err = c.ImportLicense(text, importTarget(c.Catalog(), m[3] != "", m[4]))
		return err
	})
	if err == nil && result.Project != nil {
		r.project = result.Project.Name
	}
	switch want := engine.ImportOutcome(s.want); want {
	case engine.Imported, engine.Updated, engine.Unchanged:
		if err == nil && result.Outcome != want {
			err = fmt.Errorf("%s, expected %s", result.Outcome, want)
		}
		return err
	}
	return s.outcome(err)
}

func importTarget(c *engine.Catalog, fresh bool, name string) engine.ImportTarget {
	if fresh {
		return engine.ImportTarget{NewProject: name}
	}
	if p, err := projectNamed(c, name); err == nil {
		name = p.ID
	}
	return engine.ImportTarget{Project: name}
}

func (r *runner) licenseText(id, revision string) ([]byte, error) {
	d := r.licenses[id]
	if d == nil {
		return nil, fmt.Errorf("no license %s was written", id)
	}
	n := d.newest
	if revision != "" {
		parsed, err := strconv.ParseUint(revision, 10, 32)
		if err != nil {
			return nil, err
		}
		n = uint32(parsed)
	}
	if d.texts[n] == nil {
		return nil, fmt.Errorf("license %s has no revision %d", id, n)
	}
	return d.texts[n], nil
}
