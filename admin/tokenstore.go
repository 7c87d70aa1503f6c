package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"

	"muster/engine"
)

// tokensMax bounds the list that every request is compared with.
const tokensMax = 1000

// tokenObject is a token as it is stored: never the token, only its hash.
type tokenObject struct {
	Name    string `json:"name"`
	Scope   Scope  `json:"scope"`
	Hash    []byte `json:"hash"` // SHA-256 of the token, which holds 32 random bytes
	Created int64  `json:"created"`
	Expires int64  `json:"expires,omitempty"` // unix seconds, 0 for never

	id uint32
}

func (t *tokenObject) expired(now int64) bool { return t.Expires != 0 && now >= t.Expires }

// tokenStore remembers the tokens, so that a request, of a stranger least of
// all, does not go through the decider. It is right because tokens change only
// in changeTokens: after a change, before its answer, the list is replaced, and
// an outcome that is not known drops it.
type tokenStore struct {
	change sync.Mutex // held over a change or the first reading
	list   atomic.Pointer[[]tokenObject]
}

// changeTokens runs an edit of the tokens, nil for none, and remembers the list
// as it is then.
func (a *Admin) changeTokens(ctx context.Context, change func(*engine.Core, []tokenObject) error) error {
	a.tokens.change.Lock()
	defer a.tokens.change.Unlock()
	var after []tokenObject
	err := a.edit(ctx, func(c *engine.Core) error {
		before, err := readTokens(c)
		if err != nil || change == nil {
			after = before
			return err
		}
		if err := change(c, before); err != nil {
			return err
		}
		after, err = readTokens(c)
		return err
	})
	if err != nil {
		a.tokens.list.Store(nil)
		return err
	}
	a.tokens.list.Store(&after)
	return nil
}

// allTokens is the list, read from the engine if it is not remembered.
func (a *Admin) allTokens(ctx context.Context) ([]tokenObject, error) {
	if list := a.tokens.list.Load(); list != nil {
		return *list, nil
	}
	if err := a.changeTokens(ctx, nil); err != nil {
		return nil, err
	}
	if list := a.tokens.list.Load(); list != nil {
		return *list, nil
	}
	return nil, ErrUnavailable // a change failed in between
}

// findToken finds a token by its hash. All are compared, so that the time tells
// nothing.
func (a *Admin) findToken(ctx context.Context, hash [sha256.Size]byte) (found tokenObject, ok bool, err error) {
	list, err := a.allTokens(ctx)
	for _, t := range list {
		if subtle.ConstantTimeCompare(t.Hash, hash[:]) == 1 {
			found, ok = t, true
		}
	}
	return found, ok, err
}

func readTokens(c *engine.Core) ([]tokenObject, error) {
	list := []tokenObject{}
	for _, id := range c.ObjectIDs(engine.ObjectAdmin) {
		t := tokenObject{id: id}
		if err := json.Unmarshal(c.Object(engine.ObjectKey{Kind: engine.ObjectAdmin, ID: id}), &t); err != nil {
			return nil, fmt.Errorf("token %d does not read: %w", id, err)
		}
		list = append(list, t)
	}
	return list, nil
}

func putToken(c *engine.Core, id uint32, t *tokenObject) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	c.PutObject(engine.ObjectKey{Kind: engine.ObjectAdmin, ID: id}, data)
	return nil
}
