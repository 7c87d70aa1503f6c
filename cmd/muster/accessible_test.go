package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// pages are all pages of the portal that a viewer may see, named from its root.
func (s *showcase) pages() []string {
	return []string{
		"", "items", "items/100001/readers", "projects", "projects/" + s.projects[0], "statistics", "statistics?measure=concurrency&item=100001/floor",
		"statistics/day?project=" + s.projects[0], "devices", "devices/" + s.device1, "alerts", "audit", "security",
	}
}

// violation is what axe-core finds against a rule.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

// No page has a serious or critical violation of the rules of axe-core, light or
// dark, on a large screen or a phone's.
func TestPortalIsAccessible(t *testing.T) {
	axe, err := os.ReadFile(filepath.Join("testdata", "axe", "axe.js"))
	if err != nil {
		t.Fatal(err)
	}
	s := newShowcase(t)
	b := newBrowser(t, s.world)
	b.open("login")
	b.check(string(axe), "login")
	b.logIn("admin", showcasePassword)
	pages := append(s.pages(), "items/import")
	for _, theme := range []string{"light", "dark"} {
		b.theme(theme)
		for _, path := range pages {
			b.open(path)
			b.check(string(axe), path+" ("+theme+")")
		}
	}
	b.do(chromedp.EmulateViewport(390, 844))
	for _, path := range pages {
		b.open(path)
		if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("%s is %d pixels wider than a phone: %s", path, over, eval[string](b, `[...document.querySelectorAll("main *")].filter((e) =>
				e.getBoundingClientRect().right > innerWidth && !e.closest(".table-responsive")).map((e) => e.outerHTML.slice(0, 80)).join("\n")`))
		}
	}
	b.check(string(axe), "on a phone")
	b.click("[data-menu]")
	b.holds(`document.querySelector(".side-nav a").offsetParent !== null`)
}

// check runs axe-core in the page. The script stands in no file of the server, so
// the page's policy, which would keep it out, is gone around by the debugger.
func (b *browser) check(axe, what string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](axe + "; undefined"))
	text := eval[string](b, `axe.run(document, {resultTypes: ["violations"]}).then((result) => JSON.stringify(result.violations))`)
	var found []violation
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range found {
		if v.Impact == "serious" || v.Impact == "critical" {
			n := v.Nodes[0]
			b.t.Errorf("%s: %s (%s), %d times, first at %s: %s", what, v.Help, v.ID, len(v.Nodes), n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", " "))
		}
	}
}
