package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"muster/engine"
)

// What operators and vendors do, drawn by chance: for the model and the simulation.

// someItems is a random part of the items, in a random order.
func someItems(r *rand.Rand, m *naive) (names []string) {
	for _, name := range sortedKeys(m.items) {
		if r.IntN(8) != 0 {
			names = append(names, name)
		}
	}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

func itemsEdit(c *engine.Core, names []string, custom bool) engine.ProjectEdit {
	edit := engine.ProjectEdit{DefaultOrder: !custom}
	for _, name := range names {
		item, _ := c.Current().ItemByName(name)
		edit.Items = append(edit.Items, item.Ordinal)
	}
	return edit
}

// setItems sets a project's items; shares leave with their item.
func (m *naive) setItems(project string, names []string, custom bool) {
	p := m.projects[project]
	p.items, p.custom = names, custom
	for _, shares := range []map[string]uint64{p.reserve, p.most} {
		for name := range shares {
			if !slices.Contains(names, name) {
				delete(shares, name)
			}
		}
	}
}

// naiveShare is a project's part of an item [PRJ-7].
type naiveShare struct {
	name    string
	reserve uint64
	most    *uint64 // cap
}

// someShares are random parts of all items of a project.
func someShares(r *rand.Rand, m *naive, project string) (shares []naiveShare) {
	for _, name := range m.projects[project].items {
		quota := m.items[name].quota
		s := naiveShare{name: name, reserve: r.Uint64N(quota/3 + 1)}
		if r.IntN(4) == 0 {
			most := s.reserve + r.Uint64N(quota+1)
			s.most = &most
		}
		shares = append(shares, s)
	}
	return shares
}

func sharesEdit(c *engine.Core, shares []naiveShare) engine.ProjectEdit {
	edit := engine.ProjectEdit{Shares: []engine.Share{}}
	for _, s := range shares {
		item, _ := c.Current().ItemByName(s.name)
		edit.Shares = append(edit.Shares, engine.Share{Item: item.Ordinal, Reserve: s.reserve, Cap: s.most})
	}
	return edit
}

func (m *naive) setShares(project string, shares []naiveShare) {
	p := m.projects[project]
	p.reserve, p.most = map[string]uint64{}, map[string]uint64{}
	for _, s := range shares {
		p.reserve[s.name] = s.reserve
		if s.most != nil {
			p.most[s.name] = *s.most
		}
	}
}

// changeTerms changes one item of a license for its next revision.
func changeTerms(r *rand.Rand, terms map[string]map[string]string, now int64) {
	ids := sortedKeys(modelTerms())
	id := ids[r.IntN(len(ids))]
	if terms[id] == nil { // it was dropped before
		terms[id] = modelTerms()[id]
	}
	switch f := terms[id]; r.IntN(5) {
	case 0:
		delete(terms, id)
	case 1:
		f["Revoked"] = "true"
	case 2:
		delete(f, "Revoked")
	case 3:
		quota := must(strconv.Atoi(modelTerms()[id]["Quota"]))
		f["Quota"] = fmt.Sprint(r.IntN(2 * quota))
	case 4:
		f["Expiry"] = time.Unix(now, 0).UTC().AddDate(0, 0, r.IntN(200)-2).Format(time.DateOnly)
		if f["Expiry"] < f["Start"] {
			f["Expiry"] = f["Start"]
		}
	}
}
