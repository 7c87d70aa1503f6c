package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"muster/admin"
	"muster/client"
	"muster/license"
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
	set := func(code string) {
		b.fill("#setup-code", code)
		b.fill("#setup-password", showcasePassword)
		b.fill("#setup-again", showcasePassword)
		b.click("form[action=setup] button")
	}
	b.expect("403", func() { // the console takes note of the status
		set(strings.ToUpper(code))
		b.sees("That is not the setup code")
	})
	if focus := eval[string](b, "document.activeElement.className"); !strings.Contains(focus, "refused") {
		t.Errorf("the focus is on %q, not on what was wrong", focus)
	}
	b.holds(`performance.now() > 1100`) // the wait after a wrong code
	set(code)
	b.sees("Getting started")
	b.sees(w.p.identity.Public.UUID().String())
	b.click("button[aria-label='Log out']")
	b.sees("Log in")
}

// An operator's way from a license file to an ordered project: import by drag and
// drop [IMP-1], the key copied [PRJ-3], the usage order by keyboard and by mouse
// [PRJ-6].
func TestPortalImportAndProject(t *testing.T) {
	w := newWorld(t)
	w.account("admin", admin.RoleAdmin)
	file := filepath.Join(t.TempDir(), "acme.lic")
	text := w.licenseFile("1001", "2001", 1, item("scans", "scan", "1000"), item("seats", "device-yearly", "50"), item("servers", "server", "3"))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, w)
	b.logIn("admin", showcasePassword)
	b.open("items")
	b.drop(file)
	b.sees("A new license")
	b.sees("1001/servers")
	b.fill("#target-name", "Dock 7")
	b.click("form[action='items/import/now'] button")
	b.sees("This project’s key opens its items.")

	var key admin.LicenseKey
	w.call(http.MethodGet, "projects/2001-100001/key", nil, &key)
	if shown := eval[string](b, `document.getElementById("license-key").textContent`); shown != key.LicenseKey {
		t.Errorf("the page shows the key %q, want %q", shown, key.LicenseKey)
	}
	eval[bool](b, `navigator.clipboard.writeText = async (text) => { window.copied = text; }, true`)
	b.click("button[aria-label='Copy the license key']")
	b.holds(fmt.Sprintf("window.copied === %q", key.LicenseKey))
	b.holds(`document.getElementById("said").textContent === "Copied"`)

	order := func(want ...string) {
		t.Helper()
		var p admin.Project
		for end := time.Now().Add(5 * time.Second); strings.Join(p.Items, " ") != strings.Join(want, " "); {
			if time.Now().After(end) {
				t.Fatalf("order %v, want %v", p.Items, want)
			}
			w.call(http.MethodGet, "projects/2001-100001", nil, &p)
		}
	}
	order("1001/servers", "1001/seats", "1001/scans")
	b.do(chromedp.Focus(chromedp.CSS("[id='up-1001/scans']")), chromedp.KeyEvent("\r"))
	b.sees("1001/scans is number 2 of 3 now.")
	order("1001/servers", "1001/scans", "1001/seats")
	b.holds(`document.activeElement.id === "up-1001/scans"`) // the keyboard goes on where it was
	b.do(chromedp.KeyEvent("\r"))
	b.sees("1001/scans is number 1 of 3 now.")
	order("1001/scans", "1001/servers", "1001/seats")
	b.do(chromedp.ScrollIntoView(chromedp.CSS("[data-order]")),
		chromedp.DragAndDrop(chromedp.CSS("[data-order] > li:nth-child(1) .grip"), chromedp.CSS("[data-order] > li:nth-child(3) .row-more")))
	b.sees("The usage order is set.")
	order("1001/servers", "1001/seats", "1001/scans")
}

// drop drops a file on the page.
func (b *browser) drop(path string) {
	b.t.Helper()
	data := &input.DragData{Items: []*input.DragDataItem{}, Files: []string{path}, DragOperationsMask: 1}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for _, kind := range []input.DispatchDragEventType{input.DispatchDragEventTypeDragEnter, input.DispatchDragEventTypeDragOver, input.DispatchDragEventTypeDrop} {
			if _, err := cdp.Call(ctx, t, input.DispatchDragEvent, input.DispatchDragEventParams{Type: kind, X: 640, Y: 400, Data: data}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// What devices reported is what the pages show, to the last scan [STAT-3]; home
// and items follow without being loaded again.
func TestPortalShowsWhatDevicesReport(t *testing.T) {
	w := newWorld(t)
	w.account("admin", admin.RoleAdmin)
	w.account("eyes", admin.RoleViewer)
	key := w.importItems(item("scans", "scan", "1000"))
	b := newBrowser(t, w)
	b.logIn("eyes", showcasePassword)
	b.sees("0 of 1,000 scans")
	c := w.client(key, client.State{})
	if _, err := c.CheckIn(t.Context(), client.Use{Product: "DBR", Version: 11, Modules: []string{"QR", "1D"}, ChargeWay: license.Scan}); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if err := c.Report(t.Context(), client.Count{Module: "QR", Count: 3}, client.Count{Module: "1D", Count: uint32(i)}); err != nil {
			t.Fatal(err)
		}
	}
	b.sees("900 of 1,000 scans") // 120 and 780
	b.sees("90 %")
	b.open("statistics?days=7")
	row := eval[string](b, `document.querySelector("#statistics-table tbody tr").innerText.replace(/\s+/g, " ")`)
	if want := time.Now().UTC().Format(time.DateOnly) + " 780 120 900"; row != want {
		t.Errorf("today is %q, want %q", row, want)
	}
	drawn := eval[string](b, `JSON.stringify(JSON.parse(document.querySelector("[data-chart]").dataset.chart).series.map((line) => [line.name, line.values.at(-1)]))`)
	if want := `[["1D",780],["QR",120]]`; drawn != want {
		t.Errorf("the chart has %s, want %s", drawn, want)
	}
	b.holds(`document.querySelector(".chart canvas").width > 0`)
	b.click("#days-all + span")
	b.sees("Ever")
	b.holds(`location.search.includes("days=all")`)
}

// Under TLS with the server's own certificate, trusted by its key: the session's
// cookie goes over TLS alone, and numbers are live there too.
func TestPortalTLS(t *testing.T) {
	w := newWorld(t)
	w.account("admin", admin.RoleAdmin)
	w.account("eyes", admin.RoleViewer)
	key := w.importItems(item("scans", "scan", "1000"))
	w.stop()
	w.config.AdminTLS = true
	w.start()
	b := newBrowser(t, w)
	b.logIn("eyes", showcasePassword)
	b.sees("0 of 1,000 scans")
	if at := eval[string](b, "location.protocol"); at != "https:" {
		t.Errorf("the portal is at %s", at)
	}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		got, err := cdp.Call(ctx, t, network.GetCookies, network.GetCookiesParams{})
		for _, c := range got.Cookies {
			if c.Name == admin.SessionCookie && c.Secure && c.HTTPOnly && c.SameSite == network.CookieSameSiteStrict {
				return err
			}
		}
		return fmt.Errorf("no secure session among %d cookies: %v", len(got.Cookies), err)
	}))
	c := w.client(key, client.State{})
	if _, err := c.CheckIn(t.Context(), client.Use{Product: "DBR", Version: 11, Modules: []string{"QR"}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Report(t.Context(), client.Count{Module: "QR", Count: 30}); err != nil {
		t.Fatal(err)
	}
	b.sees("30 of 1,000 scans")
}

// A viewer finds no control that changes something; a changed password is the one
// that lets in.
func TestPortalViewer(t *testing.T) {
	s := newShowcase(t)
	b := newBrowser(t, s.world)
	b.logIn("eyes", showcasePassword)
	for _, path := range s.pages() {
		b.open(path)
		if n := eval[int](b, `document.querySelectorAll("form[method=post]:not([action=logout]):not([action='security/password']), [draggable=true]").length`); n > 0 {
			t.Errorf("%s: %d controls", path, n)
		}
	}
	b.open("security")
	b.fill("#own-old", showcasePassword)
	b.fill("#own-new", "battery staple")
	b.fill("#own-again", "battery staple")
	b.click("form[action='security/password'] button")
	b.sees("Your password is changed.")
	b.click("button[aria-label='Log out']")
	b.sees("Log in")
	b.expect("403", func() {
		b.fill("#login-name", "eyes")
		b.fill("#login-password", showcasePassword)
		b.click("form[action=login] button")
		b.sees("That is not the name and password")
	})
	b.logIn("eyes", "battery staple")
	b.sees("Needs attention")
}
