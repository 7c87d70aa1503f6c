package admin

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"encoding/json"

	"github.com/emersion/go-smtp"

	"muster/admin/alerts"
	"muster/license"
	"muster/protocol"
)

// hook is a real HTTP server that takes webhooks, unless it is down.
type hook struct {
	*httptest.Server
	down   bool
	events []alerts.Event
}

func newHook(t *testing.T) *hook {
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || h.down || r.Header.Get(alerts.HeaderSignature) != alerts.Sign(hookSecret, r.Header.Get(alerts.HeaderTimestamp), body) {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		var e alerts.Event
		if err := json.Unmarshal(body, &e); err != nil {
			t.Error(err)
		}
		h.events = append(h.events, e)
	}))
	t.Cleanup(h.Close)
	return h
}

const hookSecret = "a secret of the operator"

func (b *bed) hooked(h *hook) {
	b.t.Helper()
	b.call(localToken, "PUT", "/api/v1/alerts/webhook", jsonBody(`{"url": %q, "secret": %q}`, h.URL, hookSecret), ok, nil)
}

// check evaluates and delivers, as RunAlerts does.
func (b *bed) check() (c AlertCheck) {
	b.t.Helper()
	b.call(localToken, "POST", "/api/v1/alerts/check", noBody, ok, &c)
	b.deliver()
	return c
}

func (b *bed) deliver() {
	b.t.Helper()
	if err := b.admin.deliverAlerts(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) messages() []AlertMessage {
	b.t.Helper()
	var list AlertMessageList
	b.call(localToken, "GET", "/api/v1/alerts/messages", noBody, ok, &list)
	return list.Messages
}

// restarted is the API as it comes up after a restart: all that it remembers is
// what the core holds.
func (b *bed) restarted() {
	b.admin = New(b.config())
	b.handler = b.admin.Handler()
}

// All that is newly met goes out in one message; once, over restarts too.
func TestAlerts(t *testing.T) { // [ALRT-2] [ALRT-5] [ALRT-6]
	b, h := newBed(t), newHook(t)
	b.hooked(h)
	project := b.imported()
	b.scans(project, 59)
	if c := b.check(); len(c.Alerts) > 0 {
		t.Fatalf("at 59 of 100: %+v", c)
	}
	b.report(project, b.lastReport, 1)
	b.now = time.Date(2027, 12, 2, 12, 0, 0, 0, time.UTC) // in the last 30 days
	c := b.check()
	want := []MetThreshold{{alerts.Uses, "1001/scan", 60}, {alerts.Expiry, "1001/scan", 30}, {alerts.Expiry, "1001/device-yearly", 30}}
	if !slices.Equal(c.Alerts, want) || c.Message != 1 {
		t.Fatalf("at 60 of 100: %+v", c)
	}
	if len(h.events) != 1 || len(h.events[0].Alerts) != 3 || h.events[0].Alerts[0].URL != "http://10.0.0.5:48080/items/1001/scan" {
		t.Fatalf("events %+v", h.events)
	}
	b.restarted()
	if c := b.check(); len(c.Alerts) > 0 || len(h.events) != 1 {
		t.Errorf("after a restart: %+v, %d events", c, len(h.events))
	}
	var shown Alerts
	b.call(localToken, "GET", "/api/v1/alerts", noBody, ok, &shown)
	if len(shown.Met) != 3 || shown.Met[2] != want[0] || !shown.Evaluated.Equal(b.now) {
		t.Errorf("met %+v at %v", shown.Met, shown.Evaluated)
	}
	b.report(project, b.lastReport, 60)
	if c := b.check(); len(c.Alerts) != 1 || c.Alerts[0] != (MetThreshold{alerts.Uses, "1001/scan", 105}) || len(h.events) != 2 {
		t.Errorf("at 120 of 100: %+v", c)
	}
}

// As long as there is nobody to tell, nothing counts as told.
func TestAlertsWithoutChannel(t *testing.T) {
	b, h := newBed(t), newHook(t)
	b.scans(b.imported(), 85)
	for range 2 {
		if c := b.check(); len(c.Alerts) != 1 || c.Message != 0 {
			t.Fatalf("%+v", c)
		}
	}
	if len(b.messages()) > 0 {
		t.Error("there is a message to nobody")
	}
	b.hooked(h)
	if c := b.check(); len(c.Alerts) != 1 || c.Alerts[0].Threshold != 80 || len(h.events) != 1 {
		t.Errorf("%+v", c)
	}
}

// A message that can't be delivered is tried again, ever more rarely, also after
// a restart; it is given up after a day.
func TestAlertRetries(t *testing.T) { // [ALRT-6]
	b, h := newBed(t), newHook(t)
	b.hooked(h)
	b.scans(b.imported(), 85)
	h.down = true
	b.check()
	first := b.messages()[0].Deliveries[0]
	if first.State != "pending" || first.Attempts != 1 || !strings.Contains(first.Error, "503") || first.Next.Sub(b.now) != time.Minute {
		t.Fatalf("%+v", first)
	}
	b.deliver() // not due
	var waits []time.Duration
	for range 8 {
		d := b.messages()[0].Deliveries[0]
		waits = append(waits, d.Next.Sub(d.Last))
		b.now = d.Next
		b.restarted()
		b.deliver()
	}
	if want := []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour}; !slices.Equal(waits, want) {
		t.Errorf("waits %v", waits)
	}
	h.down = false
	b.now = b.messages()[0].Deliveries[0].Next
	b.deliver()
	if d := b.messages()[0].Deliveries[0]; d.State != "delivered" || d.Attempts != 10 || len(h.events) != 1 {
		t.Errorf("%+v, %d events", d, len(h.events))
	}
	b.now = b.now.Add(time.Hour)
	b.deliver()
	if len(h.events) != 1 {
		t.Error("it was sent again")
	}
}

func TestAlertGivenUp(t *testing.T) {
	b, h := newBed(t), newHook(t)
	b.hooked(h)
	b.scans(b.imported(), 85)
	h.down = true
	b.check()
	for range 100 {
		if d := b.messages()[0].Deliveries[0]; d.State == "pending" {
			b.now = d.Next
			b.deliver()
		}
	}
	if d := b.messages()[0].Deliveries[0]; d.State != "failed" || b.now.Sub(noon) > 25*time.Hour {
		t.Errorf("%+v after %v", d, b.now.Sub(noon))
	}
	if n := strings.Count(b.log.String(), "alert message "); n != 2 { // the first failure, and that it is given up
		t.Errorf("%d lines in the log: %s", n, b.log)
	}
}

// A project whose devices fail [ALRT-4]: a share of all, from 20 devices on.
func TestAlertFailures(t *testing.T) {
	b := newBed(t)
	project := b.imported()
	denied := func(device byte) {
		a := b.device(project, protocol.Request{Kind: protocol.KindCheckIn, ID: 1, UUID: [16]byte{8, device}, Tag: 1, CheckIn: &protocol.CheckIn{
			Product: []byte("unknown"), Version: 1, ChargeWay: uint8(license.Scan),
		}})
		if a.Kind != protocol.KindRefused {
			t.Fatalf("answered %d", a.Kind)
		}
	}
	for device := range byte(19) {
		denied(device)
	}
	if c := b.check(); len(c.Alerts) > 0 {
		t.Errorf("of 19 devices: %+v", c)
	}
	b.scans(project, 1) // the twentieth device, which is served
	want := []MetThreshold{{alerts.Failures, project, 80}}
	if c := b.check(); !slices.Equal(c.Alerts, want) {
		t.Errorf("19 of 20: %+v", c)
	}
	b.now = b.now.Add(25 * time.Hour)
	if c := b.check(); len(c.Alerts) > 0 {
		t.Errorf("a day later: %+v", c)
	}
}

func TestAlertThresholds(t *testing.T) {
	b := newBed(t)
	b.scans(b.imported(), 50)
	var set AlertThresholds
	b.call(localToken, "PUT", "/api/v1/alerts/thresholds", jsonBody(`{"uses": [90, 50], "seats": []}`), ok, &set)
	if !slices.Equal(set.Uses, []uint64{50, 90}) || len(set.Seats) != 0 || len(set.ExpiryDays) != 4 {
		t.Errorf("set to %+v", set)
	}
	if c := b.check(); len(c.Alerts) != 1 || c.Alerts[0].Threshold != 50 {
		t.Errorf("%+v", c)
	}
	if p := b.refused(localToken, "PUT", "/api/v1/alerts/thresholds", jsonBody(`{"uses": [0]}`), 422, "invalid"); p.Field != "uses" {
		t.Errorf("%+v", p)
	}
}

// Secrets go in and never come out: not in answers, not in the audit, not in the log.
func TestAlertSecrets(t *testing.T) {
	b := newBed(t)
	const password = "hunter2-hunter2-hunter2"
	mail := `{"host": "127.0.0.1", "port": 1, "tls": "tls", "from": "a@example.com", "to": "b@example.com", "user": "u"%s}`
	b.call(localToken, "PUT", "/api/v1/alerts/mail", jsonBody(mail, `, "password": "`+password+`"`), ok, nil)
	b.call(localToken, "PUT", "/api/v1/alerts/webhook", jsonBody(`{"url": "http://127.0.0.1:1/", "secret": %q}`, password), ok, nil)
	b.call(localToken, "POST", "/api/v1/alerts/test", noBody, ok, nil)
	everything := b.log.String()
	for _, path := range []string{"/api/v1/alerts", "/api/v1/alerts/messages", "/api/v1/audit/export"} {
		data, err := io.ReadAll(b.send(request(localToken, "GET", path, noBody)).Body)
		if err != nil {
			t.Fatal(err)
		}
		everything += string(data)
	}
	if strings.Contains(everything, password) {
		t.Error("a secret came out: " + everything)
	}
	if !strings.Contains(everything, "passwordSet") || !strings.Contains(everything, "alerts.mail") {
		t.Error("that there is one does not show: " + everything)
	}
	stored := func() string {
		s, err := b.admin.alertSettings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Mail.Password
	}
	b.call(localToken, "PUT", "/api/v1/alerts/mail", jsonBody(mail, ""), ok, nil)
	if stored() != password {
		t.Error("an edit without a password took it away")
	}
	b.call(localToken, "PUT", "/api/v1/alerts/mail", jsonBody(strings.Replace(mail, "127.0.0.1", "elsewhere.example", 1), ""), ok, nil)
	if stored() != "" {
		t.Error("the password would be sent to another server")
	}
}

// mailbox is a real SMTP server that takes everything.
type mailbox struct{ mails chan string }

func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return m, nil }
func (m *mailbox) Mail(string, *smtp.MailOptions) error        { return nil }
func (m *mailbox) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (m *mailbox) Reset()                                      {}
func (m *mailbox) Logout() error                               { return nil }
func (m *mailbox) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	m.mails <- string(data)
	return err
}

// A test message goes to every channel at once, and says what became of it.
func TestAlertTestMessage(t *testing.T) { // [ALRT-6]
	b, h := newBed(t), newHook(t)
	b.refused(localToken, "POST", "/api/v1/alerts/test", noBody, http.StatusConflict, "conflict")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := &mailbox{make(chan string, 1)}
	server := smtp.NewServer(box)
	go func() { _ = server.Serve(l) }() // ends with Close
	defer server.Close()
	b.call(localToken, "PUT", "/api/v1/alerts/mail", jsonBody(`{"host": "127.0.0.1", "port": %d, "tls": "none", "from": "a@example.com", "to": "b@example.com"}`, l.Addr().(*net.TCPAddr).Port), ok, nil)
	b.hooked(h)
	h.down = true
	var m AlertMessage
	b.call(localToken, "POST", "/api/v1/alerts/test", noBody, ok, &m)
	if got := <-box.mails; !strings.Contains(got, "Subject: muster: test of usage alerts") {
		t.Error(got)
	}
	if m.Deliveries[0].State != "delivered" || m.Deliveries[1].State != "failed" || !strings.Contains(m.Deliveries[1].Error, "503") {
		t.Errorf("%+v", m)
	}
}

// Messages are bounded; the oldest go.
func TestAlertMessagesAreBounded(t *testing.T) {
	b, h := newBed(t), newHook(t)
	b.hooked(h)
	for range messagesMax + 3 {
		b.call(localToken, "POST", "/api/v1/alerts/test", noBody, ok, nil)
	}
	if list := b.messages(); len(list) != messagesMax || list[0].Number != messagesMax+3 {
		t.Errorf("%d messages, the newest is %d", len(list), list[0].Number)
	}
}

// Nothing is lost when the change can't be made.
func TestAlertLedgerFails(t *testing.T) {
	b, h := newBed(t), newHook(t)
	b.hooked(h)
	b.scans(b.imported(), 85)
	b.fail = errors.New("disk")
	if _, err := b.admin.checkAlerts(t.Context(), "test"); err == nil {
		t.Fatal("no error")
	}
	b.fail = nil
	if c := b.check(); len(c.Alerts) != 1 || len(h.events) != 1 {
		t.Errorf("%+v", c)
	}
}
