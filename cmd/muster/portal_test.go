package main

import (
	"strings"
	"testing"
)

// The first visit, with the code that the server wrote at its first start
// [OPS-2].
func TestPortalFirstVisit(t *testing.T) {
	w := newWorld(t)
	code, err := secretFile(w.p.path(setupFile))
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, w)
	b.open("")
	b.sees("You are the first one here")
	b.fill("#setup-code", strings.ToUpper(code))
	b.fill("#setup-password", showcasePassword)
	b.fill("#setup-again", showcasePassword)
	b.expect("403", func() { // a wrong code is an answer of status 403, which the console notes
		b.click("form[action=setup] button")
		b.sees("that is not the setup code")
	})
	if focus := eval[string](b, "document.activeElement.className"); !strings.Contains(focus, "refused") {
		t.Errorf("the focus is on %q, not on what was wrong", focus)
	}
	b.fill("#setup-code", code)
	b.fill("#setup-password", showcasePassword)
	b.fill("#setup-again", showcasePassword)
	b.holds(`performance.now() > 1100`) // the wait after a wrong code
	b.click("form[action=setup] button")
	b.sees("Getting started")
	b.sees(w.p.identity.Public.UUID().String())
	b.click("button[aria-label='Log out']")
	b.sees("Log in")
}
