package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Alerts as an operator on the machine sets and uses them.
func TestAPIAlerts(t *testing.T) { // [ALRT-6] [OPS-3]
	c := newCLI(t)
	failsAPI(t, exitFailed, "there is nobody to tell", "alerts", "test")
	took := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { took <- r.Header.Get("Muster-Signature") }))
	defer hook.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of the operator\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.ok([]string{"alerts", "webhook", "set", hook.URL, "--secret-file", secret})
	if out := c.ok(words("alerts test")).stdout; !strings.Contains(out, "delivered") || !strings.HasPrefix(<-took, "v1=") {
		t.Errorf("test: %s", out)
	}
	c.ok([]string{"alerts", "mail", "set", "--host", "127.0.0.1", "--port", "1", "--tls", "none", "--from", "a@example.com", "--to", "b@example.com; c@example.com"})
	if r := runAPI(t, "", "alerts", "test"); r.code != exitFailed || !strings.Contains(r.stderr, "refused") || !strings.Contains(r.stdout, "failed") {
		t.Errorf("test without a mail server: %+v", r)
	}
	c.ok(words("alerts mail remove"))
	c.ok(words("alerts thresholds --seats 50,90 --failure-devices 7"))
	c.ok(words("alerts portal https://licenses.example.com"))
	show := c.ok(words("alerts show")).stdout
	for _, want := range []string{"50 90", "60 80 100 105", hook.URL, "https://licenses.example.com/", "no threshold is met"} {
		if !strings.Contains(show, want) {
			t.Errorf("show lacks %q:\n%s", want, show)
		}
	}
	if out := c.ok(words("alerts check")).stdout; !strings.Contains(out, "nothing is newly met") {
		t.Errorf("check: %s", out)
	}
	if out := c.ok(words("alerts log")).stdout; strings.Count(out, "\n") != 4 {
		t.Errorf("log:\n%s", out)
	}
	c.ok(words("alerts webhook remove"))
	failsAPI(t, exitUsage, "one of --trust-ca", "alerts", "mail", "set", "--trust-any", "--trust-sha256", "00")
}
