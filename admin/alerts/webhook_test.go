package alerts

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const hookSecret = "a secret of the operator"

// verify is what docs/ALERTS.md tells receivers to do.
func verify(secret string, r *http.Request, body []byte) error {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(r.Header.Get("Muster-Timestamp") + "."))
	mac.Write(body)
	if !hmac.Equal([]byte(r.Header.Get("Muster-Signature")), []byte("v1="+hex.EncodeToString(mac.Sum(nil)))) {
		return errors.New("the signature is wrong")
	}
	return nil
}

func TestWebhook(t *testing.T) { // [ALRT-6]
	now := time.Unix(1_795_000_000, 0)
	var got Event
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := verify(hookSecret, r, body); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		if verify("another", r, body) == nil || verify(hookSecret, r, append(body, ' ')) == nil {
			t.Error("a wrong secret or another body verifies")
		}
		if r.Header.Get(HeaderTimestamp) != "1795000000" || r.Header.Get(HeaderID) != message().ID || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v", r.Header)
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	hook := Webhook{URL: server.URL + "/muster", Secret: hookSecret, Trust: Trust{Mode: TrustCA, CA: caOf(server.TLS.Certificates[0])}}
	if err := hook.Check(); err != nil {
		t.Fatal(err)
	}
	if err := hook.Send(t.Context(), message(), now); err != nil {
		t.Fatal(err)
	}
	if a := got.Alerts[0]; got.Type != "alerts" || len(got.Alerts) != 6 || a.Rule != Seats || a.Subject != "100001/readers" || a.Threshold != 80 ||
		a.URL != "https://licenses.example.com/items/100001/readers" || !strings.Contains(a.Text, "22 of 25") {
		t.Errorf("event %+v", got)
	}
	hook.Trust = Trust{Mode: TrustSystem}
	unknown := (*tls.CertificateVerificationError)(nil)
	if err := hook.Send(t.Context(), message(), now); !errors.As(err, &unknown) {
		t.Errorf("an unknown certificate: %v", err)
	}
}

// A redirect or any other answer is no success, and leads nowhere else.
func TestWebhookAnswers(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; r.URL.Path == "/moved" {
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
			return
		}
		http.Error(w, "no such\r\n hook", http.StatusNotFound)
	}))
	defer server.Close()
	for path, want := range map[string]string{"/moved": "307", "/": "no such"} {
		hook := Webhook{URL: server.URL + path, Secret: hookSecret}
		if err := hook.Send(t.Context(), message(), time.Unix(1, 0)); err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%s: %q", path, err)
		}
	}
	if asked != 2 {
		t.Errorf("the server was asked %d times", asked)
	}
}

func TestWebhookFaults(t *testing.T) {
	for field, hook := range map[string]Webhook{
		"url":        {URL: "ftp://example.com", Secret: hookSecret},
		"secret":     {URL: "https://example.com", Secret: "short"},
		"trust.mode": {URL: "https://example.com", Secret: hookSecret, Trust: Trust{Mode: "x"}},
	} {
		var f *Fault
		if err := hook.Check(); !errors.As(err, &f) || f.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := (&Webhook{URL: "https://user:word@example.com", Secret: hookSecret}).Check(); err == nil {
		t.Error("a password in the address is taken")
	}
}
