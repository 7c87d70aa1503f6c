package portal

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"muster/admin"
)

// exchange is a request of a browser and what is answered.
type exchange struct {
	*Portal
	w       http.ResponseWriter
	r       *http.Request
	api     api
	who     admin.Session // no account: nobody
	refused *form         // the form that was sent and not accepted
}

// enter finds out who asks.
func (x *exchange) enter(open bool) error {
	if open {
		return nil
	}
	return x.api.get("session", &x.who)
}

// admin says whether whoever asks may change things.
func (x *exchange) admin() bool { return x.who.Scope == admin.ScopeWrite }

// root is the address of the portal's root, as seen from the page.
func (x *exchange) root() string {
	if up := strings.Repeat("../", strings.Count(x.r.URL.Path, "/")-1); up != "" {
		return up
	}
	return "./"
}

// redirect sends the browser to another page, named from the root. A relative
// address leaves out what a proxy may have put before it, so http.Redirect, which
// makes it absolute, won't do.
func (x *exchange) redirect(to string) error {
	if x.r.Header.Get("HX-Request") != "" && to != "" && x.who.Account == "" {
		x.w.Header().Set("HX-Redirect", to) // the whole page, not the part that the script asked for
		x.w.WriteHeader(http.StatusOK)
		return nil
	}
	x.w.Header().Set("Location", x.root()+to)
	x.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// noticeCookie carries what a change did over the redirect to the next page.
const noticeCookie = "muster_notice"

// done says what a change did, and sends the browser to a page.
func (x *exchange) done(to, notice string, warnings ...string) error {
	text := strings.Join(append([]string{notice}, warnings...), "\n")
	x.setNotice(base64.RawURLEncoding.EncodeToString([]byte(text)), 60)
	return x.redirect(to)
}

func (x *exchange) setNotice(value string, maxAge int) {
	http.SetCookie(x.w, &http.Cookie{
		Name: noticeCookie, Value: value, Path: admin.CookiePath(x.r), MaxAge: maxAge, HttpOnly: true,
		Secure: x.r.TLS != nil || x.r.Header.Get("X-Forwarded-Proto") == "https", SameSite: http.SameSiteStrictMode,
	})
}

// notice is what the last change did; it is told once.
func (x *exchange) notice() *notice {
	cookie, err := x.r.Cookie(noticeCookie)
	if err != nil {
		return nil
	}
	x.setNotice("", -1)
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || len(text) == 0 {
		return nil
	}
	lines := strings.Split(string(text), "\n")
	return &notice{Text: lines[0], Warnings: lines[1:]}
}

// submit makes the change of a form. When the API refuses it, the page is shown
// again as it was sent, with the reason.
func (x *exchange) submit(name string, show func(*exchange) error, change func() error) error {
	if err := x.parse(); err != nil {
		return err
	}
	return x.refuseWith(name, change(), show)
}

// refuseWith shows a page again with what was wrong in one of its forms. An error
// that the form can do nothing about is returned, and so is none.
func (x *exchange) refuseWith(name string, err error, show func(*exchange) error) error {
	var p *admin.Problem
	if !errors.As(err, &p) || p.Status == http.StatusUnauthorized || p.Status >= 500 || p.Kind() == "forbidden" {
		return err
	}
	x.refused = &form{name: name, values: x.r.PostForm, problem: p}
	return show(x)
}

// parse reads the form; one that is too large is told as such.
func (x *exchange) parse() error {
	err := x.r.ParseForm()
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return problem(http.StatusRequestEntityTooLarge, "too-large", "", "That is more than this form takes.")
	}
	if err != nil {
		return problem(http.StatusBadRequest, "bad-form", "", "The form does not read.")
	}
	return nil
}

// problem is a refusal of the portal's own.
func problem(status int, kind, field, detail string) *admin.Problem {
	return &admin.Problem{Type: admin.ProblemPrefix + kind, Title: http.StatusText(status), Status: status, Field: field, Detail: detail}
}

// fail answers what could not be done.
func (x *exchange) fail(err error) {
	var p *admin.Problem
	if !errors.As(err, &p) {
		x.Log.Error("portal request failed", "method", x.r.Method, "path", x.r.URL.Path, "error", err)
		p = problem(http.StatusInternalServerError, "internal", "", "The server failed at this request; its log says why.")
	}
	switch p.Status {
	case http.StatusUnauthorized:
		err = x.entrance()
	case http.StatusServiceUnavailable:
		x.w.Header().Set("Retry-After", "2")
		err = x.showStatus(p.Status, "starting", "One moment", p)
	default:
		err = x.showStatus(p.Status, "problem", p.Title, p)
	}
	if err != nil {
		x.Log.Error("portal page failed", "method", x.r.Method, "path", x.r.URL.Path, "error", err)
		http.Error(x.w, "The server failed at this request; its log says why.", http.StatusInternalServerError)
	}
}

// entrance shows the way in: setting the server up, as long as nobody has, else
// logging in.
func (x *exchange) entrance() error {
	if x.r.Header.Get("Sec-Fetch-Site") == "cross-site" && x.r.Method == http.MethodGet {
		// The browser came by a link from elsewhere and kept the session's cookie
		// to itself (SameSite). Asked again from here, it sends it.
		return x.showStatus(http.StatusOK, "again", "One moment", nil)
	}
	var setup admin.SetupState
	if err := x.api.get("setup", &setup); err == nil && !setup.Done {
		return x.redirect("setup")
	}
	next := strings.TrimPrefix(x.r.URL.RequestURI(), "/")
	if x.r.Method != http.MethodGet {
		next = ""
	}
	return x.redirect("login" + asked("next", next))
}

// nextPage is a page of ours that a login goes on to; "" is the home page.
func nextPage(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || strings.HasPrefix(next, "/") || strings.ContainsAny(next, "\\\r\n") {
		return ""
	}
	return next
}

func (x *exchange) now() time.Time { return x.Now().UTC() }
