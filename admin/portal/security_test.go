package portal

import (
	"net/http"
	"strings"
	"testing"

	"muster/admin"
)

func TestOwnPassword(t *testing.T) { // [OPS-2]
	b := newBed(t)
	v := b.as(admin.RoleViewer)
	v.page("/security").has("Your password", "Acme Inc")
	v.page("/security").lacks("API tokens", "Accounts", "Ticket keys")
	path := "/security/password"
	v.post(path, "old", "wrong", "new", "battery staple", "again", "battery staple").has("That is not your present password", `id="own-old-error"`)
	v.post(path, "old", password, "new", "short", "again", "short").has("10 to 256 characters", `id="own-new-error"`)
	v.post(path, "old", password, "new", "battery staple", "again", "another").has("The two passwords differ")
	before := v.cookies[admin.SessionCookie]
	v.done(path, "old", password, "new", "battery staple", "again", "battery staple").has("Your password is changed")
	if v.cookies[admin.SessionCookie] == before {
		t.Error("the session is the old one")
	}
}

func TestAccounts(t *testing.T) {
	b := newBed(t)
	v := b.as(admin.RoleAdmin)
	g := v.post("/security/accounts", "name", "No Good", "role", "viewer", "password", "correct horse")
	if g.status != http.StatusUnprocessableEntity {
		t.Errorf("a bad name: %d", g.status)
	}
	g.has(`value="No Good"`, `id="account-name-error"`)
	v.post("/security/accounts", "name", "", "role", "viewer", "password", "correct horse").has("Give the account a name")
	v.done("/security/accounts", "name", "eyes", "role", "viewer", "password", "correct horse").has("The account eyes is set")
	v.done("/security/accounts/eyes", "role", "admin", "password", "").has("The account eyes is changed")
	v.post("/security/accounts/eyes", "role", "admin", "password", "short").has(`id="account-eyes-password-error"`)
	v.done("/security/accounts/eyes/remove").has("The account eyes is removed")
	if g := v.post("/security/accounts/admin/remove"); g.status != http.StatusConflict {
		t.Errorf("the last admin: %d", g.status)
	} else {
		g.has("There would be no admin")
	}
}

func TestSessionsOfOthers(t *testing.T) {
	b := newBed(t)
	other := b.as(admin.RoleViewer)
	v := b.as(admin.RoleAdmin)
	other.page("/").has("<small>viewer</small><small>session 1<")
	g := v.page("/security")
	g.has("security/sessions/1/end", `<th scope="row">1</th><td>viewer</td><td>viewer</td>`, `<th scope="row">2</th><td>admin</td><td>admin</td>`, "<small>admin</small><small>session 2<")
	if own := strings.Index(g.body, "this session"); own < strings.Index(g.body, `<th scope="row">2</th>`) {
		t.Errorf("this session is not the second one: %d", own)
	}
	g.lacks("security/sessions/2/end")
	v.done("/security/sessions/1/end").has("The session has ended")
	if g := other.get("/"); g.status != http.StatusSeeOther {
		t.Errorf("the ended session: %d", g.status)
	}
	if g := v.post("/security/sessions/1/end"); g.status != http.StatusNotFound {
		t.Errorf("ended twice: %d", g.status)
	}
}

// A token is shown once, on the page that made it.
func TestTokens(t *testing.T) {
	b := newBed(t)
	v := b.as(admin.RoleAdmin)
	g := v.post("/security/tokens", "name", "monitor", "scope", "read", "expires", "soon")
	g.has(`value="monitor"`, `id="token-expires-error"`)
	g = v.post("/security/tokens", "name", "monitor", "scope", "read", "expires", "90d")
	if g.status != http.StatusCreated || !strings.Contains(g.body, "mustertoken_") {
		t.Fatalf("%d %s", g.status, g.body)
	}
	v.page("/security").has("monitor", "in 3 months")
	v.page("/security").lacks("mustertoken_")
	v.done("/security/tokens/1/revoke").has("The token is revoked")
	if g := v.post("/security/tokens/1/revoke"); g.status != http.StatusNotFound {
		t.Errorf("revoked twice: %d", g.status)
	}
}

func TestVendorKeys(t *testing.T) { // [FILE-5]
	b := newBed(t)
	v := b.as(admin.RoleAdmin)
	public, err := newBed(t).vendor.Public().MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	v.post("/security/vendor-keys", "key", "no key").has(`id="vendor-key-key-error"`, "id=\"vendor-key-key\"")
	key := strings.ReplaceAll(string(public), "\n", "\r\n") // as browsers send lines
	v.done("/security/vendor-keys", "key", key).has("is trusted. License files")
	v.done("/security/vendor-keys", "key", key).has("was trusted already")
}

func TestTicketKeys(t *testing.T) {
	v := newBed(t).as(admin.RoleAdmin)
	v.done("/security/ticket-keys").has("There is a new ticket key.")
	v.done("/security/ticket-keys", "end", "yes").has("all sessions of devices have ended")
}
