package portal

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"muster/admin"
	"muster/admin/alerts"
)

func (p *Portal) alertRoutes() []route {
	return []route{
		{pattern: "GET /alerts", handle: showAlerts},
		{pattern: "POST /alerts/check", handle: checkAlerts},
		{pattern: "POST /alerts/test", handle: testAlerts},
		{pattern: "POST /alerts/mail", handle: setMail},
		{pattern: "POST /alerts/mail/remove", handle: removeChannel("mail", "No mails are sent any more.")},
		{pattern: "POST /alerts/webhook", handle: setWebhook},
		{pattern: "POST /alerts/webhook/remove", handle: removeChannel("webhook", "No webhooks are sent any more.")},
		{pattern: "POST /alerts/thresholds", handle: setThresholds},
		{pattern: "POST /alerts/portal", handle: setAlertPortal},
	}
}

// alertsPage is which thresholds are met, who is told, and what was sent [OPS-1].
type alertsPage struct {
	admin.Alerts
	Rows     []metRow
	Rules    []thresholdField
	Messages []admin.AlertMessage
}

// MailOr is the mail server that is set, or an empty one for the form.
func (p *alertsPage) MailOr() admin.AlertMail {
	if p.Mail != nil {
		return *p.Mail
	}
	return admin.AlertMail{TLS: alerts.StartTLS}
}

// PortOr is its port, "" for the usual one.
func (p *alertsPage) PortOr() string {
	if p.Mail == nil {
		return ""
	}
	return strconv.Itoa(p.Mail.Port)
}

// WebhookOr is the webhook that is set, or an empty one for the form.
func (p *alertsPage) WebhookOr() admin.AlertWebhook {
	if p.Webhook != nil {
		return *p.Webhook
	}
	return admin.AlertWebhook{}
}

// metRow is an item or project with the furthest threshold that it met.
type metRow struct {
	Subject, Link, What, Threshold string
	Tone                           string
}

// thresholdField is a rule with its thresholds, as a field of the form.
type thresholdField struct{ Name, Of, Label, Value string }

// messagesShown is how many messages the page shows.
const messagesShown = 30

func showAlerts(x *exchange) error {
	data := &alertsPage{}
	if err := x.api.get("alerts", &data.Alerts); err != nil {
		return err
	}
	var list admin.AlertMessageList
	if err := x.api.get("alerts/messages", &list); err != nil {
		return err
	}
	data.Messages = list.Messages[:min(len(list.Messages), messagesShown)]
	data.Rows = metRows(data.Met)
	data.Rules = thresholdFields(&data.Thresholds)
	return x.show("alerts", "Usage Alerts", data)
}

var ruleWords = map[alerts.Rule]string{
	alerts.Seats: "Seats held", alerts.DailySeats: "Seats held today", alerts.Uses: "Quota used",
	alerts.Overuse: "Overuse budget spent", alerts.Failures: "Failed authorizations", alerts.Expiry: "Expiry",
}

// metRows has one row for each rule and subject.
func metRows(met []admin.MetThreshold) (rows []metRow) {
	for i, m := range met {
		if next := i + 1; m.Rule == alerts.Expiry { // days: the first one is the furthest
			if i > 0 && met[i-1].Rule == m.Rule && met[i-1].Subject == m.Subject {
				continue
			}
		} else if next < len(met) && met[next].Rule == m.Rule && met[next].Subject == m.Subject {
			continue
		}
		rows = append(rows, rowOfMet(m))
	}
	slices.SortStableFunc(rows, func(a, b metRow) int { return cmp.Compare(a.Tone, b.Tone) }) // bad before near
	return rows
}

func rowOfMet(m admin.MetThreshold) metRow {
	row := metRow{Subject: m.Subject, Link: itemPath(m.Subject), What: ruleWords[m.Rule], Threshold: fmt.Sprintf("%d %%", m.Threshold), Tone: "near"}
	if m.Rule == alerts.Failures {
		row.Link = at("projects", m.Subject)
	}
	switch {
	case m.Rule == alerts.Expiry && m.Threshold == 0:
		row.Threshold, row.Tone = "expired", "bad"
	case m.Rule == alerts.Expiry:
		row.Threshold = "in " + plural(m.Threshold, "day", "days")
		if m.Threshold <= 7 {
			row.Tone = "bad"
		}
	case m.Threshold >= 100:
		row.Tone = "bad"
	}
	return row
}

func thresholdFields(t *admin.AlertThresholds) []thresholdField {
	return []thresholdField{
		{"seats", "seats", "Devices and servers, % of the quota", listed(t.Seats)},
		{"dailySeats", "dailySeats", "Devices by day, % of the quota", listed(t.DailySeats)},
		{"uses", "uses", "Scans and pages, % of the quota", listed(t.Uses)},
		{"overuse", "overuse", "At the same time, % of the overuse budget", listed(t.Overuse)},
		{"failures", "failures", "Failed authorizations of a project, % in 24 hours", listed(t.Failures)},
		{"expiryDays", "expiryDays", "Expiry, days before; 0 when grace begins", listed(t.ExpiryDays)},
	}
}

func listed(list []uint64) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = strconv.FormatUint(v, 10)
	}
	return strings.Join(parts, ", ")
}

// unlisted reads what listed writes.
func unlisted(text, field string) ([]uint64, error) {
	list := []uint64{}
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return nil, problem(http.StatusUnprocessableEntity, "invalid", field, fmt.Sprintf("%q is no whole number. Write a list such as 60, 80, 100.", part))
		}
		list = append(list, n)
	}
	return list, nil
}

func checkAlerts(x *exchange) error {
	return x.submit("check", showAlerts, func() error {
		var v admin.AlertCheck
		if err := x.api.change(http.MethodPost, "alerts/check", nil, &v); err != nil {
			return err
		}
		switch {
		case len(v.Alerts) == 0:
			return x.done("alerts", "Nothing is newly met.")
		case v.Message == 0:
			return x.done("alerts", plural(len(v.Alerts), "alert is", "alerts are")+" newly met.", "There is nobody to tell: set a mail server or a webhook.")
		}
		return x.done("alerts", plural(len(v.Alerts), "alert is", "alerts are")+" newly met; a message is on its way.")
	})
}

func testAlerts(x *exchange) error {
	return x.submit("test", showAlerts, func() error {
		var m admin.AlertMessage
		if err := x.api.change(http.MethodPost, "alerts/test", nil, &m); err != nil {
			return err
		}
		var sent, failed []string
		for _, d := range m.Deliveries {
			if d.State == "delivered" {
				sent = append(sent, d.Channel)
			} else {
				failed = append(failed, "Not by "+d.Channel+": "+d.Error)
			}
		}
		text := "The test was delivered by " + strings.Join(sent, " and ") + "."
		if len(sent) == 0 {
			text = "The test was not delivered."
		}
		return x.done("alerts", text, failed...)
	})
}

func setMail(x *exchange) error {
	return x.submit("mail", showAlerts, func() error {
		form := x.r.PostForm
		in := admin.NewAlertMail{
			Host: strings.TrimSpace(form.Get("host")), TLS: alerts.TLSMode(form.Get("tls")), Trust: trustOf(x), From: form.Get("from"),
			To: form.Get("to"), CC: form.Get("cc"), BCC: form.Get("bcc"), User: form.Get("user"), Password: given(form.Get("password")),
		}
		if text := strings.TrimSpace(form.Get("port")); text != "" {
			port, err := strconv.Atoi(text)
			if err != nil {
				return problem(http.StatusUnprocessableEntity, "invalid", "port", "Expected a number from 1 to 65535.")
			}
			in.Port = port
		}
		if err := x.api.change(http.MethodPut, "alerts/mail", &in, nil); err != nil {
			return err
		}
		return x.done("alerts", "The mail server is set. Send a test to see whether mails arrive.")
	})
}

// given is a secret that was typed; none for an empty field, so that the one that
// is set stays.
func given(secret string) *string {
	if secret == "" {
		return nil
	}
	return &secret
}

// trustOf reads the fields of a form about the other side's certificate.
func trustOf(x *exchange) alerts.Trust {
	form := x.r.PostForm
	t := alerts.Trust{Mode: alerts.TrustMode(form.Get("trust"))}
	switch t.Mode {
	case alerts.TrustCA:
		t.CA = strings.ReplaceAll(form.Get("ca"), "\r\n", "\n")
	case alerts.TrustPinned:
		t.Pin = strings.TrimSpace(form.Get("pin"))
	}
	return t
}

func setWebhook(x *exchange) error {
	return x.submit("webhook", showAlerts, func() error {
		in := admin.NewAlertWebhook{URL: strings.TrimSpace(x.r.PostForm.Get("url")), Trust: trustOf(x), Secret: given(x.r.PostForm.Get("secret"))}
		if err := x.api.change(http.MethodPut, "alerts/webhook", &in, nil); err != nil {
			return err
		}
		return x.done("alerts", "The webhook is set. Send a test to see whether it arrives.")
	})
}

func removeChannel(channel, notice string) func(*exchange) error {
	return func(x *exchange) error {
		return x.submit(channel, showAlerts, func() error {
			if err := x.api.change(http.MethodDelete, "alerts/"+channel, nil, nil); err != nil {
				return err
			}
			return x.done("alerts", notice)
		})
	}
}

func setThresholds(x *exchange) error {
	return x.submit("thresholds", showAlerts, func() error {
		var in admin.AlertThresholds
		for name, list := range map[string]*[]uint64{
			"seats": &in.Seats, "dailySeats": &in.DailySeats, "uses": &in.Uses, "overuse": &in.Overuse, "failures": &in.Failures, "expiryDays": &in.ExpiryDays,
		} {
			var err error
			if *list, err = unlisted(x.r.PostForm.Get(name), name); err != nil {
				return err
			}
		}
		devices, err := unlisted(x.r.PostForm.Get("failureDevicesMin"), "failureDevicesMin")
		if err != nil {
			return err
		}
		if len(devices) > 0 { // else from the first device on
			in.FailureDevicesMin = devices[0]
		}
		if err := x.api.change(http.MethodPut, "alerts/thresholds", &in, nil); err != nil {
			return err
		}
		return x.done("alerts", "The thresholds are set.")
	})
}

func setAlertPortal(x *exchange) error {
	return x.submit("portal", showAlerts, func() error {
		if err := x.api.change(http.MethodPut, "alerts/portal", &admin.AlertPortal{URL: strings.TrimSpace(x.r.PostForm.Get("url"))}, nil); err != nil {
			return err
		}
		return x.done("alerts", "Links in messages lead there from now on.")
	})
}
