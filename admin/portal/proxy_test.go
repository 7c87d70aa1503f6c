package portal

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"muster/admin"
)

var addresses = regexp.MustCompile(`(?:href|src|action|hx-get)="([^"#]*)`)

// Below a path of a reverse proxy, which takes the path away, every address of
// every page leads to below that path.
func TestBelowAPath(t *testing.T) {
	b, project := stocked(t)
	v := b.as(admin.RoleAdmin)
	for _, path := range append(pagesOf(project), adminPages...) {
		g := v.page(path)
		page, err := url.Parse("https://host/dls" + path)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(g.body, `<base href="`)
		root, rest, _ := strings.Cut(rest, `"`)
		base, err := page.Parse(root)
		if err != nil || base.String() != "https://host/dls/" {
			t.Fatalf("%s: base %q leads to %v", path, root, base)
		}
		for _, m := range addresses.FindAllStringSubmatch(rest, -1) {
			to, err := base.Parse(strings.ReplaceAll(m[1], "&amp;", "&"))
			if err != nil || !strings.HasPrefix(to.String(), "https://host/dls/") {
				t.Errorf("%s: %q leads to %v %v", path, m[1], to, err)
			}
		}
	}
	g := v.post("/projects/"+project+"/name", "name", "n")
	if to := g.header.Get("Location"); to != "../../projects/"+project {
		t.Errorf("a change leads to %q", to)
	}
}

// The session's cookie goes to the path of the portal alone.
func TestCookieBelowAPath(t *testing.T) {
	b := newBed(t)
	b.as(admin.RoleAdmin)
	for given, want := range map[string]string{"/dls": "/dls/", "/a/b/": "/a/b/", "": "/", "/dls; Domain=evil": "/", "//evil": "/"} {
		r := httptest.NewRequest(http.MethodPost, "http://10.0.0.5/login", strings.NewReader("name=admin&password="+url.QueryEscape(password)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Forwarded-Prefix", given)
		r.Header.Set("X-Forwarded-Proto", "https")
		w := httptest.NewRecorder()
		b.portal.ServeHTTP(w, r)
		cookie := w.Result().Cookies()[0]
		if cookie.Path != want || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode {
			t.Errorf("%q: %v", given, cookie)
		}
	}
}
