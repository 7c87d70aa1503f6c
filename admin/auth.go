package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"strings"
)

// Scope is what a token may do; each scope holds those before it.
type Scope string

// The scopes. A route of the empty scope is open.
const (
	ScopeNone    Scope = ""
	ScopeMetrics Scope = "metrics"
	ScopeRead    Scope = "read"
	ScopeWrite   Scope = "write"
)

var scopeRank = map[Scope]int{ScopeNone: 0, ScopeMetrics: 1, ScopeRead: 2, ScopeWrite: 3}

func (s Scope) holds(wanted Scope) bool { return scopeRank[s] >= scopeRank[wanted] }

// caller is who makes a request.
type caller struct {
	name    string // of the token or account
	scope   Scope
	session record[sessionObject] // of a browser; id 0: a token
}

type callerKey struct{}

// callerOf is who makes a request that a route serves.
func callerOf(r *http.Request) caller {
	who, _ := r.Context().Value(callerKey{}).(caller)
	return who
}

// authorize finds out who asks and whether they may.
func (a *Admin) authorize(wanted Scope, r *http.Request) (caller, error) {
	if wanted == ScopeNone || wanted == ScopeMetrics && !a.MetricsToken && fromLoopback(r) && r.Header.Get("Authorization") == "" {
		return caller{name: "anonymous"}, nil
	}
	who, err := a.authenticate(r)
	if p := (*Problem)(nil); errors.As(err, &p) && p.Status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		from := sourceOf(r).String()
		a.notices.Tell(slog.LevelWarn, "token "+from, 1, "an API token was refused: "+p.Detail, "from", from)
	}
	if err != nil {
		return who, err
	}
	if !who.scope.holds(wanted) {
		return who, refusal(http.StatusForbidden, "forbidden", "%q has scope %s; this needs scope %s", who.name, who.scope, wanted)
	}
	return who, nil
}

func (a *Admin) authenticate(r *http.Request) (caller, error) {
	if cookie, err := r.Cookie(SessionCookie); err == nil && r.Header.Get("Authorization") == "" {
		return a.authenticateSession(r, cookie.Value)
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return caller{}, unauthorized("send a token as \"Authorization: Bearer …\"; \"muster token create\" on the server's machine makes one")
	}
	hash := sha256.Sum256([]byte(token))
	if a.LocalToken != "" && subtle.ConstantTimeCompare(hash[:], a.local[:]) == 1 {
		return caller{name: "local", scope: ScopeWrite}, nil
	}
	t, ok, err := a.findToken(r.Context(), hash)
	switch {
	case err != nil:
		return caller{}, err
	case !ok:
		return caller{}, unauthorized("the token is not known here: it was revoked, or belongs to another server; \"muster token create\" on the server's machine makes a new one")
	case t.expired(a.now()):
		return caller{}, unauthorized("the token %q has expired; make a new one", t.Name)
	}
	return caller{name: t.Name, scope: t.Scope}, nil
}

// authenticateSession finds out who a browser's session belongs to. That the
// request comes from a page of this server is seen to before, see Guarded.
func (a *Admin) authenticateSession(r *http.Request, secret string) (caller, error) {
	session, account, err := a.findSession(r.Context(), secret)
	if err != nil {
		return caller{}, err
	}
	if account == nil {
		return caller{}, unauthorized("the session is over; log in again")
	}
	return caller{name: account.Name, scope: roleScopes[account.Role], session: session}, nil
}

func unauthorized(format string, args ...any) *Problem {
	return refusal(http.StatusUnauthorized, "unauthorized", format, args...)
}
