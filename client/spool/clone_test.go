package spool_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"muster/client"
	"muster/client/spool"
	"muster/engine"
	"muster/protocol"
)

// TestCopiedSpool: a directory that was copied to another device is found out. What
// each of the two adds counts once, and neither gets another grant. [CLI-5]
func TestCopiedSpool(t *testing.T) {
	s := startServer()
	defer s.Close()
	ctx := context.Background()
	dir, copied := t.TempDir(), t.TempDir()
	sp := granted(t, s, dir)
	check(sp.Close())
	check(os.CopyFS(copied, os.DirFS(dir)))

	first, second := open(t, s, dir), open(t, s, copied)
	mustAdd(t, first, 1)
	mustSend(t, first)
	mustAdd(t, second, 2)
	mustSend(t, second) // forgiven: it could be the first one, restored from a backup
	mustAdd(t, first, 4)
	mustAdd(t, first, 8)
	if err := first.Send(ctx); client.CodeOf(err) != protocol.Clone {
		t.Errorf("error %v, want 151", err)
	}
	if s.uses(1) != 15 {
		t.Errorf("%d scans counted, want 15: what both have used", s.uses(1))
	}
	for _, sp := range []*spool.Spool{first, second} {
		if _, err := sp.CheckIn(ctx); client.CodeOf(err) != protocol.Clone {
			t.Errorf("error %v, want 151", err)
		}
	}
}

// TestProjectDisabled: where the server lets nobody in, Send ends; what is in doubt
// stays as it is, and is settled when the server does again.
func TestProjectDisabled(t *testing.T) {
	for name, leave := range map[string]func(*testing.T, *testServer, string){
		"in doubt": inDoubt,
		"not sent": func(t *testing.T, s *testServer, dir string) {
			sp := granted(t, s, dir)
			mustAdd(t, sp, 7)
			check(sp.Close())
		},
	} {
		t.Run(name, func(t *testing.T) { projectDisabled(t, leave) })
	}
}

func projectDisabled(t *testing.T, leave func(*testing.T, *testServer, string)) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	leave(t, s, dir)
	disable := func(disabled bool) {
		check(s.Do(func(c *engine.Core) error {
			_, err := c.EditProject(s.project, engine.ProjectEdit{Disabled: &disabled})
			return err
		}))
	}
	disable(true)
	sp := open(t, s, dir)
	for range 2 {
		if err := sp.Send(context.Background()); client.CodeOf(err) != protocol.ProjectDisabled {
			t.Errorf("error %v, want 162", err)
		}
	}
	connections := s.Main.Stats.Accepted.Load()
	if _, err := sp.CheckIn(context.Background()); client.CodeOf(err) != protocol.ProjectDisabled || strings.Count(err.Error(), "162") != 1 {
		t.Errorf("error %v, want 162 once", err)
	}
	if n := s.Main.Stats.Accepted.Load() - connections; n != 1 {
		t.Errorf("it was asked for %d times", n)
	}
	disable(false)
	mustSend(t, sp)
	if s.uses(1) != 7 {
		t.Errorf("%d scans counted, want 7", s.uses(1))
	}
}
