package portal

import (
	"net/http"

	"muster/admin"
)

func (p *Portal) enterRoutes() []route {
	return []route{
		{pattern: "GET /login", open: true, handle: showLogin},
		{pattern: "POST /login", open: true, handle: logIn},
		{pattern: "POST /logout", handle: logOut},
		{pattern: "GET /setup", open: true, handle: showSetup},
		{pattern: "POST /setup", open: true, handle: setUp},
	}
}

// loginPage is where a login goes on to.
type loginPage struct{ Next string }

func showLogin(x *exchange) error {
	next := x.r.URL.Query().Get("next")
	if x.refused != nil {
		next = x.refused.Value("next", "")
	}
	return x.show("login", "Log in", loginPage{Next: next})
}

func logIn(x *exchange) error {
	return x.submit("login", showLogin, func() error {
		in := admin.Login{Name: x.r.PostForm.Get("name"), Password: x.r.PostForm.Get("password")}
		if err := x.api.change(http.MethodPost, "session", in, nil); err != nil {
			return err
		}
		return x.redirect(nextPage(x.r.PostForm.Get("next")))
	})
}

func logOut(x *exchange) error {
	if err := x.api.change(http.MethodDelete, "session", nil, nil); err != nil {
		return err
	}
	return x.redirect("login")
}

// showSetup is the first visit [OPS-2]; on a server that is set up there is
// nothing to do there.
func showSetup(x *exchange) error {
	var state admin.SetupState
	if err := x.api.get("setup", &state); err != nil {
		return err
	}
	if state.Done {
		return x.redirect("login")
	}
	return x.show("setup", "Set up this server", nil)
}

func setUp(x *exchange) error {
	return x.submit("setup", showSetup, func() error {
		form := x.r.PostForm
		if err := repeated(form.Get("password"), form.Get("again"), "again"); err != nil {
			return err
		}
		in := admin.Setup{Code: form.Get("code"), Password: form.Get("password")}
		if in.Password == "" { // the API would give a token instead
			return problem(http.StatusUnprocessableEntity, "invalid", "password", "Choose a password of 10 characters or more.")
		}
		if err := x.api.change(http.MethodPost, "setup", in, nil); err != nil {
			return err
		}
		return x.redirect("")
	})
}

// repeated refuses a new password that was not typed the same way twice.
func repeated(password, again, field string) error {
	if password == again {
		return nil
	}
	return problem(http.StatusUnprocessableEntity, "invalid", field, "The two passwords differ. Type the same one twice.")
}
