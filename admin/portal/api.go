package portal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"muster/admin"
)

// api makes requests to the admin API on behalf of a browser's request.
type api struct {
	handler http.Handler
	browser *http.Request
	cookies http.Header // of the answer to the browser: sessions that the API begins and ends
}

// carried are the headers of the browser's request that the API goes by: who it
// is, and what proxies say of where it comes from.
var carried = []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Real-Ip"}

// message is one request to the API.
type message struct {
	method, path string // path below /api/v1, with its query
	contentType  string
	body         []byte
	ifMatch      string // the state that an edit is for; "" for any
}

// answer is what the API says; it is an http.ResponseWriter.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the answer's header.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader keeps the first status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write keeps a part of the body.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// get reads what is at a path into out.
func (a *api) get(path string, out any) error {
	_, err := a.send(message{method: http.MethodGet, path: path}, out)
	return err
}

// change sends JSON, unless in is nil, and reads the answer into out, unless that is nil.
func (a *api) change(method, path string, in, out any) error {
	m := message{method: method, path: path}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return err
		}
		m.contentType, m.body = "application/json", body
	}
	_, err := a.send(m, out)
	return err
}

// send makes a request; a refusal is an *admin.Problem.
func (a *api) send(m message, out any) (*answer, error) {
	r, err := a.request(m)
	if err != nil {
		return nil, err
	}
	got := &answer{header: http.Header{}}
	a.handler.ServeHTTP(got, r)
	for _, cookie := range got.header.Values("Set-Cookie") {
		a.cookies.Add("Set-Cookie", cookie)
	}
	if got.status >= 400 {
		return got, problemOf(m, got)
	}
	if out == nil {
		return got, nil
	}
	if err := json.Unmarshal(got.body.Bytes(), out); err != nil {
		return got, fmt.Errorf("%s %s: the answer does not read: %w", m.method, m.path, err)
	}
	return got, nil
}

// request is the request as it would have come from the browser itself: the walls
// before the API look at the same host, address and transport.
func (a *api) request(m message) (*http.Request, error) {
	r, err := http.NewRequestWithContext(a.browser.Context(), m.method, "/api/v1/"+m.path, bytes.NewReader(m.body))
	if err != nil {
		return nil, err
	}
	r.Host, r.RemoteAddr, r.TLS, r.RequestURI = a.browser.Host, a.browser.RemoteAddr, a.browser.TLS, r.URL.RequestURI()
	for _, name := range carried {
		if values := a.browser.Header.Values(name); len(values) > 0 {
			r.Header[name] = values
		}
	}
	if cookie, err := a.browser.Cookie(admin.SessionCookie); err == nil {
		r.AddCookie(cookie)
	}
	if m.contentType != "" {
		r.Header.Set("Content-Type", m.contentType)
	}
	if m.ifMatch != "" {
		r.Header.Set("If-Match", m.ifMatch)
	}
	return r, nil
}

// problemOf is the problem that the API answered with.
func problemOf(m message, got *answer) error {
	p := &admin.Problem{}
	if err := json.NewDecoder(io.LimitReader(&got.body, 1<<20)).Decode(p); err != nil || p.Status == 0 {
		return fmt.Errorf("%s %s: status %d without a problem document", m.method, m.path, got.status)
	}
	return p
}

// kindOf is the kind of problem that an error is, "" if it is none.
func kindOf(err error) string {
	if p := (*admin.Problem)(nil); errors.As(err, &p) {
		return p.Kind()
	}
	return ""
}

// problemIn is the API's answer to what was asked for wrongly, nil for any other
// error.
func problemIn(err error) *admin.Problem {
	var p *admin.Problem
	if errors.As(err, &p) && (p.Status == http.StatusBadRequest || p.Status == http.StatusNotFound || p.Status == http.StatusUnprocessableEntity) {
		return p
	}
	return nil
}

// at joins the parts of a path, each escaped.
func at(parts ...string) string {
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// itemPath is the path of an item, whose name holds a slash.
func itemPath(name string) string {
	license, item, _ := strings.Cut(name, "/")
	return at("items", license, item)
}

// asked is a query from names and values; empty values are left out.
func asked(pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}
