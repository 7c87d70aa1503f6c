package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
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
		{method: "GET", path: "/api/v1/tokens", scope: ScopeWrite, handle: a.listTokens,
			doc: doc{"List the API tokens", nil, TokenList{}, []int{200}}},
		{method: "POST", path: "/api/v1/tokens", scope: ScopeWrite, bodyMax: textMax, handle: a.createToken,
			doc: doc{"Make an API token; it is shown once", NewToken{}, Token{}, []int{201}}},
		{method: "DELETE", path: "/api/v1/tokens/{id}", scope: ScopeWrite, handle: a.deleteToken,
			doc: doc{"Revoke an API token", nil, nil, []int{204}}},
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

// tokensMax bounds the list that every request is compared with.
const tokensMax = 1000

// tokenObject is a token as it is stored: never the token, only its hash.
type tokenObject struct {
	Name    string `json:"name"`
	Scope   Scope  `json:"scope"`
	Hash    []byte `json:"hash"` // SHA-256 of the token, which holds 32 random bytes
	Created int64  `json:"created"`
	Expires int64  `json:"expires,omitempty"` // unix seconds, 0 for never
}

func (t *tokenObject) expired(now int64) bool { return t.Expires != 0 && now >= t.Expires }

func (a *Admin) tokenView(t record[tokenObject]) Token {
	return Token{
		ID: t.id, Name: t.v.Name, Scope: t.v.Scope, Created: unixTime(t.v.Created), Expires: unixTime(t.v.Expires),
		Expired: t.v.expired(a.now()),
	}
}

// findToken finds a token by its hash. All are compared, so that the time tells
// nothing.
func (a *Admin) findToken(ctx context.Context, hash [sha256.Size]byte) (found tokenObject, ok bool, err error) {
	list, err := a.tokens.all(ctx, a)
	for _, t := range list {
		if subtle.ConstantTimeCompare(t.v.Hash, hash[:]) == 1 {
			found, ok = t.v, true
		}
	}
	return found, ok, err
}

func (a *Admin) listTokens(w http.ResponseWriter, r *http.Request) error {
	list, err := a.tokens.all(r.Context(), a)
	if err != nil {
		return err
	}
	answer := TokenList{Tokens: []Token{}}
	for _, t := range list {
		answer.Tokens = append(answer.Tokens, a.tokenView(t))
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
	token, err := a.makeToken(r, in.Name, in.Scope, lifetime)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, token)
}

// check tells what is wrong with the request; lifetime is 0 for ever.
func (n *NewToken) check() (lifetime time.Duration, err error) {
	invalid := func(field, format string, args ...any) (time.Duration, error) {
		return 0, refusedField(http.StatusUnprocessableEntity, "invalid", field, format, args...)
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
func (a *Admin) makeToken(r *http.Request, name string, scope Scope, lifetime time.Duration) (*Token, error) {
	secret := newSecret("mustertoken_")
	hash := sha256.Sum256([]byte(secret))
	t := record[tokenObject]{v: tokenObject{Name: name, Scope: scope, Hash: hash[:]}}
	err := a.tokens.edit(r.Context(), a, func(c *engine.Core, before []record[tokenObject]) (err error) {
		if len(before) >= tokensMax {
			return refusal(http.StatusConflict, "too-many-tokens", "there are %d tokens, which is the limit; revoke one that is not needed", tokensMax)
		}
		t.v.Created = c.Now()
		if lifetime > 0 {
			t.v.Expires = t.v.Created + int64(lifetime/time.Second)
		}
		if t.id, err = a.tokens.add(c, &t.v); err != nil {
			return err
		}
		return a.record(c, r, "token.create", name, nil, a.tokenView(t))
	})
	if err != nil {
		return nil, err
	}
	view := a.tokenView(t)
	view.Secret = secret
	return &view, nil
}

// newSecret is 32 random bytes behind a mark by which scanners for leaked secrets
// know what it is.
func newSecret(mark string) string {
	random := make([]byte, 32)
	rand.Read(random)
	return mark + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random))
}

func (a *Admin) deleteToken(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 32)
	if err != nil {
		return refusal(http.StatusNotFound, "not-found", "no token %q: a token is named by its number, see the list of tokens", r.PathValue("id"))
	}
	if err := a.revokeToken(r.Context(), r, uint32(id)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *Admin) revokeToken(ctx context.Context, r *http.Request, id uint32) error {
	return a.tokens.edit(ctx, a, func(c *engine.Core, before []record[tokenObject]) error {
		i := slices.IndexFunc(before, func(t record[tokenObject]) bool { return t.id == id })
		if i < 0 {
			return refusal(http.StatusNotFound, "not-found", "no token %d: it was revoked already, or never made", id)
		}
		a.tokens.remove(c, id)
		return a.record(c, r, "token.revoke", before[i].v.Name, a.tokenView(before[i]), nil)
	})
}
