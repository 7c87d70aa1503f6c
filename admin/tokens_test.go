package admin

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"muster/engine"
)

const tokens = "/api/v1/tokens"

func TestTokenLife(t *testing.T) {
	b := newBed(t)
	var made Token
	b.call(localToken, "POST", tokens, jsonBody(`{"name": "build server", "scope": "write", "expiresIn": "90d"}`), created, &made)
	if made.Name != "build server" || made.Scope != ScopeWrite || !made.Expires.Equal(noon.AddDate(0, 0, 90)) || len(made.Secret) < 52 {
		t.Errorf("made %+v", made)
	}
	var list TokenList
	b.call(made.Secret, "GET", tokens, noBody, ok, &list)
	if len(list.Tokens) != 1 || list.Tokens[0].ID != made.ID || list.Tokens[0].Secret != "" {
		t.Errorf("list %+v", list)
	}
	b.now = noon.AddDate(0, 0, 90).Add(-time.Second)
	b.call(made.Secret, "GET", tokens, noBody, ok, nil)
	b.now = noon.AddDate(0, 0, 90)
	p := b.refused(made.Secret, "GET", tokens, noBody, who, "unauthorized")
	if !strings.Contains(p.Detail, "expired") {
		t.Errorf("problem %+v", p)
	}
	b.call(localToken, "GET", tokens, noBody, ok, &list)
	if !list.Tokens[0].Expired {
		t.Errorf("list %+v", list)
	}
}

// Only the hash is stored; the token itself is nowhere.
func TestTokenIsStoredHashed(t *testing.T) {
	b := newBed(t)
	secret := b.token(ScopeRead)
	err := b.Do(context.Background(), func(c *engine.Core) error {
		ids := c.ObjectIDs(engine.ObjectAdmin)
		if len(ids) != 1 {
			return fmt.Errorf("%d tokens are stored, want 1", len(ids))
		}
		data := c.Object(engine.ObjectKey{Kind: engine.ObjectAdmin, ID: ids[0]})
		var stored tokenObject
		if err := json.Unmarshal(data, &stored); err != nil {
			return err
		}
		if hash := sha256.Sum256([]byte(secret)); string(stored.Hash) != string(hash[:]) || strings.Contains(string(data), secret[20:]) {
			t.Errorf("stored %s", data)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if strings.Contains(b.log.String(), secret) {
		t.Error("the token stands in the log")
	}
}

// A revoked token is worth nothing from the answer on, also after a restart,
// and its number is not used again.
func TestTokenRevoke(t *testing.T) {
	b := newBed(t)
	first, second := b.token(ScopeRead), b.token(ScopeRead)
	b.call(localToken, "DELETE", tokens+"/2", noBody, gone, nil)
	b.refused(second, "GET", "/api/v1/items", noBody, who, "unauthorized")
	b.call(first, "GET", "/api/v1/items", noBody, ok, nil)
	b.handler = New(b.config()).Handler()
	b.refused(second, "GET", "/api/v1/items", noBody, who, "unauthorized")
	b.call(first, "GET", "/api/v1/items", noBody, ok, nil)
	b.refused(localToken, "DELETE", tokens+"/2", noBody, 404, "not-found")
	b.refused(localToken, "DELETE", tokens+"/first", noBody, 404, "not-found")
	var made Token
	b.call(localToken, "POST", tokens, jsonBody(`{"name": "n", "scope": "read"}`), created, &made)
	if made.ID != 3 {
		t.Errorf("number %d was used again", made.ID)
	}
}

// A change whose outcome is not known must not leave an old list behind.
func TestTokenListAfterFailure(t *testing.T) {
	b := newBed(t)
	read := b.token(ScopeRead)
	b.call(read, "GET", "/api/v1/items", noBody, ok, nil)
	b.fail = errors.New("journal in doubt")
	b.refused(localToken, "DELETE", tokens+"/1", noBody, 500, "internal")
	b.refused(read, "GET", "/api/v1/items", noBody, 500, "internal")
	b.fail = nil
	b.call(read, "GET", "/api/v1/items", noBody, ok, nil)
}

func TestTokenRefused(t *testing.T) {
	b := newBed(t)
	for _, in := range []string{
		`{"scope": "read"}`, `{"name": " ", "scope": "read"}`, `{"name": "a\nb", "scope": "read"}`,
		`{"name": "` + strings.Repeat("n", 101) + `", "scope": "read"}`,
		`{"name": "n"}`, `{"name": "n", "scope": "admin"}`,
		`{"name": "n", "scope": "read", "expiresIn": "soon"}`, `{"name": "n", "scope": "read", "expiresIn": "0d"}`,
	} {
		b.refused(localToken, "POST", tokens, jsonBody("%s", in), 422, "invalid")
	}
}

func TestTokensMax(t *testing.T) {
	b := newBed(t)
	err := b.Do(context.Background(), func(c *engine.Core) error {
		for id := range uint32(tokensMax) {
			if err := b.admin.tokens.put(c, id+1, &tokenObject{Name: "n", Scope: ScopeRead}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.refused(localToken, "POST", tokens, jsonBody(`{"name": "n", "scope": "read"}`), 409, "too-many-tokens")
}

func TestSetup(t *testing.T) { // [OPS-2]
	b := newBed(t)
	var made Token
	b.call("", "POST", "/api/v1/setup", jsonBody(`{"code": "open-sesame"}`), created, &made)
	b.call(made.Secret, "POST", tokens, jsonBody(`{"name": "n", "scope": "read"}`), created, nil)
	b.refused("", "POST", "/api/v1/setup", jsonBody(`{"code": "open-sesame"}`), 409, "setup-done")
	b.refused("", "POST", "/api/v1/setup", jsonBody(`{"code": ""}`), 409, "setup-done")
}

// After wrong codes everybody waits, longer each time, up to a minute or so.
func TestSetupBackOff(t *testing.T) { // [OPS-2]
	b := newBed(t)
	wrong, right := jsonBody(`{"code": "guess"}`), jsonBody(`{"code": "open-sesame"}`)
	for _, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 64} {
		b.refused("", "POST", "/api/v1/setup", wrong, 403, "wrong-setup-code")
		b.now = b.now.Add(wait*time.Second - time.Millisecond)
		b.refused("", "POST", "/api/v1/setup", right, 429, "too-many-attempts")
		answer := b.send(request("", "POST", "/api/v1/setup", right))
		if got := answer.Header.Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After %q, want 1", got)
		}
		b.now = b.now.Add(time.Millisecond)
	}
	b.call("", "POST", "/api/v1/setup", right, created, nil)
}

// A code that could not be used up has bought nothing.
func TestSetupCodeStays(t *testing.T) { // [OPS-2]
	b := newBed(t)
	b.setupFails = errors.New("read-only file system")
	p := b.problem(request("", "POST", "/api/v1/setup", jsonBody(`{"code": "open-sesame"}`)))
	if p.Status != 500 || strings.Contains(p.Detail, "read-only") {
		t.Errorf("problem %+v", p)
	}
	var list TokenList
	b.call(localToken, "GET", tokens, noBody, ok, &list)
	if len(list.Tokens) != 0 {
		t.Errorf("tokens %+v", list)
	}
	b.setupFails = nil
	b.call("", "POST", "/api/v1/setup", jsonBody(`{"code": "open-sesame"}`), created, nil)
}
