package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"muster/engine"
)

func (a *Admin) tokenRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/tokens", scope: ScopeWrite, handle: a.listTokens},
		{method: "POST", path: "/api/v1/tokens", scope: ScopeWrite, bodyMax: textMax, handle: a.createToken},
		{method: "DELETE", path: "/api/v1/tokens/{id}", scope: ScopeWrite, handle: a.deleteToken},
	}
}

// Token is a token of the API; Secret is there only in the answer that makes it.
type Token struct {
	ID      uint32    `json:"id"`
	Name    string    `json:"name"`
	Scope   Scope     `json:"scope"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Expired bool      `json:"expired,omitempty"`
	Secret  string    `json:"token,omitempty"`
}

// TokenList is the answer to GET tokens.
type TokenList struct {
	Tokens []Token `json:"tokens"`
}

// NewToken is what a token is made of.
type NewToken struct {
	Name      string `json:"name"`
	Scope     Scope  `json:"scope"`
	ExpiresIn string `json:"expiresIn,omitempty"` // see ParseDuration; "" for never
}

func (a *Admin) tokenView(t *tokenObject) Token {
	return Token{
		ID: t.id, Name: t.Name, Scope: t.Scope, Created: unixTime(t.Created), Expires: unixTime(t.Expires),
		Expired: t.expired(a.now()),
	}
}

func (a *Admin) listTokens(w http.ResponseWriter, r *http.Request) error {
	list, err := a.allTokens(r.Context())
	if err != nil {
		return err
	}
	answer := TokenList{Tokens: []Token{}}
	for i := range list {
		answer.Tokens = append(answer.Tokens, a.tokenView(&list[i]))
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (a *Admin) createToken(w http.ResponseWriter, r *http.Request) error {
	var in NewToken
	if err := readJSON(r, &in); err != nil {
		return err
	}
	lifetime, err := in.check()
	if err != nil {
		return err
	}
	token, err := a.makeToken(r.Context(), in.Name, in.Scope, lifetime)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, token)
}

// check tells what is wrong with the request; lifetime is 0 for ever.
func (n *NewToken) check() (lifetime time.Duration, err error) {
	invalid := func(field, format string, args ...any) (time.Duration, error) {
		p := refusal(http.StatusUnprocessableEntity, "invalid", format, args...)
		p.Field = field
		return 0, p
	}
	if strings.TrimSpace(n.Name) == "" || len(n.Name) > 100 || strings.ContainsFunc(n.Name, unicode.IsControl) {
		return invalid("name", "token name %q: expected 1 to 100 printable characters", n.Name)
	}
	if n.Scope != ScopeMetrics && n.Scope != ScopeRead && n.Scope != ScopeWrite {
		return invalid("scope", "token scope %q: expected read, write or metrics", n.Scope)
	}
	if n.ExpiresIn == "" {
		return 0, nil
	}
	lifetime, err = ParseDuration(n.ExpiresIn)
	if err != nil || lifetime == 0 {
		return invalid("expiresIn", "expiresIn %q: expected a duration such as 90d or 12h; leave it out for a token that does not expire", n.ExpiresIn)
	}
	return lifetime, nil
}

// makeToken makes and stores a token. Names are free: they are for people.
func (a *Admin) makeToken(ctx context.Context, name string, scope Scope, lifetime time.Duration) (*Token, error) {
	secret := newSecret()
	hash := sha256.Sum256([]byte(secret))
	t := tokenObject{Name: name, Scope: scope, Hash: hash[:]}
	err := a.changeTokens(ctx, func(c *engine.Core, before []tokenObject) error {
		if len(before) >= tokensMax {
			return refusal(http.StatusConflict, "too-many-tokens", "there are %d tokens, which is the limit; revoke one that is not needed", tokensMax)
		}
		t.id, t.Created = c.NextObjectID(engine.ObjectAdmin), c.Now()
		if lifetime > 0 {
			t.Expires = t.Created + int64(lifetime/time.Second)
		}
		return putToken(c, t.id, &t)
	})
	if err != nil {
		return nil, err
	}
	view := a.tokenView(&t)
	view.Secret = secret
	return &view, nil
}

// newSecret is a token: 32 random bytes behind a mark by which scanners for
// leaked secrets know it.
func newSecret() string {
	random := make([]byte, 32)
	rand.Read(random)
	return "mustertoken_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random))
}

func (a *Admin) deleteToken(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 32)
	if err != nil {
		return refusal(http.StatusNotFound, "not-found", "no token %q: a token is named by its number, see the list of tokens", r.PathValue("id"))
	}
	if err := a.revokeToken(r.Context(), uint32(id)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *Admin) revokeToken(ctx context.Context, id uint32) error {
	return a.changeTokens(ctx, func(c *engine.Core, before []tokenObject) error {
		if !slices.ContainsFunc(before, func(t tokenObject) bool { return t.id == id }) {
			return refusal(http.StatusNotFound, "not-found", "no token %d: it was revoked already, or never made", id)
		}
		c.PutObject(engine.ObjectKey{Kind: engine.ObjectAdmin, ID: id}, nil)
		return nil
	})
}
