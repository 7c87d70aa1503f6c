package admin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"muster/engine"
)

func (a *Admin) sessionRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/session", scope: ScopeRead, handle: a.showSession,
			doc: doc{"Show who is asking", nil, Session{}, []int{200}}},
		{method: "POST", path: "/api/v1/session", bodyMax: textMax, handle: a.logIn, doc: doc{"Log in: begin a session", Login{}, Session{}, []int{201}}},
		{method: "DELETE", path: "/api/v1/session", scope: ScopeRead, handle: a.logOut,
			doc: doc{"Log out: end the session", nil, nil, []int{204}}},
		{method: "PUT", path: "/api/v1/session/password", scope: ScopeRead, bodyMax: textMax, handle: a.changePassword,
			doc: doc{"Change one's own password", PasswordChange{}, Session{}, []int{200}}},
		{method: "GET", path: "/api/v1/sessions", scope: ScopeWrite, handle: a.listSessions,
			doc: doc{"List who is logged in", nil, SessionList{}, []int{200}}},
		{method: "DELETE", path: "/api/v1/sessions/{id}", scope: ScopeWrite, handle: a.endSession, doc: doc{"End a session", nil, nil, []int{204}}},
	}
}

const (
	// SessionCookie carries a session's secret.
	SessionCookie = "muster_session"
	// sessionLife is how long a session lasts, used or not.
	sessionLife = 12 * time.Hour
	// sessionsMax bounds the list that every request of a browser is compared
	// with; the oldest goes.
	sessionsMax = 500
)

// sessionObject is a session as it is stored: never its secret, only the hash.
type sessionObject struct {
	Account string `json:"account"`
	Hash    []byte `json:"hash"` // SHA-256 of the cookie, which holds 32 random bytes
	Created int64  `json:"created"`
	Expires int64  `json:"expires"`
}

// Session says who is logged in.
type Session struct {
	ID      uint32    `json:"id,omitempty"` // missing for a token
	Account string    `json:"account"`      // or the token's name
	Scope   Scope     `json:"scope"`
	Created time.Time `json:"created,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
}

// SessionList is the answer to GET sessions.
type SessionList struct {
	Sessions []Session `json:"sessions"`
}

// Login is what a session is begun with.
type Login struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// PasswordChange changes the caller's own password.
type PasswordChange struct {
	Old string `json:"old"`
	New string `json:"new"`
}

func (a *Admin) sessionView(s record[sessionObject], scope Scope) Session {
	return Session{ID: s.id, Account: s.v.Account, Scope: scope, Created: unixTime(s.v.Created), Expires: unixTime(s.v.Expires)}
}

func (a *Admin) showSession(w http.ResponseWriter, r *http.Request) error {
	who := callerOf(r)
	if who.session.id == 0 {
		return writeJSON(w, http.StatusOK, Session{Account: who.name, Scope: who.scope})
	}
	return writeJSON(w, http.StatusOK, a.sessionView(who.session, who.scope))
}

func (a *Admin) logIn(w http.ResponseWriter, r *http.Request) error {
	var in Login
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := a.logins.enter(w, r, a.Now()); err != nil {
		return err
	}
	account, ok, err := a.login(r.Context(), in.Name, in.Password)
	if err != nil {
		return err
	}
	if !ok {
		a.loginFailed(r)
		return refusal(http.StatusForbidden, "wrong-login", "that is not the name and password of an account; \"muster reset-admin\" on the server's machine sets a new password")
	}
	a.logins.passed(r)
	session, err := a.beginSession(w, r, &account)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, session)
}

// loginFailed makes the source wait, and tells of it.
func (a *Admin) loginFailed(r *http.Request) {
	a.logins.failed(r, a.Now())
	from := sourceOf(r).String()
	a.notices.Tell(slog.LevelWarn, "login "+from, 1, "failed login: if it was one of yours, \"muster reset-admin\" or \"muster account set\" sets a new password; if not, keep that network from the admin port", "from", from)
}

// beginSession makes a session and gives its secret to the browser.
func (a *Admin) beginSession(w http.ResponseWriter, r *http.Request, account *accountObject) (Session, error) {
	secret := newSecret("")
	hash := sha256.Sum256([]byte(secret))
	s := record[sessionObject]{v: sessionObject{Account: account.Name, Hash: hash[:]}}
	err := a.sessions.edit(r.Context(), a, func(c *engine.Core, before []record[sessionObject]) (err error) {
		s.v.Created = c.Now()
		s.v.Expires = s.v.Created + int64(sessionLife/time.Second)
		a.makeRoom(c, before)
		s.id, err = a.sessions.add(c, &s.v)
		return err
	})
	if err != nil {
		return Session{}, err
	}
	http.SetCookie(w, a.cookie(r, secret, int(sessionLife/time.Second)))
	return a.sessionView(s, roleScopes[account.Role]), nil
}

// makeRoom deletes sessions that are over, and the oldest when there are too many.
func (a *Admin) makeRoom(c *engine.Core, before []record[sessionObject]) {
	live := 0
	for i := len(before) - 1; i >= 0; i-- { // ids count up: the newest first
		if live++; before[i].v.Expires <= c.Now() || live >= sessionsMax {
			a.sessions.remove(c, before[i].id)
		}
	}
}

// prefix is what a proxy may say of the path below which it shows this server.
var prefix = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

// CookiePath is the path below which browsers know this server.
func CookiePath(r *http.Request) string {
	if p := strings.TrimSuffix(r.Header.Get("X-Forwarded-Prefix"), "/"); prefix.MatchString(p) {
		return p + "/"
	}
	return "/"
}

// cookie is a session's cookie; maxAge in seconds, negative deletes it. Behind a
// proxy that ends TLS, or shows other servers beside this one, the browser's side
// of it counts.
func (a *Admin) cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	secure := r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
	return &http.Cookie{
		Name: SessionCookie, Value: value, Path: CookiePath(r), MaxAge: maxAge,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode,
	}
}

// findSession is the session of a cookie with the account it is for.
func (a *Admin) findSession(ctx context.Context, secret string) (found record[sessionObject], account *accountObject, err error) {
	sessions, err := a.sessions.all(ctx, a)
	if err != nil {
		return found, nil, err
	}
	accounts, err := a.accounts.all(ctx, a)
	if err != nil {
		return found, nil, err
	}
	hash := sha256.Sum256([]byte(secret))
	for _, s := range sessions {
		if subtle.ConstantTimeCompare(s.v.Hash, hash[:]) == 1 && s.v.Expires > a.now() {
			if o := findAccount(accounts, s.v.Account); o != nil {
				found, account = s, &o.v
			}
		}
	}
	return found, account, nil
}

func (a *Admin) logOut(w http.ResponseWriter, r *http.Request) error {
	id := callerOf(r).session.id
	if id == 0 {
		return refusal(http.StatusConflict, "no-session", "a token has no session to end; revoke the token instead")
	}
	if err := a.removeSessions(r.Context(), func(s record[sessionObject]) bool { return s.id == id }); err != nil {
		return err
	}
	http.SetCookie(w, a.cookie(r, "", -1))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *Admin) listSessions(w http.ResponseWriter, r *http.Request) error {
	list, err := a.sessions.all(r.Context(), a)
	if err != nil {
		return err
	}
	accounts, err := a.accounts.all(r.Context(), a)
	if err != nil {
		return err
	}
	answer := SessionList{Sessions: []Session{}}
	for _, s := range list {
		if account := findAccount(accounts, s.v.Account); account != nil && s.v.Expires > a.now() {
			answer.Sessions = append(answer.Sessions, a.sessionView(s, roleScopes[account.v.Role]))
		}
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (a *Admin) endSession(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 32)
	found := false
	if err == nil {
		err = a.removeSessions(r.Context(), func(s record[sessionObject]) bool {
			found = found || s.id == uint32(id)
			return s.id == uint32(id)
		})
		if err != nil {
			return err
		}
	}
	if !found {
		return refusal(http.StatusNotFound, "not-found", "no session %q: it ended already, see the list of sessions", r.PathValue("id"))
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// endSessionsOf ends the sessions of an account.
func (a *Admin) endSessionsOf(ctx context.Context, account string) error {
	return a.removeSessions(ctx, func(s record[sessionObject]) bool { return s.v.Account == account })
}

func (a *Admin) removeSessions(ctx context.Context, which func(record[sessionObject]) bool) error {
	return a.sessions.edit(ctx, a, func(c *engine.Core, before []record[sessionObject]) error {
		for _, s := range before {
			if which(s) {
				a.sessions.remove(c, s.id)
			}
		}
		return nil
	})
}

func (a *Admin) changePassword(w http.ResponseWriter, r *http.Request) error {
	var in PasswordChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	who := callerOf(r)
	if who.session.id == 0 {
		return refusal(http.StatusConflict, "no-session", "a token has no password; accounts have, see PUT accounts")
	}
	if err := a.logins.enter(w, r, a.Now()); err != nil {
		return err
	}
	account, ok, err := a.login(r.Context(), who.name, in.Old)
	if err != nil {
		return err
	}
	if !ok {
		a.loginFailed(r)
		return refusedField(http.StatusForbidden, "wrong-password", "old", "that is not your present password")
	}
	a.logins.passed(r)
	if err := checkPassword(in.New, "new"); err != nil {
		return err
	}
	if _, _, err := a.putAccount(r, who.name, AccountChange{Password: in.New}); err != nil {
		return err
	}
	session, err := a.beginSession(w, r, &account) // in place of those that ended
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, session)
}

// loginGuard makes a source wait after failed logins: from the third on 1 s, then
// doubling up to loginWaitMax. It remembers a bounded number of sources.
type loginGuard struct {
	mu      sync.Mutex
	sources map[netip.Prefix]*loginFailures
}

type loginFailures struct {
	count int
	until int64 // unix nanoseconds; no login is looked at before
}

const (
	loginFree      = 3
	loginWaitMax   = 5 * time.Minute
	loginForget    = time.Hour
	loginSourceMax = 1024
)

// enter refuses a source that has to wait.
func (g *loginGuard) enter(w http.ResponseWriter, r *http.Request, now int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.sources[sourceOf(r)]
	if f == nil || f.until <= now {
		return nil
	}
	seconds := (f.until - now + 999_999_999) / 1e9
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	return refusal(http.StatusTooManyRequests, "too-many-attempts", "too many failed logins from your address; try again in %d s", seconds)
}

func (g *loginGuard) failed(r *http.Request, now int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	source := sourceOf(r)
	f := g.sources[source]
	if f == nil {
		g.forget(now)
		f = &loginFailures{}
		g.sources[source] = f
	}
	if f.count++; f.count >= loginFree {
		f.until = now + int64(min(time.Second<<min(f.count-loginFree, 10), loginWaitMax))
	} else {
		f.until = now
	}
}

func (g *loginGuard) passed(r *http.Request) {
	g.mu.Lock()
	delete(g.sources, sourceOf(r))
	g.mu.Unlock()
}

// forget makes room for one more source: those that were quiet for long go, or
// the one that may try again first.
func (g *loginGuard) forget(now int64) {
	if g.sources == nil {
		g.sources = map[netip.Prefix]*loginFailures{}
	}
	if len(g.sources) < loginSourceMax {
		return
	}
	var first netip.Prefix
	for source, f := range g.sources {
		if f.until+int64(loginForget) < now {
			delete(g.sources, source)
		} else if old := g.sources[first]; old == nil || f.until < old.until {
			first = source
		}
	}
	if len(g.sources) >= loginSourceMax {
		delete(g.sources, first)
	}
}

// sourceOf is the network that a request comes from: an IPv4 address or an IPv6
// /64. A proxy beside the server says whom it speaks for.
func sourceOf(r *http.Request) netip.Prefix {
	text := hostOf(r.RemoteAddr)
	if isLoopback(text) {
		text = cmp.Or(lastOf(r.Header.Values("X-Forwarded-For")), text)
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}

// lastOf is the last entry of a header that proxies append to: who spoke to the
// nearest of them.
func lastOf(values []string) string {
	if len(values) == 0 {
		return ""
	}
	list := values[len(values)-1]
	return strings.TrimSpace(list[strings.LastIndex(list, ",")+1:])
}
