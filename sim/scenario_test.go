package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/engine"
	"muster/license"
	"muster/sim"
)

// start is the time at which a scenario begins that does not say so: noon, in
// the middle of a slot.
var start = time.Date(2026, 11, 23, 12, 1, 0, 0, time.UTC)

// TestScenarios plays every scenario on the pure core and on a real server.
func TestScenarios(t *testing.T) {
	worlds := map[string]func(*testing.T, *license.KeyRing) (world, error){
		"core": func(_ *testing.T, ring *license.KeyRing) (world, error) { return newCoreWorld(ring, start) },
		"server": func(t *testing.T, ring *license.KeyRing) (world, error) {
			return newServerWorld(t.TempDir(), ring, start)
		},
	}
	for name, list := range scenarioFiles(t) {
		for world, open := range worlds {
			t.Run(world+"/"+name, func(t *testing.T) {
				t.Parallel()
				play(t, list, open)
			})
		}
	}
}

func play(t *testing.T, list []statement, open func(*testing.T, *license.KeyRing) (world, error)) {
	acme, err := sim.NewVendor("Acme")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := acme.Ring()
	if err != nil {
		t.Fatal(err)
	}
	w, err := open(t, ring)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	r := newRunner(w, start, acme)
	if err := r.run(list); err != nil {
		t.Fatal(err)
	}
	if err := r.sameAfterRestart(); err != nil {
		t.Error(err)
	}
}

// sameAfterRestart restarts the server at the end of a scenario: all that was
// counted and is held must be there.
func (r *runner) sameAfterRestart() error {
	before, err := r.counted()
	if err != nil {
		return err
	}
	if err := r.restartServer(0); err != nil {
		return err
	}
	after, err := r.counted()
	if diff := cmp.Diff(before, after); err == nil && diff != "" {
		err = fmt.Errorf("after a restart (-before, +after):\n%s", diff)
	}
	return err
}

// counted is what is counted of each item, of each project, and of both.
func (r *runner) counted() (map[string]string, error) {
	numbers := map[string]string{}
	err := r.world.do(func(c *engine.Core) error {
		for _, item := range c.Catalog().Items {
			if item == nil {
				continue
			}
			u := item.Usage
			numbers[item.Name()] = fmt.Sprint(u.Uses.Load(), u.Held.Load(), u.Authorizations.Load(), u.Reports.Load(), c.Totals(engine.Scope{Item: item.Ordinal}))
			for _, p := range c.Catalog().Projects[1:] {
				of := u.Of(p.Ordinal)
				numbers[item.Name()+" in "+p.ID] = fmt.Sprint(of.Uses.Load(), of.Held.Load(), c.Totals(engine.Scope{Project: p.Ordinal, Item: item.Ordinal}))
				numbers[p.ID] = fmt.Sprint(c.Totals(engine.Scope{Project: p.Ordinal}))
			}
		}
		return nil
	})
	return numbers, err
}
