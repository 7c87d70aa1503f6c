package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"
)

func (a *Admin) setupRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/setup", handle: a.showSetup,
			doc: doc{"Whether the setup code was used", nil, SetupState{}, []int{200}}},
		{method: "POST", path: "/api/v1/setup", bodyMax: textMax, handle: a.exchangeCode,
			doc: doc{"Exchange the setup code for the admin's password and a session, or a first token", Setup{}, eitherSetup, []int{201}}},
	}
}

// Setup is what the one-time code is exchanged with [OPS-2]: for the password of
// the account "admin" and a session, or, without one, for a token.
type Setup struct {
	Code     string `json:"code"`
	Password string `json:"password,omitempty"`
}

// SetupState says whether the server is set up: then there is no code any more.
type SetupState struct {
	Done bool `json:"done"`
}

func (a *Admin) showSetup(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, SetupState{Done: a.SetupCode() == ""})
}

// setupGuard lets one attempt at the code happen at a time, and makes everybody
// wait after a wrong one. The code has 160 random bits; waiting keeps shorter
// ones safe too, and shows in the log.
type setupGuard struct {
	mutex    sync.Mutex
	failures int
	until    int64 // unix nanoseconds; no attempt is looked at before
}

const setupWaitMax = 64 * time.Second

// failed takes note of a wrong code: the wait is 1 s, then doubles up to setupWaitMax.
func (g *setupGuard) failed(now int64) {
	wait := min(time.Second<<min(g.failures, 6), setupWaitMax)
	g.failures++
	g.until = now + int64(wait)
}

func (a *Admin) exchangeCode(w http.ResponseWriter, r *http.Request) error {
	var in Setup
	if err := readJSON(r, &in); err != nil {
		return err
	}
	a.setup.mutex.Lock()
	defer a.setup.mutex.Unlock()
	if err := a.checkCode(w, r, in.Code); err != nil {
		return err
	}
	r = r.WithContext(context.WithValue(r.Context(), callerKey{}, caller{name: "setup code", scope: ScopeWrite}))
	answer, err := a.finishSetup(w, r, in.Password)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, answer)
}

func (a *Admin) checkCode(w http.ResponseWriter, r *http.Request, given string) error {
	now := a.Now()
	if wait := time.Duration(a.setup.until - now); wait > 0 {
		seconds := int64((wait + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
		return refusal(http.StatusTooManyRequests, "too-many-attempts", "a wrong setup code was given; try again in %d s", seconds)
	}
	code := a.SetupCode()
	if code == "" {
		return refusal(http.StatusConflict, "setup-done", "this server is set up already; \"muster token create\" on its machine makes a new token")
	}
	want, got := sha256.Sum256([]byte(code)), sha256.Sum256([]byte(given))
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		a.setup.failed(now)
		a.notices.Tell(slog.LevelWarn, "setup code", 1, "wrong setup code: the right one is in the file setup-code of the data directory; if nobody of yours tried, keep others from the admin port", "from", sourceOf(r).String())
		return refusal(http.StatusForbidden, "wrong-setup-code", "that is not the setup code; it stands in the file that the server named at its first start")
	}
	return nil
}

// finishSetup makes the account and its first session, or the token, then uses
// the code up. If that fails they go too: a code that is still good must not have
// been worth anything.
func (a *Admin) finishSetup(w http.ResponseWriter, r *http.Request, password string) (answer any, err error) {
	undo := context.WithoutCancel(r.Context())
	if password == "" {
		token, err := a.makeToken(r, "setup", ScopeWrite, 0)
		if err != nil {
			return nil, err
		}
		if err := a.SetupDone(); err != nil {
			return nil, errors.Join(err, a.revokeToken(undo, r, token.ID))
		}
		a.setup.failures = 0
		return token, nil
	}
	if _, _, err := a.putAccount(r, AdminAccount, AccountChange{Role: RoleAdmin, Password: password}); err != nil {
		return nil, err
	}
	if err := a.SetupDone(); err != nil {
		return nil, errors.Join(err, a.forgetAccount(undo, r, AdminAccount))
	}
	a.setup.failures = 0
	return a.beginSession(w, r, &accountObject{Name: AdminAccount, Role: RoleAdmin})
}
