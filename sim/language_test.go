package sim_test

import (
	"os"
	"strings"
	"testing"

	"muster/sim"
)

const small = `
license 1
  item scans
    Quota: 10
import 1 to new project Warehouse
`

// TestWrongScenarios: what does not come out as it is written is found, and the
// error names file and line.
func TestWrongScenarios(t *testing.T) {
	for text, want := range map[string]string{
		"device A flies": `wrong.txt:6: "device A flies" is no statement`,
		"repeat 2 times\n   at 2026-11-24\n  at 2026-11-25":              `wrong.txt:8: the indentation fits no block`,
		"repeat 2 times\n\tafter 1d":                                     `wrong.txt:7: indent with blanks`,
		"after 3 days":                                                   `wrong.txt:6: "after 3 days" is no statement`,
		"after 3x":                                                       `wrong.txt:6: time: unknown unit`,
		"license 2\n  item i\n    Quota 5":                               `wrong.txt:8: "Quota 5": expected "Name: value"`,
		"license 2\n  item i\n    Quota: many":                           `"many" is not a whole number`,
		"import 2":                                                       `wrong.txt:6: no license 2 was written`,
		"import 1 -> updated":                                            `wrong.txt:6: unchanged, expected updated`,
		`import 1 revision 1 -> fails "older"`:                           `wrong.txt:6: succeeds, expected to fail with "older"`,
		`import 1 to project Lab -> granted scans`:                       `expected nothing, or fails "words"`,
		"project Lab\n  disabled":                                        `wrong.txt:6: there is no project "Lab"`,
		"project Warehouse\n  colour blue":                               `wrong.txt:7: "colour blue" is not understood`,
		"device A checks in for DBR freely":                              `"freely" is not understood`,
		"device A checks in for DBR -> refused 120":                      `wrong.txt:6: answered "granted 1/scans until 2026-11-30 12:01:00", expected "refused 120"`,
		"device A checks in for DBR -> granted pages":                    `item "1/scans" is not "pages"`,
		"device A checks in for DBR -> granted scans for 6d":             `until `,
		"device A checks in for DBR -> granted scans in grace":           `flags 0 is not 1`,
		"device A checks in for P -> refused 107":                        `code 106 is not 107`,
		"device A reports 1":                                             `answered "no stream", expected ""`,
		"device A reports one":                                           `"one" is not understood`,
		"devices A1 to A2 check in for P":                                `wrong.txt:6: A1: answered "refused 106`,
		"repeat 2 times\n  expect item scans uses 1":                     `wrong.txt:7: uses 0 is not 1`,
		"expect item pages uses 1":                                       `there is no item "pages"`,
		"expect item scans state expired":                                `state active is not expired`,
		"expect item scans today colours 1":                              `"colours 1" is not understood`,
		"expect latest denials of Warehouse\n  A 106":                    `there are 0, expected 1`,
		"the server is starting":                                         `belongs below "on the real server"`,
		"device A checks in for DBR with 1D -> granted scans for 7d, 1D": `"1D" is not understood`,
	} {
		if err := playText(t, small+text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
}

// TestPackageExample plays the scenario of the package comment.
func TestPackageExample(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(doc), "A scenario:\n//\n")
	example, _, found := strings.Cut(example, "//\n// A statement")
	if !found {
		t.Fatal("the package comment has no example any more")
	}
	if err := playText(t, strings.ReplaceAll(example, "//\t", "")); err != nil {
		t.Error(err)
	}
}

// playText plays a scenario on the core.
func playText(t *testing.T, text string) error {
	list, err := parse("wrong.txt", text)
	if err != nil {
		return err
	}
	acme, err := sim.NewVendor("Acme")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := acme.Ring()
	if err != nil {
		t.Fatal(err)
	}
	w, err := newCoreWorld(ring, start)
	if err != nil {
		t.Fatal(err)
	}
	return newRunner(w, start, acme).run(list)
}
