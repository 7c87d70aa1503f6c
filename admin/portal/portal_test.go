package portal

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"muster/admin"
)

// The first visit leads to the setup, as long as nobody has set the server up
// [OPS-2]; later ones to the login.
func TestFirstVisit(t *testing.T) {
	b := newBed(t)
	v := b.visitor()
	if g := v.get("/"); g.status != http.StatusSeeOther || g.header.Get("Location") != "./setup" {
		t.Fatalf("%d to %q", g.status, g.header.Get("Location"))
	}
	v.page("/setup").has("Setup code", "admin")
	g := v.post("/setup", "code", "wrong", "password", password, "again", password)
	if g.status != http.StatusForbidden {
		t.Errorf("a wrong code: %d", g.status)
	}
	g.has("That is not the setup code", `value="wrong"`)
	g.lacks(password)
	b.now = b.now.Add(2e9) // the wait after a wrong code
	g = v.post("/setup", "code", "open-sesame", "password", password, "again", "another")
	g.has("The two passwords differ")
	g = v.post("/setup", "code", "open-sesame", "password", "short", "again", "short")
	g.has("10 to 256 characters", `id="setup-password-error"`)
	g = v.post("/setup", "code", "open-sesame", "password", "", "again", "")
	g.has("Choose a password")
	v.done("/setup", "code", "open-sesame", "password", password, "again", password).has("Getting started", b.identity.UUID().String())
	if g := b.visitor().get("/"); g.header.Get("Location") != "./login" {
		t.Errorf("a stranger is sent to %q", g.header.Get("Location"))
	}
	if g := b.visitor().get("/setup"); g.header.Get("Location") != "./login" {
		t.Errorf("setup sends to %q", g.header.Get("Location"))
	}
}

func TestLogin(t *testing.T) {
	b := newBed(t)
	b.setupCode = ""
	b.as(admin.RoleAdmin)
	v := b.visitor()
	if g := v.get("/audit?before=9"); g.header.Get("Location") != "./login?next=audit%3Fbefore%3D9" {
		t.Errorf("sent to %q", g.header.Get("Location"))
	}
	g := v.post("/login", "name", "admin", "password", "wrong wrong", "next", "audit")
	if g.status != http.StatusForbidden {
		t.Errorf("wrong password: %d", g.status)
	}
	g.has("That is not the name and password", `value="admin"`, `value="audit"`)
	if g := v.post("/login", "name", "admin", "password", password, "next", "audit?before=9"); g.header.Get("Location") != "./audit?before=9" {
		t.Errorf("login leads to %q", g.header.Get("Location"))
	}
	v.page("/").has("admin")
	if g := v.post("/logout"); g.header.Get("Location") != "./login" {
		t.Errorf("logout leads to %q", g.header.Get("Location"))
	}
	if g := v.get("/"); g.status != http.StatusSeeOther {
		t.Errorf("after the logout: %d", g.status)
	}
}

// A login leads to our own pages alone.
func TestNextPage(t *testing.T) {
	for next, want := range map[string]string{
		"items?show=all": "items?show=all", "": "", "//evil.example": "", "https://evil.example/": "", "/items": "",
		`\\evil.example`: "", "javascript:alert(1)": "", "items\r\nSet-Cookie: a=b": "",
	} {
		if got := nextPage(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}

// A script that asks for a part of a page when the session is over goes to the
// login with the whole page.
func TestSessionIsOverForScripts(t *testing.T) {
	b := newBed(t)
	b.setupCode = ""
	r := httptest.NewRequest(http.MethodGet, "http://10.0.0.5/items", nil)
	r.Header.Set("HX-Request", "true")
	if g := b.visitor().send(r); g.header.Get("HX-Redirect") != "login?next=items" {
		t.Errorf("HX-Redirect %q", g.header.Get("HX-Redirect"))
	}
}

// A link from another site comes without the session; the page asks again.
func TestLinkFromElsewhere(t *testing.T) {
	b := newBed(t)
	b.setupCode = ""
	r := httptest.NewRequest(http.MethodGet, "http://10.0.0.5/items", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	b.visitor().send(r).has(`http-equiv="refresh"`)
}

// The walls of the API stand before the portal.
func TestWalls(t *testing.T) {
	b := newBed(t)
	r := httptest.NewRequest(http.MethodGet, "http://evil.example/login", nil)
	if g := b.visitor().send(r); g.status != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d", g.status)
	}
	r = httptest.NewRequest(http.MethodPost, "http://10.0.0.5/login", strings.NewReader("name=admin"))
	r.Header.Set("Origin", "http://evil.example")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if g := b.visitor().send(r); g.status != http.StatusForbidden {
		t.Errorf("another origin: %d", g.status)
	}
	g := b.visitor().page("/login")
	if got := g.header.Get("Content-Security-Policy"); got != policy {
		t.Errorf("policy %q", got)
	}
	if got := g.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	g.lacks("style=", "<style", "onclick=", "javascript:")
}

func TestStarting(t *testing.T) {
	b := newBed(t)
	b.recovering = true
	v := b.visitor()
	v.cookies[admin.SessionCookie] = "of-a-session-before"
	g := v.get("/items")
	if g.status != http.StatusServiceUnavailable || g.header.Get("Retry-After") == "" {
		t.Errorf("%d", g.status)
	}
	g.has("tries again by itself", `http-equiv="refresh"`)
}

func TestNoSuchPage(t *testing.T) {
	b := newBed(t)
	v := b.as(admin.RoleViewer)
	g := v.get("/nothing/here")
	if g.status != http.StatusNotFound {
		t.Errorf("%d", g.status)
	}
	g.has("There is no such page", `<base href="../">`)
}

func TestAssets(t *testing.T) {
	b := newBed(t)
	v := b.visitor()
	for name, contentType := range map[string]string{
		"app.js": "text/javascript; charset=utf-8", "app.css": "text/css; charset=utf-8", "kept/inter.woff2": "font/woff2",
		"mark.svg": "image/svg+xml", "kept/htmx.LICENSE.txt": "text/plain; charset=utf-8",
	} {
		g := v.page("/" + kept().address(name))
		if got := g.header.Get("Content-Type"); got != contentType {
			t.Errorf("%s: Content-Type %q", name, got)
		}
		if !strings.Contains(g.header.Get("Cache-Control"), "immutable") || len(g.body) == 0 {
			t.Errorf("%s: Cache-Control %q, %d bytes", name, g.header.Get("Cache-Control"), len(g.body))
		}
		r := httptest.NewRequest(http.MethodGet, "http://10.0.0.5/"+kept().address(name), nil)
		r.Header.Set("Accept-Encoding", "gzip")
		if small := v.send(r); !strings.HasSuffix(name, ".woff2") && (small.header.Get("Content-Encoding") != "gzip" || len(small.body) >= len(g.body)) && name != "mark.svg" {
			t.Errorf("%s: not compressed", name)
		}
	}
	for _, path := range []string{"/static/0123456789ab/app.js", "/" + kept().address("nothing.js"), "/" + kept().address("../portal.go")} {
		if g := v.get(path); g.status == http.StatusOK {
			t.Errorf("%s: %d", path, g.status)
		}
	}
}
