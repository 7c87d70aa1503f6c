package admin

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"muster/admin/alerts"
	"muster/engine"
)

// What an operator sets and sees of usage alerts (domain, section 8). When they
// are evaluated and sent is in alertcheck.go and alertdelivery.go.

func (a *Admin) alertRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/alerts", scope: ScopeRead, handle: a.showAlerts,
			doc: doc{"Show which thresholds are met, and who is told how", nil, Alerts{}, []int{200}}},
		{method: "PUT", path: "/api/v1/alerts/thresholds", scope: ScopeWrite, bodyMax: textMax, handle: a.setThresholds,
			doc: doc{"Set the thresholds", AlertThresholds{}, AlertThresholds{}, []int{200}}},
		{method: "PUT", path: "/api/v1/alerts/mail", scope: ScopeWrite, bodyMax: textMax, handle: a.setMail,
			doc: doc{"Set through which server and to whom mails go", NewAlertMail{}, AlertMail{}, []int{200}}},
		{method: "DELETE", path: "/api/v1/alerts/mail", scope: ScopeWrite, handle: a.removeMail,
			doc: doc{"Send no mails any more", nil, nil, []int{204}}},
		{method: "PUT", path: "/api/v1/alerts/webhook", scope: ScopeWrite, bodyMax: textMax, handle: a.setWebhook,
			doc: doc{"Set where webhooks go", NewAlertWebhook{}, AlertWebhook{}, []int{200}}},
		{method: "DELETE", path: "/api/v1/alerts/webhook", scope: ScopeWrite, handle: a.removeWebhook,
			doc: doc{"Send no webhooks any more", nil, nil, []int{204}}},
		{method: "PUT", path: "/api/v1/alerts/portal", scope: ScopeWrite, bodyMax: textMax, handle: a.setAlertPortal,
			doc: doc{"Set the portal's address for links in messages", AlertPortal{}, AlertPortal{}, []int{200}}},
		{method: "POST", path: "/api/v1/alerts/check", scope: ScopeWrite, handle: a.checkNow,
			doc: doc{"Evaluate all alerts now", nil, AlertCheck{}, []int{200}}},
		{method: "POST", path: "/api/v1/alerts/test", scope: ScopeWrite, handle: a.sendTest,
			doc: doc{"Send a test message to everywhere, and say what became of it", nil, AlertMessage{}, []int{200}}},
		{method: "GET", path: "/api/v1/alerts/messages", scope: ScopeRead, handle: a.listAlertMessages,
			doc: doc{"List the messages with their deliveries, newest first", nil, AlertMessageList{}, []int{200}}},
	}
}

// Alerts is how usage alerts stand.
type Alerts struct {
	Evaluated  time.Time       `json:"evaluated,omitzero"` // missing: not since the start
	Met        []MetThreshold  `json:"met"`
	Thresholds AlertThresholds `json:"thresholds"`
	Mail       *AlertMail      `json:"mail,omitempty"`
	Webhook    *AlertWebhook   `json:"webhook,omitempty"`
	Portal     string          `json:"portal"` // where links in messages lead
}

// MetThreshold is a threshold that is met and was told, or would have been if
// there were somebody to tell.
type MetThreshold struct {
	Rule      alerts.Rule `json:"rule"`
	Subject   string      `json:"subject"`   // item or project
	Threshold uint64      `json:"threshold"` // percent; of expiry days before
}

// AlertThresholds are the thresholds [ALRT-1]..[ALRT-5].
type AlertThresholds alerts.Thresholds

// AlertMail is how mails are sent, without the password.
type AlertMail struct {
	Host        string         `json:"host"`
	Port        int            `json:"port"`
	TLS         alerts.TLSMode `json:"tls"`
	Trust       alerts.Trust   `json:"trust"`
	From        string         `json:"from"`
	To          string         `json:"to"`
	CC          string         `json:"cc"`
	BCC         string         `json:"bcc"`
	User        string         `json:"user"`
	PasswordSet time.Time      `json:"passwordSet,omitzero"` // when; missing: there is none
}

// NewAlertMail sets how mails are sent. Addresses are separated by ";". Without a
// password the one that is there stays, an empty one takes it away.
type NewAlertMail struct {
	Host     string         `json:"host"`
	Port     int            `json:"port,omitempty"`
	TLS      alerts.TLSMode `json:"tls,omitempty"`
	Trust    alerts.Trust   `json:"trust,omitzero"`
	From     string         `json:"from"`
	To       string         `json:"to"`
	CC       string         `json:"cc,omitempty"`
	BCC      string         `json:"bcc,omitempty"`
	User     string         `json:"user,omitempty"`
	Password *string        `json:"password,omitempty"`
}

// AlertWebhook is where webhooks go, without the secret.
type AlertWebhook struct {
	URL       string       `json:"url"`
	Trust     alerts.Trust `json:"trust"`
	SecretSet time.Time    `json:"secretSet,omitzero"`
}

// NewAlertWebhook sets where webhooks go. Without a secret the one that is there stays.
type NewAlertWebhook struct {
	URL    string       `json:"url"`
	Trust  alerts.Trust `json:"trust,omitzero"`
	Secret *string      `json:"secret,omitempty"`
}

// AlertPortal is the address of the portal; "" for the server's own.
type AlertPortal struct {
	URL string `json:"url"`
}

// alertSettings are the settings as they are stored.
type alertSettings struct {
	Thresholds  *alerts.Thresholds `json:"thresholds,omitempty"` // nil: the defaults
	Mail        *alerts.Mail       `json:"mail,omitempty"`
	PasswordSet int64              `json:"passwordSet,omitempty"` // unix seconds
	Webhook     *alerts.Webhook    `json:"webhook,omitempty"`
	SecretSet   int64              `json:"secretSet,omitempty"`
	Portal      string             `json:"portal,omitempty"`
}

func (s *alertSettings) thresholds() alerts.Thresholds {
	if s.Thresholds != nil {
		return *s.Thresholds
	}
	return alerts.Defaults()
}

// channels are the ways to tell the operator.
func (s *alertSettings) channels() (list []string) {
	if s.Mail != nil {
		list = append(list, channelMail)
	}
	if s.Webhook != nil {
		list = append(list, channelWebhook)
	}
	return list
}

func (s *alertSettings) mailView() *AlertMail {
	if s.Mail == nil {
		return nil
	}
	m := s.Mail
	return &AlertMail{
		Host: m.Host, Port: m.Port, TLS: m.TLS, Trust: m.Trust, From: m.From, To: m.To, CC: m.CC, BCC: m.BCC,
		User: m.User, PasswordSet: unixTime(s.PasswordSet),
	}
}

func (s *alertSettings) webhookView() *AlertWebhook {
	if s.Webhook == nil {
		return nil
	}
	return &AlertWebhook{URL: s.Webhook.URL, Trust: s.Webhook.Trust, SecretSet: unixTime(s.SecretSet)}
}

// alertView is what the audit compares.
type alertView struct {
	Thresholds alerts.Thresholds `json:"thresholds"`
	Mail       *AlertMail        `json:"mail"`
	Webhook    *AlertWebhook     `json:"webhook"`
	Portal     string            `json:"portal"`
}

func (s *alertSettings) view() alertView {
	return alertView{s.thresholds(), s.mailView(), s.webhookView(), s.Portal}
}

// alertSettings are the settings in force.
func (a *Admin) alertSettings(ctx context.Context) (alertSettings, error) {
	list, err := a.alerting.settings.all(ctx, a)
	if err != nil || len(list) == 0 {
		return alertSettings{}, err
	}
	return list[0].v, nil
}

// editAlerts changes the settings, and says so in the audit.
func (a *Admin) editAlerts(r *http.Request, what string, change func(s *alertSettings, now int64) error) (after alertSettings, err error) {
	err = a.alerting.settings.edit(r.Context(), a, func(c *engine.Core, before []record[alertSettings]) error {
		after = alertSettings{}
		if len(before) > 0 {
			after = before[0].v
		}
		was := after.view()
		if err := change(&after, c.Now()); err != nil {
			return err
		}
		if err := a.alerting.settings.put(c, 1, &after); err != nil {
			return err
		}
		return a.record(c, r, what, "alerts", was, after.view())
	})
	if err == nil {
		a.alerting.wake()
	}
	return after, err
}

func (a *Admin) showAlerts(w http.ResponseWriter, r *http.Request) error {
	s, err := a.alertSettings(r.Context())
	if err != nil {
		return err
	}
	answer := Alerts{
		Met: []MetThreshold{}, Thresholds: AlertThresholds(s.thresholds()), Mail: s.mailView(), Webhook: s.webhookView(), Portal: a.portalURL(&s),
	}
	if last := a.alerting.last.Load(); last != nil {
		answer.Evaluated = unixTime(last.at)
		for _, m := range last.met {
			answer.Met = append(answer.Met, MetThreshold(m))
		}
	}
	return writeJSON(w, http.StatusOK, answer)
}

// portalURL is where links in messages lead; it ends with a slash.
func (a *Admin) portalURL(s *alertSettings) string {
	base := a.URL
	if s.Portal != "" {
		base = s.Portal
	}
	return strings.TrimSuffix(base, "/") + "/"
}

func (a *Admin) setThresholds(w http.ResponseWriter, r *http.Request) error {
	in := AlertThresholds(alerts.Defaults())
	if err := readJSON(r, &in); err != nil {
		return err
	}
	t := alerts.Thresholds(in)
	for _, list := range []*[]uint64{&t.Seats, &t.DailySeats, &t.Uses, &t.Overuse, &t.Failures, &t.ExpiryDays} {
		*list = slices.Sorted(slices.Values(append([]uint64{}, *list...)))
		if *list == nil {
			*list = []uint64{} // in JSON a list
		}
	}
	if err := t.Check(); err != nil {
		return err
	}
	s, err := a.editAlerts(r, "alerts.thresholds", func(s *alertSettings, _ int64) error { s.Thresholds = &t; return nil })
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, AlertThresholds(s.thresholds()))
}

func (a *Admin) setMail(w http.ResponseWriter, r *http.Request) error {
	var in NewAlertMail
	if err := readJSON(r, &in); err != nil {
		return err
	}
	s, err := a.editAlerts(r, "alerts.mail", func(s *alertSettings, now int64) error {
		m := &alerts.Mail{
			Host: in.Host, Port: in.Port, TLS: in.TLS, Trust: in.Trust, From: in.From, To: in.To, CC: in.CC, BCC: in.BCC, User: in.User,
		}
		switch {
		case in.Password != nil:
			m.Password, s.PasswordSet = *in.Password, now
		case s.Mail != nil && (s.Mail.Host != in.Host || s.Mail.Password != "" && s.Mail.User != in.User):
			// A password is for one server and one user: nobody can have it sent elsewhere.
			s.PasswordSet = 0
		case s.Mail != nil:
			m.Password = s.Mail.Password
		}
		if m.Password == "" {
			s.PasswordSet = 0
		}
		s.Mail = m
		return m.Check()
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.mailView())
}

func (a *Admin) removeMail(w http.ResponseWriter, r *http.Request) error {
	return a.removeChannel(w, r, "alerts.mail", func(s *alertSettings, _ int64) error { s.Mail, s.PasswordSet = nil, 0; return nil })
}

func (a *Admin) setWebhook(w http.ResponseWriter, r *http.Request) error {
	var in NewAlertWebhook
	if err := readJSON(r, &in); err != nil {
		return err
	}
	s, err := a.editAlerts(r, "alerts.webhook", func(s *alertSettings, now int64) error {
		hook := &alerts.Webhook{URL: in.URL, Trust: in.Trust}
		if in.Secret != nil {
			hook.Secret, s.SecretSet = *in.Secret, now
		} else if s.Webhook != nil {
			hook.Secret = s.Webhook.Secret
		}
		s.Webhook = hook
		return hook.Check()
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.webhookView())
}

func (a *Admin) removeWebhook(w http.ResponseWriter, r *http.Request) error {
	return a.removeChannel(w, r, "alerts.webhook", func(s *alertSettings, _ int64) error { s.Webhook, s.SecretSet = nil, 0; return nil })
}

func (a *Admin) removeChannel(w http.ResponseWriter, r *http.Request, what string, remove func(*alertSettings, int64) error) error {
	if _, err := a.editAlerts(r, what, remove); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *Admin) setAlertPortal(w http.ResponseWriter, r *http.Request) error {
	var in AlertPortal
	if err := readJSON(r, &in); err != nil {
		return err
	}
	u, err := url.Parse(in.URL)
	if in.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || len(in.URL) > 500 || strings.ContainsFunc(in.URL, unicode.IsControl)) {
		return refusedField(http.StatusUnprocessableEntity, "invalid", "url", "url %q: expected the address of the portal, such as https://licenses.example.com/; \"\" for %s", in.URL, a.URL)
	}
	s, err := a.editAlerts(r, "alerts.portal", func(s *alertSettings, _ int64) error { s.Portal = in.URL; return nil })
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, AlertPortal{URL: a.portalURL(&s)})
}
