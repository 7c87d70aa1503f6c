package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"muster/admin"
	"muster/engine"
)

// The CLI prints all of a list that the API gives in pages, with --json too.
func TestAPILongList(t *testing.T) { // [OPS-3]
	c := newCLI(t)
	c.ok(words("import " + c.file))
	c.do(func(core *engine.Core) error {
		for i := range apiPageRows + 3 {
			if _, err := core.CreateProject("2001", fmt.Sprintf("dock%d", i), "Dock"); err != nil {
				return err
			}
		}
		return nil
	})
	if r := c.ok(words("project list")); strings.Count(r.stdout, "2001-dock") != apiPageRows+3 {
		t.Errorf("%d projects are listed", strings.Count(r.stdout, "2001-dock"))
	}
	var list admin.ProjectList
	if err := json.Unmarshal([]byte(c.ok(words("project list --json")).stdout), &list); err != nil || len(list.Projects) != apiPageRows+4 || list.Next != 0 {
		t.Errorf("%d projects in JSON, next %d, %v", len(list.Projects), list.Next, err)
	}
}
