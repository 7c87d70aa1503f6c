package sim_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"muster/engine"
)

// projectNow is a project by its name or id, as it is now.
func (r *runner) projectNow(name string) (p *engine.Project, err error) {
	err = r.world.do(func(c *engine.Core) (err error) {
		p, err = projectNamed(c.Catalog(), name)
		return err
	})
	return p, err
}

func projectNamed(c *engine.Catalog, name string) (*engine.Project, error) {
	is := func(p *engine.Project) bool { return p != nil && (p.Name == name || p.ID == name) }
	i := slices.IndexFunc(c.Projects, is)
	if i < 0 {
		return nil, fmt.Errorf("there is no project %q", name)
	}
	return c.Projects[i], nil
}

// itemNamed is an item by its short or full name.
func itemNamed(c *engine.Catalog, name string) (*engine.Item, error) {
	i := slices.IndexFunc(c.Items, func(i *engine.Item) bool { return i != nil && (i.ID == name || i.Name() == name) })
	if i < 0 {
		return nil, fmt.Errorf("there is no item %q", name)
	}
	return c.Items[i], nil
}

func (r *runner) itemOrdinal(name string) (ordinal uint32, err error) {
	err = r.world.do(func(c *engine.Core) error {
		item, err := itemNamed(c.Catalog(), name)
		if err == nil {
			ordinal = item.Ordinal
		}
		return err
	})
	return ordinal, err
}

func (r *runner) newProject(s *statement, m []string) error {
	organization := m[3]
	if organization == "" {
		organization = "2001"
	}
	var p *engine.Project
	err := r.operator(s, func(c *engine.Core) (err error) {
		p, err = c.CreateProject(organization, m[2], m[1])
		return err
	})
	if err == nil && p != nil {
		r.project = p.Name
	}
	return err
}

// editProject makes one edit of all lines of its block.
func (r *runner) editProject(s *statement, m []string) error {
	return r.operator(s, func(c *engine.Core) error {
		p, err := projectNamed(c.Catalog(), m[1])
		if err != nil {
			return err
		}
		edit := projectEdit{catalog: c.Catalog(), shares: p.Shares}
		for i := range s.block {
			if err := edit.line(s.block[i].text); err != nil {
				return s.block[i].at(err)
			}
		}
		_, err = c.EditProject(p.ID, edit.ProjectEdit)
		return err
	})
}

// projectEdit is an edit in the making.
type projectEdit struct {
	engine.ProjectEdit
	catalog *engine.Catalog
	shares  []engine.Share
}

func (e *projectEdit) line(text string) error {
	yes, no := true, false
	return phrases(text,
		says(`disabled`, func([]string) error { e.Disabled = &yes; return nil }),
		says(`enabled`, func([]string) error { e.Disabled = &no; return nil }),
		says(`the default`, func([]string) error { e.Default = &yes; return nil }),
		says(`not the default`, func([]string) error { e.Default = &no; return nil }),
		says(`password WORD`, func(m []string) error { e.Password = &m[1]; return nil }),
		says(`no password`, func([]string) error { e.Password = new(string); return nil }),
		says(`the old one for WORD`, func(m []string) error {
			d, err := parseDuration(m[1])
			e.PasswordGrace = int64(d.Seconds())
			return err
		}),
		says(`items LIST`, e.setItems),
		says(`no items`, func([]string) error { e.Items = []uint32{}; return nil }),
		says(`default order`, func([]string) error { e.DefaultOrder = true; return nil }),
		says(`(domains|applications|processes) LIST`, e.validate),
		says(`no validation`, func([]string) error { e.Validation = &engine.Validation{}; return nil }),
		says(`(reserve|cap) N of WORD`, e.share),
		says(`no shares`, func([]string) error { e.Shares, e.shares = []engine.Share{}, nil; return nil }),
	)
}

func (e *projectEdit) setItems(m []string) error {
	for name := range strings.SplitSeq(m[1], ", ") {
		item, err := itemNamed(e.catalog, name)
		if err != nil {
			return err
		}
		e.Items = append(e.Items, item.Ordinal)
	}
	return nil
}

func (e *projectEdit) validate(m []string) error {
	if e.Validation == nil {
		e.Validation = &engine.Validation{}
	}
	list := strings.Split(m[2], ", ")
	switch m[1] {
	case "domains":
		e.Validation.Domains = list
	case "applications":
		e.Validation.Applications = list
	default:
		e.Validation.Processes = list
	}
	return nil
}

// share changes the project's share of one item and keeps those of others.
func (e *projectEdit) share(m []string) error {
	item, err := itemNamed(e.catalog, m[3])
	if err != nil {
		return err
	}
	amount, err := strconv.ParseUint(m[2], 10, 64)
	if err != nil {
		return err
	}
	e.shares = slices.Clone(e.shares)
	i := slices.IndexFunc(e.shares, func(s engine.Share) bool { return s.Item == item.Ordinal })
	if i < 0 {
		i = len(e.shares)
		e.shares = append(e.shares, engine.Share{Item: item.Ordinal})
	}
	if m[1] == "cap" {
		e.shares[i].Cap = &amount
	} else {
		e.shares[i].Reserve = amount
	}
	e.Shares = e.shares
	return nil
}

func (r *runner) setAddresses(s *statement, m []string) error {
	return r.operator(s, func(c *engine.Core) error { return c.SetAddresses(strings.Split(m[1], ", ")) })
}

func (r *runner) freeSeat(s *statement, m []string) error {
	item, err := r.itemOrdinal(m[2])
	if err != nil {
		return err
	}
	uuid := r.device(m[1]).uuid
	return r.operator(s, func(c *engine.Core) error { return c.FreeSeat(uuid, item) })
}

// operate does to a device what an operator can.
func (r *runner) operate(s *statement, m []string) error {
	uuid := r.device(m[2]).uuid
	return r.operator(s, func(c *engine.Core) error {
		switch m[1] {
		case "block":
			return c.BlockDevice(uuid, true)
		case "unblock":
			return c.BlockDevice(uuid, false)
		}
		return c.ClearClone(uuid)
	})
}
