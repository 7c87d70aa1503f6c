package sim_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/engine"
)

// number is one expected number: `uses 5 of QR`, `denials 2 with 120`.
func number(names string, read func(name, module, code string) (uint64, error)) phrase {
	return says(`(`+names+`) N(?: of WORD)?(?: with N)?`, func(m []string) error {
		n, err := read(m[1], m[3], m[4])
		return errors.Join(err, same(m[1], fmt.Sprint(n), m[2]))
	})
}

// scope is what a number is asked of.
type scope struct {
	core    *engine.Core
	item    *engine.Item
	project *engine.Project
	engine.Scope
}

// expectItem reads `expect item NAME [through PROJECT] [WHEN] NUMBERS`.
func (r *runner) expectItem(_ *statement, m []string) error {
	return r.world.do(func(c *engine.Core) (err error) {
		s := scope{core: c}
		if s.item, err = itemNamed(c.Catalog(), m[1]); err != nil {
			return err
		}
		s.Item = s.item.Ordinal
		if m[2] != "" {
			if s.project, err = projectNamed(c.Catalog(), m[2]); err != nil {
				return err
			}
			s.Project = s.project.Ordinal
		}
		if m[3] != "" {
			return r.expectSeries(s, m[3], m[4])
		}
		return phrases(m[4], number("held|uses|overuse|undated|authorizations|devices|reports", s.now),
			says(`state (active|not yet effective|in grace|expired|revoked|suspended)`, func(m []string) error {
				return same("state", s.item.State(r.now.Unix()), m[1])
			}))
	})
}

func (r *runner) expectProject(_ *statement, m []string) error {
	return r.world.do(func(c *engine.Core) (err error) {
		s := scope{core: c}
		if s.project, err = projectNamed(c.Catalog(), m[1]); err != nil {
			return err
		}
		s.Project = s.project.Ordinal
		if m[2] != "" {
			return r.expectSeries(s, m[2], m[3])
		}
		return phrases(m[3], number("uses|authorizations|devices|denials", s.now))
	})
}

// now reads what is counted until now: from what any reader of the catalog sees,
// and from the totals.
func (s scope) now(name, module, code string) (uint64, error) {
	switch {
	case name == "held" && s.project != nil:
		return s.item.Usage.Of(s.Project).Held.Load(), nil
	case name == "held":
		return s.item.Usage.Held.Load(), nil
	case name == "reports":
		return s.item.Usage.Reports.Load(), nil
	case name == "uses" && module == "" && s.item != nil:
		return s.uses()
	}
	t := s.core.Totals(s.Scope)
	switch name {
	case "uses":
		return s.byModule(t, module)
	case "authorizations":
		return t.Authorizations, nil
	case "devices":
		return t.Devices, nil
	case "undated":
		return t.Undated, nil
	case "overuse":
		return t.Overuse, nil
	}
	return byCode(t, code)
}

// uses are the item's, which bound its quota; the statistics must say the same [STAT-3].
func (s scope) uses() (uint64, error) {
	billed := s.item.Usage.Uses.Load()
	if s.project != nil {
		billed = s.item.Usage.Of(s.Project).Uses.Load()
	}
	shown := uint64(0)
	for _, n := range s.core.Totals(s.Scope).Uses {
		shown += n
	}
	return billed, same("uses billed", billed, shown)
}

func (s scope) byModule(t engine.Totals, module string) (sum uint64, err error) {
	if module == "" {
		for _, n := range t.Uses {
			sum += n
		}
		return sum, nil
	}
	ordinal, err := s.module(module)
	return t.Uses[ordinal], err
}

// module is a module's number on the server; "none" is 0.
func (s scope) module(name string) (uint16, error) {
	i := slices.Index(s.core.Catalog().Modules, name)
	if name == "none" {
		i = 0
	}
	if i < 0 {
		return 0, fmt.Errorf("no license has a module %q", name)
	}
	return uint16(i), nil
}

func byCode(t engine.Totals, code string) (sum uint64, err error) {
	for c, n := range t.Denials {
		if code == "" || code == fmt.Sprint(uint16(c)) {
			sum += n
		}
	}
	return sum, nil
}

// expectOrder compares a project's usage order [PRJ-6].
func (r *runner) expectOrder(_ *statement, m []string) error {
	p, err := r.projectNow(m[1])
	if err != nil {
		return err
	}
	var names []string
	for _, item := range p.Items {
		names = append(names, item.ID)
	}
	return same("order", strings.Join(names, ", "), m[2])
}

func (r *runner) expectAddresses(_ *statement, m []string) error {
	return r.world.do(func(c *engine.Core) error {
		return same("addresses", strings.Join(c.Catalog().Addresses, ", "), m[1])
	})
}

// expectDevice compares what the operator sees of a client UUID.
func (r *runner) expectDevice(_ *statement, m []string) error {
	uuid := r.device(m[1]).uuid
	return r.world.do(func(c *engine.Core) error {
		view, err := c.Device(uuid)
		if err != nil {
			return err
		}
		return phrases(m[2],
			says(`(not )?blocked`, func(m []string) error { return same("blocked", view.Blocked, m[1] == "") }),
			number("streams|retired|forgiven|clones|seats", func(name, _, _ string) (uint64, error) {
				return countView(view)[name], nil
			}))
	})
}

func countView(v *engine.DeviceView) map[string]uint64 {
	n := map[string]uint64{"streams": uint64(len(v.Streams))}
	add := func(name string, is bool) {
		if is {
			n[name]++
		}
	}
	for _, s := range v.Streams {
		add("retired", s.Retired)
		add("forgiven", s.Forgiven)
		add("clones", s.Clone)
	}
	for _, s := range v.Seats {
		add("seats", s.Held)
	}
	return n
}

// expectLatest compares the newest records of a project's day with the block,
// newest first.
func (r *runner) expectLatest(s *statement, m []string) error {
	kinds := map[string]engine.RecordKind{"reports": engine.ReportRecords, "authorizations": engine.AuthorizationRecords, "denials": engine.DenialRecords}
	grain, at, err := r.interval(cmp.Or(m[3], "today"))
	if err == nil && grain != engine.Day {
		err = fmt.Errorf("records are kept by day, not %s", m[3])
	}
	if err != nil {
		return err
	}
	return r.world.do(func(c *engine.Core) error {
		p, err := projectNamed(c.Catalog(), m[2])
		if err != nil {
			return err
		}
		records := c.Records(kinds[m[1]], p.Ordinal, at)
		if len(records) < len(s.block) {
			return fmt.Errorf("there are %d, expected %d", len(records), len(s.block))
		}
		for i := range s.block {
			if err := same("record", r.recordText(c.Catalog(), kinds[m[1]], records[i]), s.block[i].text); err != nil {
				return s.block[i].at(err)
			}
		}
		return nil
	})
}

// recordText says a record in the words of a scenario: `A 5 of QR on scans`.
func (r *runner) recordText(c *engine.Catalog, kind engine.RecordKind, rec engine.Record) string {
	text := "a stranger"
	for _, name := range slices.Sorted(maps.Keys(r.devices)) {
		if r.devices[name].uuid == rec.UUID {
			text = name
			break
		}
	}
	switch kind {
	case engine.ReportRecords:
		text += fmt.Sprintf(" %d", rec.Count)
	case engine.DenialRecords:
		text += fmt.Sprintf(" %d", rec.Code)
	}
	if rec.Module != 0 {
		text += " of " + c.Modules[rec.Module]
	}
	if rec.Item != 0 {
		text += " on " + c.Items[rec.Item].ID
	}
	return text
}
