package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Each bad request has its own kind of problem, and changes nothing.
func TestBadRequests(t *testing.T) {
	b := newBed(t)
	project := "/api/v1/projects/" + b.imported()
	for _, c := range []struct {
		name, method, target string
		in                   body
		status               int
		kind                 string
	}{
		{"no such path", "GET", "/api/v1/nothing", noBody, 404, "not-found"},
		{"no such method", "DELETE", "/api/v1/items", noBody, 405, "method-not-allowed"},
		{"unknown parameter", "GET", "/api/v1/items?sort=name", noBody, 400, "unknown-parameter"},
		{"misspelt parameter", "POST", "/api/v1/license-files?projct=2001-100001", text(b.licenseText("5", "2001")), 400, "unknown-parameter"},
		{"no Content-Type", "PATCH", project, body{"", []byte(`{"name": "n"}`)}, 415, "unsupported-media-type"},
		{"form", "PATCH", project, body{"application/x-www-form-urlencoded", []byte(`name=n`)}, 415, "unsupported-media-type"},
		{"empty", "PATCH", project, jsonBody(""), 400, "bad-json"},
		{"no JSON", "PATCH", project, jsonBody("name: n"), 400, "bad-json"},
		{"cut off", "PATCH", project, jsonBody(`{"name": "n"`), 400, "bad-json"},
		{"two objects", "PATCH", project, jsonBody(`{"name": "n"} {"name": "m"}`), 400, "bad-json"},
		{"wrong type", "PATCH", project, jsonBody(`{"name": 7}`), 400, "bad-json"},
		{"no object", "PATCH", project, jsonBody(`["name"]`), 400, "bad-json"},
		{"fraction", "PATCH", project, jsonBody(`{"password": "p", "passwordGraceSeconds": 1.5}`), 400, "bad-json"},
		{"unknown field", "PATCH", project, jsonBody(`{"nmae": "n"}`), 400, "unknown-field"},
		{"too large", "PATCH", project, jsonBody(`{"name": "%s"}`, strings.Repeat("n", textMax)), 413, "too-large"},
		{"too large key", "POST", "/api/v1/vendor-keys", text(make([]byte, textMax+1)), 413, "too-large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			b.refused(localToken, c.method, c.target, c.in, c.status, c.kind)
		})
	}
}

func TestMethodNotAllowedSaysWhich(t *testing.T) {
	b := newBed(t)
	answer := b.send(request(localToken, "PUT", "/api/v1/tokens", noBody))
	if allow := answer.Header.Values("Allow"); answer.StatusCode != 405 || strings.Join(allow, " ") != "GET POST" {
		t.Errorf("%d, Allow %q", answer.StatusCode, allow)
	}
}

// Inside detail is logged, never shown.
func TestInternalErrorIsHidden(t *testing.T) {
	b := newBed(t)
	b.fail = errors.New("disk sda1 is on fire")
	p := b.refused(localToken, "PUT", "/api/v1/server/addresses", jsonBody(`{"addresses": []}`), 500, "internal")
	if strings.Contains(p.Detail, "sda1") || !strings.Contains(b.log.String(), "sda1") {
		t.Errorf("shown %q, logged %q", p.Detail, b.log)
	}
}

func TestStarting(t *testing.T) {
	b := newBed(t)
	b.imported()
	read := b.token(ScopeRead)
	b.recovering = true
	b.refused(localToken, "GET", "/api/v1/items", noBody, 503, "not-ready")
	b.refused(localToken, "PUT", "/api/v1/server/addresses", jsonBody(`{"addresses": []}`), 503, "not-ready")
	b.refused("", "GET", "/readyz", noBody, 503, "not-ready")
	b.call("", "GET", "/healthz", noBody, ok, nil)
	b.call(localToken, "GET", "/metrics", noBody, ok, nil)
	var s Server
	b.call(localToken, "GET", "/api/v1/server", noBody, ok, &s)
	if s.State != "starting" || s.Ready || s.Counts != nil || s.UUID != b.identity.UUID().String() {
		t.Errorf("server %+v", s)
	}
	b.handler = New(b.config()).Handler() // a process that does not know the tokens yet
	if answer := b.send(request(read, "GET", "/api/v1/server", noBody)); answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" {
		t.Errorf("a token before recovery: %d, Retry-After %q", answer.StatusCode, answer.Header.Get("Retry-After"))
	}
	b.recovering = false
	b.call(read, "GET", "/api/v1/server", noBody, ok, nil)
}

func TestStopping(t *testing.T) {
	b := newBed(t)
	b.stopped = true
	b.refused("", "GET", "/readyz", noBody, 503, "not-ready")
	b.fail = fmt.Errorf("decider: %w", ErrUnavailable)
	b.refused(localToken, "PUT", "/api/v1/server/addresses", jsonBody(`{"addresses": []}`), 503, "not-ready")
	var s Server
	b.call(localToken, "GET", "/api/v1/server", noBody, http.StatusOK, &s)
	if s.State != "not serving" {
		t.Errorf("state %q", s.State)
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "12h": 12 * time.Hour, "5m": 5 * time.Minute, "0s": 0, "36500d": 36500 * 24 * time.Hour} {
		if got, err := ParseDuration(in); err != nil || got != want {
			t.Errorf("%q: %v %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "d", "90", "-1d", "1.5h", "1h30m", "36501d", "99999999999999999999d", "90 d", "1w"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("%q is %v, want an error", in, got)
		}
	}
}
