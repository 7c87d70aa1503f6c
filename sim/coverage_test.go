package sim_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"muster/protocol"
)

// TestEveryCodeIsAnswered: each code that the protocol knows is the answer to
// something in a scenario.
func TestEveryCodeIsAnswered(t *testing.T) {
	answered := map[string]bool{}
	for _, list := range scenarioFiles(t) {
		collectRefusals(list, answered)
	}
	known := 0
	for code := protocol.Code(1); code < 1000; code++ {
		if strings.HasSuffix(code.String(), "unknown code") {
			continue
		}
		known++
		if !answered[fmt.Sprint(uint16(code))] {
			t.Errorf("no scenario is answered %v", code)
		}
	}
	if known < 20 {
		t.Errorf("only %d codes are known: are their names still found by String?", known)
	}
}

func collectRefusals(list []statement, into map[string]bool) {
	for _, s := range list {
		if words := strings.Fields(s.want); len(words) > 1 && words[0] == "refused" {
			into[words[1]] = true
		}
		collectRefusals(s.block, into)
	}
}

// rules are the names of the licensing rules, with how many each family has.
var rules = map[string]int{
	"SRV": 2, "FILE": 5, "IMP": 1, "PRJ": 7, "SCAN": 2, "PAGE": 1, "DEV": 5, "CDEV": 3, "SRVR": 1, "DOM": 1, "INST": 3,
	"EXH": 3, "GRANT": 1, "SLOT": 1, "CLI": 9, "ERR": 1,
}

var ruleName = regexp.MustCompile(`\[([A-Z]+-\d+)\]`)

// TestEveryRuleIsTested: the name of each rule stands in a test or scenario.
func TestEveryRuleIsTested(t *testing.T) {
	cited, err := citedRules("..")
	if err != nil {
		t.Fatal(err)
	}
	for family, count := range rules {
		for n := 1; n <= count; n++ {
			if rule := fmt.Sprintf("%s-%d", family, n); !cited[rule] {
				t.Errorf("no test names rule %s", rule)
			}
		}
	}
}

// citedRules looks through the tests, scripts and scenarios of the repository.
func citedRules(root string) (map[string]bool, error) {
	cited := map[string]bool{}
	scenarios := filepath.Join(root, "sim", "testdata", "scenarios")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go") && filepath.Ext(path) != ".txtar" && filepath.Dir(path) != scenarios:
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range ruleName.FindAllSubmatch(text, -1) {
			cited[string(m[1])] = true
		}
		return err
	})
	return cited, err
}
