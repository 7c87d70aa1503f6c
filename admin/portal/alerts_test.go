package portal

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"muster/admin"
)

func TestAlertsPage(t *testing.T) { // [OPS-1] [ALRT-6]
	b := newBed(t)
	v := b.as(admin.RoleAdmin)
	v.page("/alerts").has("Thresholds that are met", "Nothing was sent yet", `value="60, 80, 100, 110"`)
	v.post("/alerts/test").has("There is nobody to tell")
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer hook.Close()
	const secret = "a secret of the operator"
	v.post("/alerts/webhook", "url", hook.URL, "secret", "short", "trust", "system").has(`id="webhook-secret-error"`)
	v.done("/alerts/webhook", "url", hook.URL, "secret", secret, "trust", "system").has("The webhook is set", hook.URL)
	v.done("/alerts/test").has("The test was delivered by webhook", "delivered")
	v.done("/alerts/check").has("Nothing is newly met")
	v.page("/alerts").lacks(secret)
	v.done("/alerts/webhook/remove").has("No webhooks are sent any more")
}

func TestAlertsForms(t *testing.T) {
	b := newBed(t)
	v := b.as(admin.RoleAdmin)
	v.post("/alerts/thresholds", "seats", "sixty", "failureDevicesMin", "20").has(`id="thresholds-seats-error"`, `value="sixty"`)
	v.post("/alerts/thresholds", "seats", "0", "failureDevicesMin", "20").has(`id="thresholds-seats-error"`)
	v.done("/alerts/thresholds", "seats", "50; 90", "failureDevicesMin", "5").has("The thresholds are set", `value="50, 90"`, `name="failureDevicesMin" type="text" value="5"`)
	v.post("/alerts/mail", "host", "mail.example.com", "tls", "starttls", "from", "nobody", "to", "b@example.com").has(`id="mail-from-error"`, `value="nobody"`)
	v.post("/alerts/mail", "host", "mail.example.com", "port", "x", "from", "a@example.com", "to", "b@example.com").has(`id="mail-port-error"`)
	v.done("/alerts/mail", "host", "mail.example.com", "tls", "tls", "from", "a@example.com", "to", "b@example.com; c@example.com", "user", "u", "password", "hunter2-hunter2", "trust", "any").
		has("The mail server is set", "port 465", "c@example.com")
	v.page("/alerts").lacks("hunter2-hunter2")
	v.done("/alerts/mail/remove").has("No mails are sent any more")
	v.post("/alerts/portal", "url", "here").has(`id="portal-url-error"`)
	v.done("/alerts/portal", "url", "https://licenses.example.com/dls").has("https://licenses.example.com/dls/")
}
