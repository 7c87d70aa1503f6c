package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
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

// hook is a receiver of webhooks.
type hook struct {
	*httptest.Server
	mu      sync.Mutex
	holds   bool        // requests are not answered, until their sender is gone
	arrived chan string // what came to be held: message ids
	taken   []string    // the message ids of what was answered, in order
}

func newHook(t *testing.T) *hook {
	h := &hook{arrived: make(chan string, 100)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		id := r.Header.Get(alerts.HeaderID)
		h.mu.Lock()
		holds := h.holds
		if !holds {
			h.taken = append(h.taken, id)
		}
		h.mu.Unlock()
		if holds {
			h.arrived <- id
			<-r.Context().Done()
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) hold(holds bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holds = holds
}

func (h *hook) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.taken)
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
