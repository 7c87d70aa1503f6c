package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// access is what a route answers to a valid request of each caller. ok stands for
// the route's own success.
type access struct {
	method, target                   string
	in                               body
	anonymous, metrics, reads, wrote int
	browser                          int // of an admin's session, where it is not as a token of write scope
}

const (
	ok      = http.StatusOK
	created = http.StatusCreated
	gone    = http.StatusNoContent
	who     = http.StatusUnauthorized
	not     = http.StatusForbidden

	conflict = http.StatusConflict
)

// accessTable has a line for every route; TestAccess checks that none is missing.
func (b *bed) accessTable(project string) []access {
	public, err := b.vendor.Public().MarshalText()
	if err != nil {
		b.t.Fatal(err)
	}
	device := "/api/v1/devices/" + b.seated(project, 7)
	return []access{
		{"GET", "/api/v1/openapi.json", noBody, ok, ok, ok, ok, 0},
		{"GET", "/healthz", noBody, ok, ok, ok, ok, 0},
		{"GET", "/readyz", noBody, ok, ok, ok, ok, 0},
		{"GET", "/metrics", noBody, who, ok, ok, ok, 0},
		{"GET", "/api/v1/setup", noBody, ok, ok, ok, ok, 0},
		{"POST", "/api/v1/setup", jsonBody(`{"code": "open-sesame"}`), created, created, created, created, 0},
		{"GET", "/api/v1/tokens", noBody, who, not, not, ok, 0},
		{"POST", "/api/v1/tokens", jsonBody(`{"name": "n", "scope": "read"}`), who, not, not, created, 0},
		{"DELETE", "/api/v1/tokens/1", noBody, who, not, not, gone, 0},
		{"GET", "/api/v1/server", noBody, who, not, ok, ok, 0},
		{"GET", "/api/v1/backup", noBody, who, not, not, ok, 0},
		{"PUT", "/api/v1/server/addresses", jsonBody(`{"addresses": []}`), who, not, not, ok, 0},
		{"POST", "/api/v1/server/clock", noBody, who, not, not, ok, 0},
		{"POST", "/api/v1/server/ticket-keys", jsonBody(`{"endSessions": false}`), who, not, not, ok, 0},
		{"GET", "/api/v1/vendor-keys", noBody, who, not, ok, ok, 0},
		{"POST", "/api/v1/vendor-keys", text(public), who, not, not, ok, 0},
		{"GET", "/api/v1/license-files", noBody, who, not, ok, ok, 0},
		{"POST", "/api/v1/license-files", text(b.licenseText("7007", "2001")), who, not, not, created, 0},
		{"POST", "/api/v1/license-file-preview", text(b.licenseText("7008", "2001")), who, not, not, ok, 0},
		{"GET", "/api/v1/license-files/1001", noBody, who, not, ok, ok, 0},
		{"GET", "/api/v1/license-files/1001/text", noBody, who, not, ok, ok, 0},
		{"GET", "/api/v1/items", noBody, who, not, ok, ok, 0},
		{"GET", "/api/v1/items/1001/scan", noBody, who, not, ok, ok, 0},
		{"GET", "/api/v1/projects", noBody, who, not, ok, ok, 0},
		{"POST", "/api/v1/projects", jsonBody(`{"name": "n"}`), who, not, not, created, 0},
		{"GET", "/api/v1/projects/" + project, noBody, who, not, ok, ok, 0},
		{"PATCH", "/api/v1/projects/" + project, jsonBody(`{"name": "n"}`), who, not, not, ok, 0},
		{"GET", "/api/v1/projects/" + project + "/key", noBody, who, not, not, ok, 0}, // it holds the password
		{"GET", device, noBody, who, not, ok, ok, 0},
		{"POST", device + "/block", noBody, who, not, not, ok, 0},
		{"POST", device + "/unblock", noBody, who, not, not, ok, 0},
		{"POST", device + "/clear-clone", noBody, who, not, not, ok, 0},
		{"POST", device + "/free-seat", jsonBody(`{"item": "1001/device-yearly"}`), who, not, not, ok, 0},
		{"GET", "/api/v1/devices", noBody, who, not, ok, ok, 0},
		{"GET", device + "/history", noBody, who, not, ok, ok, 0},
		{"GET", "/api/v1/statistics", noBody, who, not, ok, ok, 0},
		{"GET", "/api/v1/totals", noBody, who, not, ok, ok, 0},
		{"GET", "/api/v1/projects/" + project + "/records/reports", noBody, who, not, ok, ok, 0},
		{"GET", "/api/v1/alerts", noBody, who, not, ok, ok, 0},
		{"PUT", "/api/v1/alerts/thresholds", jsonBody(`{"seats": [50]}`), who, not, not, ok, 0},
		{"PUT", "/api/v1/alerts/webhook", jsonBody(`{"url": "http://127.0.0.1:1/", "secret": "sixteen letters!"}`), who, not, not, ok, 0},
		{"PUT", "/api/v1/alerts/portal", jsonBody(`{"url": "https://licenses.example.com"}`), who, not, not, ok, 0},
		{"POST", "/api/v1/alerts/check", noBody, who, not, not, ok, 0},
		{"POST", "/api/v1/alerts/test", noBody, who, not, not, ok, 0},
		{"DELETE", "/api/v1/alerts/webhook", noBody, who, not, not, gone, 0},
		{"PUT", "/api/v1/alerts/mail", jsonBody(`{"host": "127.0.0.1", "from": "a@example.com", "to": "b@example.com"}`), who, not, not, ok, 0},
		{"DELETE", "/api/v1/alerts/mail", noBody, who, not, not, gone, 0},
		{"GET", "/api/v1/alerts/messages", noBody, who, not, ok, ok, 0},
		{"GET", "/api/v1/events", noBody, who, not, ok, ok, 0},
		{"GET", "/api/v1/accounts", noBody, who, not, not, ok, 0},
		{"PUT", "/api/v1/accounts/new", jsonBody(`{"password": "correct horse"}`), who, not, not, created, 0},
		{"DELETE", "/api/v1/accounts/new", noBody, who, not, not, gone, 0},
		{"GET", "/api/v1/audit", noBody, who, not, ok, ok, 0},
		{"GET", "/api/v1/audit/export", noBody, who, not, ok, ok, 0},
		{"POST", "/api/v1/session", jsonBody(`{"name": "admin", "password": "correct horse"}`), created, created, created, created, 0},
		{"GET", "/api/v1/sessions", noBody, who, not, not, ok, 0},
		{"DELETE", "/api/v1/sessions/1", noBody, who, not, not, gone, 0},
		{"GET", "/api/v1/session", noBody, who, not, ok, ok, 0},
		{"PUT", "/api/v1/session/password", jsonBody(`{"old": "correct horse", "new": "battery staple"}`), who, not, conflict, conflict, ok},
		{"DELETE", "/api/v1/session", noBody, who, not, conflict, conflict, gone}, // last: it ends the caller's own
	}
}

// accessCaller is somebody who calls every route of the table.
type accessCaller struct {
	name   string
	token  func(b *bed) string // a bearer token
	cookie func(b *bed) string // a session, in its place
	status func(row access) int
}

func accessCallers() []accessCaller {
	token := func(scope Scope) func(*bed) string { return func(b *bed) string { return b.token(scope) } }
	session := func(name string) func(*bed) string {
		return func(b *bed) string { return b.session(name, "correct horse") }
	}
	browser := func(row access, otherwise int) int {
		if row.browser != 0 {
			return row.browser
		}
		return otherwise
	}
	return []accessCaller{
		{name: "nobody", status: func(row access) int { return row.anonymous }},
		{"a wrong token", func(b *bed) string { return b.token(ScopeMetrics) + "x" }, nil, func(row access) int { return max(row.anonymous, min(row.metrics, who)) }},
		{"a wrong session", nil, func(*bed) string { return "made-up" }, func(row access) int { return max(row.anonymous, min(row.metrics, who)) }},
		{"metrics", token(ScopeMetrics), nil, func(row access) int { return row.metrics }},
		{"read", token(ScopeRead), nil, func(row access) int { return row.reads }},
		{"write", token(ScopeWrite), nil, func(row access) int { return row.wrote }},
		{"viewer", nil, session("viewer"), func(row access) int { return browser(row, row.reads) }},
		{"admin", nil, session("admin"), func(row access) int { return browser(row, row.wrote) }},
	}
}

// Every route against every kind of caller, each on a server of its own.
func TestAccess(t *testing.T) { // [OPS-2]
	for _, caller := range accessCallers() {
		t.Run(caller.name, func(t *testing.T) {
			b := newBed(t)
			b.walk(&caller)
		})
	}
}

func (b *bed) walk(caller *accessCaller) {
	b.call(localToken, "PUT", "/api/v1/accounts/admin", jsonBody(`{"role": "admin", "password": "correct horse"}`), created, nil)
	b.call(localToken, "PUT", "/api/v1/accounts/viewer", jsonBody(`{"password": "correct horse"}`), created, nil)
	b.session("viewer", "correct horse") // number 1, which the table ends
	b.token(ScopeRead)                   // number 1, which the table revokes
	table := b.accessTable(b.imported())
	token, cookie := "", ""
	if caller.token != nil {
		token = caller.token(b)
	}
	if caller.cookie != nil {
		cookie = caller.cookie(b)
	}
	b.admin.EndEvents() // a stream of events has its first one, and is over
	seen := map[string]bool{}
	for _, row := range table {
		r := request(token, row.method, row.target, row.in)
		if cookie != "" {
			r.AddCookie(&http.Cookie{Name: SessionCookie, Value: cookie})
		}
		answer := b.send(r)
		if want := caller.status(row); answer.StatusCode != want {
			b.t.Errorf("%s %s: %d, want %d", row.method, row.target, answer.StatusCode, want)
		}
		if fresh := cookieOf(answer); fresh != "" && row.method == "PUT" { // a new password, a new session
			cookie = fresh
		}
		seen[b.pattern(r)] = true
	}
	for _, rt := range b.admin.routes() {
		if !seen[rt.method+" "+rt.path] {
			b.t.Errorf("%s %s has no line in the table", rt.method, rt.path)
		}
	}
}

// session logs in and returns the cookie.
func (b *bed) session(name, password string) string {
	b.t.Helper()
	answer := b.send(request("", "POST", "/api/v1/session", jsonBody(`{"name": %q, "password": %q}`, name, password)))
	if answer.StatusCode != created {
		b.t.Fatalf("login of %s: %d", name, answer.StatusCode)
	}
	return cookieOf(answer)
}

func cookieOf(answer *http.Response) string {
	for _, c := range answer.Cookies() {
		if c.Name == SessionCookie {
			return c.Value
		}
	}
	return ""
}

func TestUnauthorizedSaysHow(t *testing.T) {
	b := newBed(t)
	for _, header := range []string{"", "Bearer", "Bearer ", "Basic YTpi", "Bearer nonsense"} {
		r := request("", "GET", "/api/v1/items", noBody)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		answer := b.send(r)
		if answer.StatusCode != who || !strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("Authorization %q: %d, WWW-Authenticate %q", header, answer.StatusCode, answer.Header.Get("WWW-Authenticate"))
		}
	}
}

// Without a token of the machine, the empty token must not be one.
func TestNoLocalToken(t *testing.T) {
	b := newBed(t)
	c := b.config()
	c.LocalToken = ""
	b.handler = New(c).Handler()
	r := request("", "GET", "/api/v1/items", noBody)
	r.Header.Set("Authorization", "Bearer  ")
	if answer := b.send(r); answer.StatusCode != who {
		t.Errorf("an empty token: %d", answer.StatusCode)
	}
}

// A name that was made to point here (DNS rebinding) is not ours.
func TestHost(t *testing.T) {
	b := newBed(t)
	for host, status := range map[string]int{
		"localhost": ok, "localhost:48080": ok, "LOCALHOST": ok, "muster.localhost:1": ok, "127.0.0.1:48080": ok, "[::1]:48080": ok,
		"[::1]": ok, "10.0.0.5": ok, "licenses.example.com": ok, "Licenses.Example.Com:443": ok,
		"evil.example": 421, "localhost.evil.example": 421, "notlocalhost": 421, "10.0.0.5.evil.example:80": 421, "": 421,
	} {
		r := request("", "GET", "/healthz", noBody)
		r.Host = host
		if answer := b.send(r); answer.StatusCode != status {
			t.Errorf("Host %q: %d, want %d", host, answer.StatusCode, status)
		}
	}
	r := request(localToken, "GET", "/api/v1/items", noBody)
	r.Host = "evil.example"
	if p := b.problem(r); p.Kind() != "unknown-host" {
		t.Errorf("problem %+v", p)
	}
}

// People who come by a name that is not ours, or from another site, read what to
// do; programs get the problem.
func TestWallPage(t *testing.T) {
	b := newBed(t)
	for _, c := range []struct {
		host, origin string
		status       int
		texts        []string
	}{
		{"evil.example:48080", "", 421, []string{"<h1>Unknown host</h1>", "is not known as &#34;evil.example&#34;", "--admin-host evil.example</p>"}},
		{"<script>alert(1)</script>", "", 421, []string{"&lt;script&gt;"}},
		{"10.0.0.5", "https://evil.example", 403, []string{"<h1>Cross origin</h1>", "may not change anything here", "behind a proxy"}},
	} {
		r := request("", "POST", "/login", noBody)
		r.Host = c.host
		r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		page := w.Body.String()
		if w.Code != c.status || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || strings.Contains(page, "<script") || w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("Host %q: %d %v %s", c.host, w.Code, w.Header(), page)
		}
		for _, text := range c.texts {
			if !strings.Contains(page, text) {
				t.Errorf("Host %q: %q is missing in %s", c.host, text, page)
			}
		}
		r.Header.Set("Accept", "*/*")
		if p := b.problem(r); p.Status != c.status {
			t.Errorf("Host %q, to a program: %+v", c.host, p)
		}
	}
}

func TestCrossOrigin(t *testing.T) {
	b := newBed(t)
	for _, c := range []struct {
		header, value, method string
		status                int
	}{
		{"Sec-Fetch-Site", "cross-site", "POST", not},
		{"Sec-Fetch-Site", "same-site", "POST", not},
		{"Origin", "https://evil.example", "POST", not},
		{"Sec-Fetch-Site", "same-origin", "POST", created},
		{"Origin", "http://10.0.0.5:48080", "POST", created},
		{"Sec-Fetch-Site", "cross-site", "GET", ok},
	} {
		r := request(localToken, c.method, "/api/v1/tokens", jsonBody(`{"name": "n", "scope": "read"}`))
		r.Header.Set(c.header, c.value)
		if answer := b.send(r); answer.StatusCode != c.status {
			t.Errorf("%s with %s %s: %d, want %d", c.method, c.header, c.value, answer.StatusCode, c.status)
		}
	}
}

func TestHeaders(t *testing.T) {
	b := newBed(t)
	for _, target := range []string{"/", "/api/v1/items", "/metrics", "/nowhere"} {
		h := b.send(request(localToken, "GET", target, noBody)).Header
		for name, value := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if h.Get(name) != value {
				t.Errorf("%s: %s is %q, want %q", target, name, h.Get(name), value)
			}
		}
	}
}

// Metrics are open to this machine, but not to whom a proxy on it forwards.
func TestMetricsLoopback(t *testing.T) {
	b := newBed(t)
	for _, c := range []struct {
		remote, header string
		status         int
	}{
		{"127.0.0.1:1", "", ok}, {"[::1]:1", "", ok}, {"[::ffff:127.0.0.1]:1", "", ok}, {"10.0.0.77:1", "", who},
		{"127.0.0.1:1", "X-Forwarded-For", who}, {"127.0.0.1:1", "Forwarded", who}, {"127.0.0.1:1", "Authorization", who},
	} {
		r := request("", "GET", "/metrics", noBody)
		r.RemoteAddr = c.remote
		if c.header != "" {
			r.Header.Set(c.header, "Bearer wrong")
		}
		if answer := b.send(r); answer.StatusCode != c.status {
			t.Errorf("from %s with %q: %d, want %d", c.remote, c.header, answer.StatusCode, c.status)
		}
	}
}
