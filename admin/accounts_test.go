package admin

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"muster/engine"
)

const (
	accounts = "/api/v1/accounts"
	session  = "/api/v1/session"
	sessions = "/api/v1/sessions"
)

// browse makes a request with a session's cookie.
func browse(cookie, method, target string, in body) *http.Request {
	r := request("", method, target, in)
	r.AddCookie(&http.Cookie{Name: SessionCookie, Value: cookie})
	return r
}

// status sends a request and returns the status of its answer.
func (b *bed) status(r *http.Request) int { return b.send(r).StatusCode }

// The first visit sets the admin's password with the setup code, and is logged in.
func TestFirstVisit(t *testing.T) { // [OPS-2]
	b := newBed(t)
	setup := func(code, password string) *http.Response {
		return b.send(request("", "POST", "/api/v1/setup", jsonBody(`{"code": %q, "password": %q}`, code, password)))
	}
	if answer := setup("open-sesame", "short"); answer.StatusCode != 422 {
		t.Errorf("a short password: %d", answer.StatusCode)
	}
	answer := setup("open-sesame", "correct horse")
	if answer.StatusCode != created {
		t.Fatalf("status %d", answer.StatusCode)
	}
	if got := b.status(browse(cookieOf(answer), "POST", tokens, jsonBody(`{"name": "n", "scope": "read"}`))); got != created {
		t.Errorf("the first session may not make a token: %d", got)
	}
	if answer := setup("open-sesame", "battery staple"); answer.StatusCode != 409 {
		t.Errorf("the code a second time: %d", answer.StatusCode)
	}
	b.session("admin", "correct horse")
}

func TestFirstVisitThatCantFinish(t *testing.T) { // [OPS-2]
	b := newBed(t)
	b.setupFails = fmt.Errorf("read-only file system")
	if got := b.status(request("", "POST", "/api/v1/setup", jsonBody(`{"code": "open-sesame", "password": "correct horse"}`))); got != 500 {
		t.Errorf("status %d", got)
	}
	b.refused("", "POST", session, jsonBody(`{"name": "admin", "password": "correct horse"}`), 403, "wrong-login")
}

func TestSessionCookie(t *testing.T) {
	b := newBed(t)
	b.call(localToken, "PUT", accounts+"/admin", jsonBody(`{"role": "admin", "password": "correct horse"}`), created, nil)
	for _, secure := range []bool{false, true} {
		r := request("", "POST", session, jsonBody(`{"name": "admin", "password": "correct horse"}`))
		if secure {
			r.Header.Set("X-Forwarded-Proto", "https")
		}
		c := b.send(r).Cookies()[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure != secure || c.MaxAge != 12*3600 || c.Path != "/" {
			t.Errorf("secure %v: cookie %v", secure, c)
		}
	}
}

// A session lasts twelve hours, and ends by logout, by the admin, and with its
// account's password, role or existence.
func TestSessionEnds(t *testing.T) {
	b := newBed(t)
	b.call(localToken, "PUT", accounts+"/admin", jsonBody(`{"role": "admin", "password": "correct horse"}`), created, nil)
	for name, end := range map[string]func(cookie string, id uint32){
		"time":   func(string, uint32) { b.now = b.now.Add(12 * time.Hour) },
		"logout": func(cookie string, _ uint32) { b.send(browse(cookie, "DELETE", session, noBody)) },
		"by the admin": func(_ string, id uint32) {
			b.call(localToken, "DELETE", fmt.Sprint(sessions, "/", id), noBody, gone, nil)
		},
		"new password": func(string, uint32) {
			b.call(localToken, "PUT", accounts+"/viewer", jsonBody(`{"password": "battery staple"}`), ok, nil)
		},
		"new role": func(string, uint32) {
			b.call(localToken, "PUT", accounts+"/viewer", jsonBody(`{"role": "admin"}`), ok, nil)
		},
		"no account": func(string, uint32) { b.call(localToken, "DELETE", accounts+"/viewer", noBody, gone, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			b.call(localToken, "PUT", accounts+"/viewer", jsonBody(`{"role": "viewer", "password": "correct horse"}`), b.either(accounts+"/viewer"), nil)
			cookie := b.session("viewer", "correct horse")
			var view Session
			b.answer(browse(cookie, "GET", session, noBody), &view)
			if view.Account != "viewer" || view.Scope != ScopeRead {
				t.Fatalf("session %+v", view)
			}
			end(cookie, view.ID)
			if got := b.status(browse(cookie, "GET", "/api/v1/items", noBody)); got != who {
				t.Errorf("after its end: %d", got)
			}
		})
	}
}

// either is the status of a PUT that makes an account or changes it.
func (b *bed) either(target string) int {
	var list AccountList
	b.call(localToken, "GET", accounts, noBody, ok, &list)
	for _, a := range list.Accounts {
		if accounts+"/"+a.Name == target {
			return ok
		}
	}
	return created
}

// After three failed logins a source waits, another one does not.
func TestLoginBackOff(t *testing.T) {
	b := newBed(t)
	b.call(localToken, "PUT", accounts+"/admin", jsonBody(`{"role": "admin", "password": "correct horse"}`), created, nil)
	wrong, right := jsonBody(`{"name": "admin", "password": "guess"}`), jsonBody(`{"name": "admin", "password": "correct horse"}`)
	for _, name := range []string{"admin", "nobody"} {
		b.refused("", "POST", session, jsonBody(`{"name": %q, "password": "guess"}`, name), 403, "wrong-login")
	}
	for _, wait := range []time.Duration{1, 2, 4, 8} {
		b.refused("", "POST", session, wrong, 403, "wrong-login")
		b.now = b.now.Add(wait*time.Second - time.Millisecond)
		b.refused("", "POST", session, right, 429, "too-many-attempts")
		other := request("", "POST", session, right)
		other.RemoteAddr = "10.0.0.78:5555"
		if got := b.status(other); got != created {
			t.Errorf("another source: %d", got)
		}
		b.now = b.now.Add(time.Millisecond)
	}
	b.call("", "POST", session, right, created, nil)
	b.refused("", "POST", session, wrong, 403, "wrong-login") // counted anew
	b.call("", "POST", session, right, created, nil)
}

// However many sources fail, what is remembered of them is bounded.
func TestLoginGuardIsBounded(t *testing.T) {
	var g loginGuard
	for i := range 3 * loginSourceMax {
		r := request("", "POST", session, noBody)
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.1:5", i/256, i%256)
		g.failed(r, int64(i))
	}
	if n := len(g.sources); n > loginSourceMax {
		t.Errorf("%d sources are remembered", n)
	}
}

func TestOwnPassword(t *testing.T) {
	b := newBed(t)
	b.call(localToken, "PUT", accounts+"/viewer", jsonBody(`{"password": "correct horse"}`), 409, nil) // no admin yet
	b.call(localToken, "PUT", accounts+"/admin", jsonBody(`{"role": "admin", "password": "correct horse"}`), created, nil)
	b.call(localToken, "PUT", accounts+"/viewer", jsonBody(`{"password": "correct horse"}`), created, nil)
	mine, other := b.session("viewer", "correct horse"), b.session("viewer", "correct horse")
	change := func(old, fresh string) *http.Response {
		return b.send(browse(mine, "PUT", session+"/password", jsonBody(`{"old": %q, "new": %q}`, old, fresh)))
	}
	if got := change("wrong one", "battery staple").StatusCode; got != 403 {
		t.Errorf("with a wrong password: %d", got)
	}
	if got := change("correct horse", "short").StatusCode; got != 422 {
		t.Errorf("to a short one: %d", got)
	}
	answer := change("correct horse", "battery staple")
	if answer.StatusCode != ok {
		t.Fatalf("status %d", answer.StatusCode)
	}
	for cookie, want := range map[string]int{mine: who, other: who, cookieOf(answer): ok} {
		if got := b.status(browse(cookie, "GET", session, noBody)); got != want {
			t.Errorf("a session after the change: %d, want %d", got, want)
		}
	}
	b.session("viewer", "battery staple")
}

func TestAccountRefused(t *testing.T) {
	b := newBed(t)
	b.call(localToken, "PUT", accounts+"/admin", jsonBody(`{"role": "admin", "password": "correct horse"}`), created, nil)
	for target, in := range map[string]string{
		"/Upper": `{"password": "correct horse"}`, "/-a": `{"password": "correct horse"}`, "/a%20b": `{"password": "correct horse"}`,
		"/new": `{"role": "viewer"}`, "/other": `{"role": "owner", "password": "correct horse"}`,
	} {
		b.refused(localToken, "PUT", accounts+target, jsonBody("%s", in), 422, "invalid")
	}
	b.refused(localToken, "PUT", accounts+"/new", jsonBody(`{"password": "too short"}`), 422, "weak-password")
	b.refused(localToken, "PUT", accounts+"/admin", jsonBody(`{"role": "viewer"}`), 409, "last-admin")
	b.refused(localToken, "DELETE", accounts+"/admin", noBody, 409, "last-admin")
	b.refused(localToken, "DELETE", accounts+"/nobody", noBody, 404, "not-found")
	b.refused(localToken, "DELETE", sessions+"/7", noBody, 404, "not-found")
	b.refused(localToken, "DELETE", sessions+"/x", noBody, 404, "not-found")
}

// Neither passwords nor sessions can be read from what is stored.
func TestSecretsAreStoredHashed(t *testing.T) {
	b := newBed(t)
	b.call(localToken, "PUT", accounts+"/admin", jsonBody(`{"role": "admin", "password": "correct horse"}`), created, nil)
	cookie := b.session("admin", "correct horse")
	err := b.Do(context.Background(), func(c *engine.Core) error {
		for _, kind := range []engine.ObjectKind{objectAccount, objectSession, objectAudit} {
			ids := c.ObjectIDs(kind)
			if len(ids) == 0 {
				t.Errorf("nothing of kind %d is stored", kind)
			}
			for _, id := range ids {
				data := c.Object(engine.ObjectKey{Kind: kind, ID: id})
				if bytes.Contains(data, []byte("correct horse")) || bytes.Contains(data, []byte(cookie)) {
					t.Errorf("a secret is in %s", data)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.log.String(), "correct horse") || strings.Contains(b.log.String(), cookie) {
		t.Error("a secret is in the log")
	}
}

func TestPasswordHash(t *testing.T) {
	phc := hashPassword("correct horse")
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") || !passwordMatches(phc, "correct horse") || passwordMatches(phc, "correct horsf") {
		t.Errorf("hash %s", phc)
	}
	if phc == hashPassword("correct horse") {
		t.Error("two hashes of a password are the same")
	}
	// of other parameters: the reference implementation's test vector
	if !passwordMatches("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password") {
		t.Error("the reference's hash does not match")
	}
	for _, bad := range []string{"", "$argon2id$", "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOg", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$"} {
		if passwordMatches(bad, "password") || passwordMatches(bad, "") {
			t.Errorf("%q matches", bad)
		}
	}
}

// Who is refused at the admin port is in the log: each cause and source once, with
// what to do.
func TestRefusalsAreLogged(t *testing.T) {
	b := newBed(t)
	b.call(localToken, "PUT", accounts+"/admin", jsonBody(`{"role": "admin", "password": "correct horse"}`), created, nil)
	b.log.Reset()
	for range 3 {
		b.refused("wrong-token", "GET", "/api/v1/items", noBody, who, "unauthorized")
		b.refused("", "GET", "/api/v1/items", noBody, who, "unauthorized") // nothing was tried
	}
	for range 2 {
		b.refused("", "POST", "/api/v1/session", jsonBody(`{"name": "admin", "password": "not this one"}`), not, "wrong-login")
	}
	b.refused("", "POST", "/api/v1/setup", jsonBody(`{"code": "guess"}`), not, "wrong-setup-code")
	r := request("", "GET", "/", noBody)
	r.Host = "evil.example"
	b.problem(r)
	for _, wanted := range []string{
		`level=WARN msg="an API token was refused: the token is not known here`,
		`level=WARN msg="failed login: if it was one of yours, \"muster reset-admin\"`,
		`level=WARN msg="wrong setup code: the right one is in the file`,
		`level=WARN msg="a request to the admin port was refused: this server is not known as \"evil.example\"`,
	} {
		if n := strings.Count(b.log.String(), wanted); n != 1 {
			t.Errorf("%d times %s in\n%s", n, wanted, b.log)
		}
	}
	if n := strings.Count(b.log.String(), "from=10.0.0.77/32"); n != 4 {
		t.Errorf("%d lines tell from where:\n%s", n, b.log)
	}
	if strings.Contains(b.log.String(), "wrong-token") || strings.Contains(b.log.String(), "not this one") || strings.Contains(b.log.String(), "guess") {
		t.Errorf("a secret is in the log:\n%s", b.log)
	}
}
