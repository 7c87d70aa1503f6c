package sim

import (
	"fmt"
	"slices"

	"muster/engine"
	"muster/engine/server"
)

// simEdit is something that an operator does, decided among the requests of devices.
type simEdit struct {
	sim *simulation
	run func(*engine.Core) error
}

// Decide implements server.Work.
func (e *simEdit) Decide(y *server.Cycle) {
	if err := e.run(y.Core()); err != nil {
		e.sim.fail("operator: %w", err)
	}
}

// Answer implements server.Work: the operator is told that it is done. What the
// model has by then must be there after any crash, see [simulation.compareCatalog].
func (e *simEdit) Answer() { e.sim.edits++ }

// edit draws something that an operator does. What the model allows has to
// succeed, and what it does not has to be refused.
func (s *simulation) edit() *simEdit {
	projects := sortedKeys(s.naive.projects)
	project := projects[s.r.IntN(len(projects))]
	d := s.devices[s.r.IntN(len(s.devices))]
	kinds := []func(c *engine.Core) error{
		func(c *engine.Core) error { return s.rename(c, project) },
		func(c *engine.Core) error { return s.reorder(c, project) },
		func(c *engine.Core) error { return s.share(c, project) },
		func(c *engine.Core) error { return s.rotate(c, project) },
		func(c *engine.Core) error { return s.block(c, d) },
		func(c *engine.Core) error { return s.freeSeat(c, d) },
		func(c *engine.Core) error { return s.importRevision(c) },
	}
	return &simEdit{s, kinds[s.r.IntN(len(kinds))]}
}

func (s *simulation) rename(c *engine.Core, project string) error {
	name := fmt.Sprint("named in step ", s.step)
	_, err := c.EditProject(project, engine.ProjectEdit{Name: &name})
	s.record(func(m *naive) { m.projects[project].name = name })
	return err
}

func (s *simulation) reorder(c *engine.Core, project string) error {
	names, custom := someItems(s.r, s.naive), s.r.IntN(2) == 0
	_, err := c.EditProject(project, itemsEdit(c, names, custom))
	s.record(func(m *naive) { m.setItems(project, names, custom) })
	return err
}

// share sets reserves and caps; the engine refuses them where the projects have
// reserved too much together.
func (s *simulation) share(c *engine.Core, project string) error {
	shares := someShares(s.r, s.naive, project)
	if _, err := c.EditProject(project, sharesEdit(c, shares)); err == nil {
		s.record(func(m *naive) { m.setShares(project, shares) })
	}
	return nil
}

func (s *simulation) rotate(c *engine.Core, project string) error {
	password := fmt.Sprint("of step ", s.step, " ", s.r.Uint32())
	_, err := c.EditProject(project, engine.ProjectEdit{Password: &password, PasswordGrace: 3600})
	s.record(func(m *naive) {
		p := m.projects[project]
		p.password, p.passwords = password, p.passwords+1
	})
	return err
}

// block blocks a client, or lets it in again; the engine refuses where it has never been.
func (s *simulation) block(c *engine.Core, d *simDevice) error {
	block := s.r.IntN(3) == 0
	if c.BlockDevice(d.uuid, block) == nil {
		s.record(func(m *naive) { m.blocked[d.number] = block })
	}
	return nil
}

func (s *simulation) freeSeat(c *engine.Core, d *simDevice) error {
	items := sortedKeys(s.naive.items)
	name := items[s.r.IntN(len(items))]
	item, _ := c.Current().ItemByName(name)
	err := c.FreeSeat(d.uuid, item.Ordinal)
	var allowed bool
	s.record(func(m *naive) { allowed = m.free(d.number, name) })
	if allowed != (err == nil) {
		return fmt.Errorf("freeing the seat of client %d on %s: %v, the model allows it: %v", d.number, name, err, allowed)
	}
	return nil
}

func (s *simulation) importRevision(c *engine.Core) error {
	changeTerms(s.r, s.terms, s.naive.now)
	s.revision++
	file := modelLicense(s.terms, s.revision, simIdentity().UUID())
	_, err := c.ImportLicense(must(file.Sign(simVendor())), engine.ImportTarget{})
	s.record(func(m *naive) { m.revise(file) })
	return err
}

// compareCatalog holds what operators have done against the model: all of it, and once.
func (s *simulation) compareCatalog(c *engine.Core) {
	revision := uint32(0)
	for _, l := range c.Catalog().Licenses {
		revision = l.File.Revision
	}
	if revision != s.naive.revision {
		s.fail("the license is of revision %d, the model says %d", revision, s.naive.revision)
	}
	for _, id := range sortedKeys(s.naive.projects) {
		want := s.naive.projects[id]
		p, ok := c.Catalog().Project(id)
		if !ok {
			s.fail("project %s is gone", id)
			continue
		}
		got, order := simProject(c, p), []string{}
		for _, i := range s.naive.order(want) {
			order = append(order, i.name)
		}
		if expected := fmt.Sprint(want.name, want.password, want.passwords+1, order, want.reserve, want.most); got != expected {
			s.fail("project %s is\n%s, the model says\n%s", id, got, expected)
		}
	}
	for _, d := range s.devices {
		v, err := c.Device(d.uuid)
		if blocked := err == nil && v.Blocked; blocked != s.naive.blocked[d.number] {
			s.fail("client %d is blocked: %v, the model says %v", d.number, blocked, s.naive.blocked[d.number])
		}
	}
}

// simProject writes down what an operator has set on a project.
func simProject(c *engine.Core, p *engine.Project) string {
	order, reserve, most := []string{}, map[string]uint64{}, map[string]uint64{}
	for _, item := range p.Items {
		order = append(order, item.Name())
	}
	for _, share := range p.Shares {
		i := slices.IndexFunc(p.Items, func(item *engine.Item) bool { return item.Ordinal == share.Item })
		reserve[order[i]] = share.Reserve
		if share.Cap != nil {
			most[order[i]] = *share.Cap
		}
	}
	return fmt.Sprint(p.Name, p.Password, p.Generation, order, reserve, most)
}
