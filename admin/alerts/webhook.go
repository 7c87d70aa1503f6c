package alerts

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Headers of a webhook, frozen.
const (
	HeaderID        = "Muster-Message"   // the same at every try of one message
	HeaderTimestamp = "Muster-Timestamp" // unix seconds of this try
	// HeaderSignature is "v1=" and, in hexadecimal, HMAC-SHA256 under the secret
	// over the timestamp as it stands in its header, a full stop, and the body.
	HeaderSignature = "Muster-Signature"
)

// Webhook is where messages are posted as JSON.
type Webhook struct {
	URL   string `json:"url"`
	Trust Trust  `json:"trust"`
	// Secret signs the messages: it is written into no log and no answer.
	Secret string `json:"secret,omitempty"`
}

// secretMin keeps a secret from being guessed from a message, bytes.
const secretMin = 16

// Check completes what may be left out and says what is wrong, as a [Fault].
func (w *Webhook) Check() error {
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || unprintable(w.URL) {
		return fault("url", "expected an address such as https://hooks.example.com/muster, at most %d bytes", textMax)
	}
	if u.User != nil {
		return fault("url", "a name and password in the address would be shown to everyone who sees it; the signature says who sends")
	}
	if len(w.Secret) < secretMin || unprintable(w.Secret) {
		return fault("secret", "expected %d to %d printable characters", secretMin, textMax)
	}
	return w.Trust.check()
}

// Event is the body of a webhook.
type Event struct {
	ID     string       `json:"id"`
	Type   string       `json:"type"` // "alerts" or "test"
	Time   time.Time    `json:"time"`
	Server string       `json:"server"` // UUID
	Text   string       `json:"text"`   // the whole in a line
	Alerts []EventAlert `json:"alerts"`
	More   int          `json:"more,omitempty"` // alerts that are left out
}

// EventAlert is an alert with its sentence and where to look.
type EventAlert struct {
	Alert
	Text string `json:"text"`
	URL  string `json:"url"`
}

func (m *Message) event() Event {
	e := Event{ID: m.ID, Type: "alerts", Time: m.Time, Server: m.Server, Text: m.Subject(), Alerts: []EventAlert{}, More: m.More}
	if m.Test {
		e.Type = "test"
	}
	for i := range m.Alerts {
		a := &m.Alerts[i]
		e.Alerts = append(e.Alerts, EventAlert{*a, a.Text(), m.link(a)})
	}
	return e
}

// Sign is the signature of a body at a time.
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

// Send posts a message at a time; any answer of 200 to 299 is success. Redirects
// are not followed: what is signed is for one address.
func (w *Webhook) Send(ctx context.Context, msg *Message, now time.Time) error {
	body, err := json.Marshal(msg.event())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "muster")
	r.Header.Set(HeaderID, msg.ID)
	r.Header.Set(HeaderTimestamp, timestamp)
	r.Header.Set(HeaderSignature, Sign(w.Secret, timestamp, body))
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = w.Trust.config(r.URL.Hostname())
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		if outer := (*url.Error)(nil); errors.As(err, &outer) {
			err = outer.Err // without the address: some hold a key
		}
		return fmt.Errorf("webhook %s: %w", r.URL.Host, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 == 2 {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 200)) // the status says enough
	return fmt.Errorf("webhook %s: it answered %s: %s", r.URL.Host, answer.Status, strings.TrimSpace(oneLine(string(text))))
}
