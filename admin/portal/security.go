package portal

import (
	"net/http"
	"strings"

	"muster/admin"
)

func (p *Portal) securityRoutes() []route {
	return []route{
		{pattern: "GET /security", handle: showSecurity},
		{pattern: "POST /security/password", handle: changePassword},
		{pattern: "POST /security/accounts", handle: addAccount},
		{pattern: "POST /security/accounts/{name}", handle: setAccount},
		{pattern: "POST /security/accounts/{name}/remove", handle: removeAccount},
		{pattern: "POST /security/sessions/{id}/end", handle: endSession},
		{pattern: "POST /security/tokens", handle: makeToken},
		{pattern: "POST /security/tokens/{id}/revoke", handle: revokeToken},
		{pattern: "POST /security/vendor-keys", handle: addVendorKey},
		{pattern: "POST /security/ticket-keys", handle: rotateTickets},
	}
}

// securityPage is who and what may come in. A viewer sees the vendor keys and the
// own password alone.
type securityPage struct {
	Accounts   []admin.Account
	Sessions   []admin.Session
	Tokens     []admin.Token
	VendorKeys []admin.VendorKey
	Made       *admin.Token // the token that was just made: its secret is shown once
}

func showSecurity(x *exchange) error {
	data, err := x.security()
	if err != nil {
		return err
	}
	return x.show("security", "Security", data)
}

func (x *exchange) security() (*securityPage, error) {
	var keys admin.VendorKeyList
	if err := x.api.get("vendor-keys", &keys); err != nil {
		return nil, err
	}
	data := &securityPage{VendorKeys: keys.VendorKeys}
	if !x.admin() {
		return data, nil
	}
	var accounts admin.AccountList
	var sessions admin.SessionList
	var tokens admin.TokenList
	for path, out := range map[string]any{"accounts": &accounts, "sessions": &sessions, "tokens": &tokens} {
		if err := x.api.get(path, out); err != nil {
			return nil, err
		}
	}
	data.Accounts, data.Sessions, data.Tokens = accounts.Accounts, sessions.Sessions, tokens.Tokens
	return data, nil
}

func changePassword(x *exchange) error {
	return x.submit("own", showSecurity, func() error {
		form := x.r.PostForm
		if err := repeated(form.Get("new"), form.Get("again"), "again"); err != nil {
			return err
		}
		in := admin.PasswordChange{Old: form.Get("old"), New: form.Get("new")}
		if err := x.api.change(http.MethodPut, "session/password", in, nil); err != nil {
			return err
		}
		return x.done("security", "Your password is changed. Your other sessions have ended.")
	})
}

func addAccount(x *exchange) error {
	return x.submit("account", showSecurity, func() error {
		form := x.r.PostForm
		name := strings.TrimSpace(form.Get("name"))
		if name == "" {
			return problem(http.StatusUnprocessableEntity, "invalid", "name", "Give the account a name.")
		}
		return x.putAccount(name, admin.AccountChange{Role: admin.Role(form.Get("role")), Password: form.Get("password")}, "The account "+name+" is set.")
	})
}

func setAccount(x *exchange) error {
	name := x.r.PathValue("name")
	return x.submit("account-"+name, showSecurity, func() error {
		form := x.r.PostForm
		return x.putAccount(name, admin.AccountChange{Role: admin.Role(form.Get("role")), Password: form.Get("password")},
			"The account "+name+" is changed. Its sessions have ended.")
	})
}

func (x *exchange) putAccount(name string, in admin.AccountChange, notice string) error {
	if err := x.api.change(http.MethodPut, at("accounts", name), in, nil); err != nil {
		return err
	}
	return x.done("security", notice)
}

func removeAccount(x *exchange) error {
	name := x.r.PathValue("name")
	return x.submit("account-"+name, showSecurity, func() error {
		if err := x.api.change(http.MethodDelete, at("accounts", name), nil, nil); err != nil {
			return err
		}
		return x.done("security", "The account "+name+" is removed.")
	})
}

func endSession(x *exchange) error {
	return x.submit("session", showSecurity, func() error {
		if err := x.api.change(http.MethodDelete, at("sessions", x.r.PathValue("id")), nil, nil); err != nil {
			return err
		}
		return x.done("security", "The session has ended.")
	})
}

// makeToken shows the token on the page that answers: no other place may hold it.
func makeToken(x *exchange) error {
	return x.submit("token", showSecurity, func() error {
		form := x.r.PostForm
		in := admin.NewToken{Name: form.Get("name"), Scope: admin.Scope(form.Get("scope")), ExpiresIn: form.Get("expires")}
		var made admin.Token
		if err := x.api.change(http.MethodPost, "tokens", in, &made); err != nil {
			return err
		}
		data, err := x.security()
		if err != nil {
			return err
		}
		data.Made = &made
		return x.showStatus(http.StatusCreated, "security", "Security", data)
	})
}

func revokeToken(x *exchange) error {
	return x.submit("tokens", showSecurity, func() error {
		if err := x.api.change(http.MethodDelete, at("tokens", x.r.PathValue("id")), nil, nil); err != nil {
			return err
		}
		return x.done("security", "The token is revoked.")
	})
}

func addVendorKey(x *exchange) error {
	return x.submit("vendor-key", showSecurity, func() error {
		var added admin.AddedVendorKey
		m := message{method: http.MethodPost, path: "vendor-keys", contentType: "text/plain", body: []byte(strings.ReplaceAll(x.r.PostForm.Get("key"), "\r\n", "\n"))}
		if _, err := x.api.send(m, &added); err != nil {
			return err
		}
		if !added.Added {
			return x.done("security", "The key "+added.ID+" of "+added.Vendor+" was trusted already.")
		}
		return x.done("security", "The key "+added.ID+" of "+added.Vendor+" is trusted. License files signed with it can be imported.")
	})
}

func rotateTickets(x *exchange) error {
	return x.submit("tickets", showSecurity, func() error {
		in := admin.TicketRotation{EndSessions: x.r.PostForm.Get("end") == "yes"}
		if err := x.api.change(http.MethodPost, "server/ticket-keys", in, nil); err != nil {
			return err
		}
		if in.EndSessions {
			return x.done("security", "There is a new ticket key, and all sessions of devices have ended: they make new handshakes.")
		}
		return x.done("security", "There is a new ticket key.")
	})
}
