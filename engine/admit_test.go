package engine

import (
	"testing"

	"muster/protocol"
)

func TestAdmit(t *testing.T) { // [CLI-1] [ERR-1] [PRJ-3]
	b := newBed(t)
	p := b.imported("1", []string{})
	word, next := "old word", "new word"
	edit := func(e ProjectEdit) {
		b.edit(func(c *Core) error { _, err := c.EditProject(p.ID, e); return err })
	}
	edit(ProjectEdit{Password: &word})
	edit(ProjectEdit{Password: &next, PasswordGrace: 60})
	now := b.now.Unix()
	rows := []struct {
		project, organization, password string
		now                             int64
		code                            protocol.Code
		generation                      uint32
	}{
		{"", "", next, now, protocol.NoProjectGiven, 0},
		{"", "9999", next, now, protocol.NoDefaultProject, 0},
		{"no id!", "", next, now, protocol.BadProjectID, 0},
		{"2001-77", "", next, now, protocol.NoSuchProject, 0},
		{p.ID, "9999", next, now, protocol.ProjectOfOther, 3},
		{p.ID, "2001", "guess", now, protocol.WrongPassword, 0},
		{p.ID, "", "", now, protocol.WrongPassword, 0},
		{p.ID, "2001", next, now, protocol.OK, 3},
		{"", "2001", next, now, protocol.OK, 3},
		{p.ID, "2001", word, now + 59, protocol.OK, 2},
		{p.ID, "2001", word, now + 60, protocol.WrongPassword, 0},
	}
	for _, row := range rows {
		a := b.core.Catalog().Admit(row.project, row.organization, row.password, row.now)
		if a.Code != row.code || a.Generation != row.generation {
			t.Errorf("%q %q %q: code %v generation %d, want %v and %d", row.project, row.organization, row.password, a.Code, a.Generation, row.code, row.generation)
		}
	}
	yes := true
	edit(ProjectEdit{Disabled: &yes})
	if a := b.core.Catalog().Admit(p.ID, "", next, now); a.Code != protocol.ProjectDisabled {
		t.Errorf("disabled project: %v", a.Code)
	}
}
