package admin

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"muster/engine"
)

func (a *Admin) accountRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/accounts", scope: ScopeWrite, handle: a.listAccounts,
			doc: doc{"List who may log in", nil, AccountList{}, []int{200}}},
		{method: "PUT", path: "/api/v1/accounts/{name}", scope: ScopeWrite, bodyMax: textMax, handle: a.setAccount,
			doc: doc{"Make an account, or give it a new role or password", AccountChange{}, Account{}, []int{200, 201}}},
		{method: "DELETE", path: "/api/v1/accounts/{name}", scope: ScopeWrite, handle: a.deleteAccount,
			doc: doc{"Remove an account and end its sessions", nil, nil, []int{204}}},
	}
}

// Role is what an account may do.
type Role string

// The roles: an admin has write scope, a viewer read scope.
const (
	RoleAdmin  Role = "admin"
	RoleViewer Role = "viewer"
)

var roleScopes = map[Role]Scope{RoleAdmin: ScopeWrite, RoleViewer: ScopeRead}

// AdminAccount is the account that the first visit makes [OPS-2].
const AdminAccount = "admin"

// accountsMax bounds the list that a login looks through.
const accountsMax = 200

// accountObject is an account as it is stored.
type accountObject struct {
	Name     string `json:"name"`
	Role     Role   `json:"role"`
	Password string `json:"password"` // hash, see hashPassword
	Created  int64  `json:"created"`
	Changed  int64  `json:"changed"` // the password was
}

// Account is somebody who may log in to the portal.
type Account struct {
	Name            string    `json:"name"`
	Role            Role      `json:"role"`
	Created         time.Time `json:"created"`
	PasswordChanged time.Time `json:"passwordChanged"`
}

// AccountList is the answer to GET accounts.
type AccountList struct {
	Accounts []Account `json:"accounts"`
}

// AccountChange makes or changes an account. A changed password or role ends its
// sessions.
type AccountChange struct {
	Role     Role   `json:"role,omitempty"`     // of a new account viewer, else as it is
	Password string `json:"password,omitempty"` // required for a new one, else as it is
}

func accountView(o *accountObject) Account {
	return Account{Name: o.Name, Role: o.Role, Created: unixTime(o.Created), PasswordChanged: unixTime(o.Changed)}
}

func (a *Admin) listAccounts(w http.ResponseWriter, r *http.Request) error {
	list, err := a.accounts.all(r.Context(), a)
	if err != nil {
		return err
	}
	answer := AccountList{Accounts: []Account{}}
	for i := range list {
		answer.Accounts = append(answer.Accounts, accountView(&list[i].v))
	}
	return writeJSON(w, http.StatusOK, answer)
}

// findAccount finds an account by its name.
func findAccount(list []record[accountObject], name string) *record[accountObject] {
	i := slices.IndexFunc(list, func(o record[accountObject]) bool { return o.v.Name == name })
	if i < 0 {
		return nil
	}
	return &list[i]
}

var accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

func (a *Admin) setAccount(w http.ResponseWriter, r *http.Request) error {
	var in AccountChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	name := r.PathValue("name")
	if !accountName.MatchString(name) {
		return refusedField(http.StatusUnprocessableEntity, "invalid", "name", "account name %q: expected 1 to 63 of a to z, 0 to 9, point, hyphen and underline", name)
	}
	after, made, err := a.putAccount(r, name, in)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if made {
		status = http.StatusCreated
	}
	return writeJSON(w, status, after)
}

// putAccount makes or changes an account and ends its sessions.
func (a *Admin) putAccount(r *http.Request, name string, in AccountChange) (after Account, made bool, err error) {
	hash := ""
	if in.Password != "" {
		if err := checkPassword(in.Password, "password"); err != nil {
			return after, false, err
		}
		if hash, err = a.hash(r.Context(), in.Password); err != nil {
			return after, false, err
		}
	}
	if _, known := roleScopes[in.Role]; in.Role != "" && !known {
		return after, false, refusedField(http.StatusUnprocessableEntity, "invalid", "role", "role %q: expected admin or viewer", in.Role)
	}
	err = a.accounts.edit(r.Context(), a, func(c *engine.Core, before []record[accountObject]) error {
		old := findAccount(before, name)
		made = old == nil
		o, err := in.apply(old, name, hash, c.Now(), len(before))
		if err != nil {
			return err
		}
		if o.v.Role != RoleAdmin && !adminBeside(before, name) {
			return lastAdmin(name)
		}
		if made {
			if o.id, err = a.accounts.add(c, &o.v); err != nil {
				return err
			}
		} else if err := a.accounts.put(c, o.id, &o.v); err != nil {
			return err
		}
		after = accountView(&o.v)
		var was any
		if old != nil {
			was = accountView(&old.v)
		}
		return a.record(c, r, "account.set", name, was, after)
	})
	if err == nil && !made {
		err = a.endSessionsOf(r.Context(), name)
	}
	return after, made, err
}

// apply is the account as the change leaves it.
func (in *AccountChange) apply(old *record[accountObject], name, hash string, now int64, accounts int) (o record[accountObject], err error) {
	switch {
	case old != nil:
		o = *old
	case hash == "":
		return o, refusedField(http.StatusUnprocessableEntity, "invalid", "password", "account %q is new; give it a password", name)
	case accounts >= accountsMax:
		return o, refusal(http.StatusConflict, "too-many-accounts", "there are %d accounts, which is the limit; remove one that is not needed", accountsMax)
	default:
		o.v = accountObject{Name: name, Role: RoleViewer, Created: now}
	}
	if in.Role != "" {
		o.v.Role = in.Role
	}
	if hash != "" {
		o.v.Password, o.v.Changed = hash, now
	}
	return o, nil
}

// adminBeside says whether an account of role admin is there beside a name.
func adminBeside(list []record[accountObject], name string) bool {
	return slices.ContainsFunc(list, func(o record[accountObject]) bool { return o.v.Role == RoleAdmin && o.v.Name != name })
}

func lastAdmin(name string) error {
	return refusal(http.StatusConflict, "last-admin", "there would be no admin without %q; make another account an admin first", name)
}

func (a *Admin) deleteAccount(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	err := a.accounts.edit(r.Context(), a, func(c *engine.Core, before []record[accountObject]) error {
		old := findAccount(before, name)
		if old == nil {
			return refusal(http.StatusNotFound, "not-found", "no account %q; see the list of accounts", name)
		}
		if !adminBeside(before, name) {
			return lastAdmin(name)
		}
		a.accounts.remove(c, old.id)
		return a.record(c, r, "account.remove", name, accountView(&old.v), nil)
	})
	if err != nil {
		return err
	}
	if err := a.endSessionsOf(r.Context(), name); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// forgetAccount takes back an account that a setup made and could not finish.
func (a *Admin) forgetAccount(ctx context.Context, r *http.Request, name string) error {
	return a.accounts.edit(ctx, a, func(c *engine.Core, before []record[accountObject]) error {
		o := findAccount(before, name)
		if o == nil {
			return nil
		}
		a.accounts.remove(c, o.id)
		return a.record(c, r, "account.remove", name, accountView(&o.v), nil)
	})
}

// passwordWork is how many passwords are hashed at a time: each takes argonMemory.
const passwordWork = 2

// atWork runs work on a password when there is room for it.
func (a *Admin) atWork(ctx context.Context, work func()) error {
	select {
	case a.hashing <- struct{}{}:
		defer func() { <-a.hashing }()
		work()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *Admin) hash(ctx context.Context, password string) (phc string, err error) {
	err = a.atWork(ctx, func() { phc = hashPassword(password) })
	return phc, err
}

// login compares a name and a password with the accounts.
func (a *Admin) login(ctx context.Context, name, password string) (account accountObject, ok bool, err error) {
	list, err := a.accounts.all(ctx, a)
	if err != nil {
		return account, false, err
	}
	phc := noPassword()
	found := findAccount(list, strings.TrimSpace(name))
	if found != nil {
		phc, account = found.v.Password, found.v
	}
	err = a.atWork(ctx, func() { ok = passwordMatches(phc, password) && found != nil })
	return account, ok, err
}
