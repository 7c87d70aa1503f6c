package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"muster/admin"
	"muster/admin/alerts"
)

// mailServer takes every mail. It returns its port.
func mailServer(t *testing.T) int {
	t.Helper()
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return mailSink{}, nil }))
	server.Domain = "localhost"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

type mailSink struct{}

func (mailSink) Mail(string, *smtp.MailOptions) error { return nil }
func (mailSink) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (mailSink) Reset()                               {}
func (mailSink) Logout() error                        { return nil }
func (mailSink) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// hook is a receiver of webhooks. It answers 503 while it refuses.
type hook struct {
	*httptest.Server
	mu      sync.Mutex
	refuses bool
	tries   int
	bodies  map[string][]string // of what was taken, by message
}

func newHook(t *testing.T) *hook {
	h := &hook{bodies: map[string][]string{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.tries++
		if err != nil || h.refuses {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		id := r.Header.Get(alerts.HeaderID)
		h.bodies[id] = append(h.bodies[id], string(body))
	}))
	t.Cleanup(h.Close)
	return h
}

const hookSecret = "a secret of the operator"

// tellByMailAndWebhook sets both, lets what is met go out, and a test.
func (s *showcase) tellByMailAndWebhook() {
	s.t.Helper()
	secret := hookSecret
	h := newHook(s.t)
	s.call(http.MethodPut, "alerts/webhook", admin.NewAlertWebhook{URL: strings.Replace(h.URL, "127.0.0.1", "localhost", 1) + "/muster", Secret: &secret}, nil)
	s.call(http.MethodPut, "alerts/mail", admin.NewAlertMail{
		Host: "localhost", Port: mailServer(s.t), TLS: alerts.NoTLS, From: "muster@example.com", To: "licenses@example.com; it@example.com",
	}, nil)
	s.call(http.MethodPut, "alerts/portal", admin.AlertPortal{URL: "https://licenses.example.com/"}, nil)
	s.call(http.MethodPost, "alerts/check", nil, nil)
	s.call(http.MethodPost, "alerts/test", nil, nil)
}
