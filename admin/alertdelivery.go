package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"muster/admin/alerts"
	"muster/engine"
)

// Ways to tell the operator.
const (
	channelMail    = "mail"
	channelWebhook = "webhook"
)

// States of a delivery.
const (
	deliveryPending   = "pending"
	deliveryDelivered = "delivered"
	deliveryFailed    = "failed"
)

const (
	// messagesMax bounds the messages that are kept; the oldest go.
	messagesMax = 200
	// deliverAgain is the time to the second try; each further wait is twice as
	// long, up to deliverAgainMax.
	deliverAgain    = time.Minute
	deliverAgainMax = time.Hour
	// deliverFor is when a delivery is given up.
	deliverFor = 24 * time.Hour
	// deliveryErrorMax bounds what is kept of an error, bytes.
	deliveryErrorMax = 500
)

// AlertMessage is a message and what became of it.
type AlertMessage struct {
	Number     uint32          `json:"number"`
	Time       time.Time       `json:"time"`
	Test       bool            `json:"test,omitempty"`
	Alerts     []AlertLine     `json:"alerts"`
	More       int             `json:"more,omitempty"` // alerts that are left out
	Deliveries []AlertDelivery `json:"deliveries"`
}

// AlertLine is an alert of a message.
type AlertLine struct {
	Rule      alerts.Rule `json:"rule"`
	Subject   string      `json:"subject"`
	Threshold uint64      `json:"threshold"`
	Text      string      `json:"text"`
}

// AlertDelivery is the way of a message to one channel.
type AlertDelivery struct {
	Channel  string    `json:"channel"` // mail or webhook
	State    string    `json:"state"`   // pending, delivered or failed
	Attempts int       `json:"attempts"`
	Last     time.Time `json:"last,omitzero"` // attempt
	Next     time.Time `json:"next,omitzero"` // attempt, while pending
	Error    string    `json:"error,omitempty"`
}

// AlertMessageList is the answer to GET alerts/messages, newest first.
type AlertMessageList struct {
	Messages []AlertMessage `json:"messages"`
}

// alertMessage is a message as it is stored.
type alertMessage struct {
	Time       int64          `json:"time"` // unix seconds, like all here
	Test       bool           `json:"test,omitempty"`
	Alerts     []alerts.Alert `json:"alerts,omitempty"`
	More       int            `json:"more,omitempty"`
	Deliveries []delivery     `json:"deliveries"`
}

type delivery struct {
	Channel  string `json:"channel"`
	State    string `json:"state"`
	Attempts int    `json:"attempts,omitempty"`
	Last     int64  `json:"last,omitempty"`
	Next     int64  `json:"next,omitempty"`
	Error    string `json:"error,omitempty"`
}

// deliveryCounts are for metrics; they begin at zero with the process.
type deliveryCounts struct{ delivered, failed [2]atomic.Uint64 } // by index in channelNames

var channelNames = [2]string{channelMail, channelWebhook}

func newAlertMessage(now int64, list []alerts.Alert, channels []string) *alertMessage {
	m := &alertMessage{Time: now, Alerts: list[:min(len(list), alerts.AlertsMax)], More: max(len(list)-alerts.AlertsMax, 0)}
	for _, channel := range channels {
		m.Deliveries = append(m.Deliveries, delivery{Channel: channel, State: deliveryPending, Next: now})
	}
	return m
}

// addMessage stores a message, in an edit, and forgets the oldest ones.
func (a *Admin) addMessage(c *engine.Core, before []record[alertMessage], m *alertMessage) (uint32, error) {
	for i := range len(before) - messagesMax + 1 {
		a.alerting.messages.remove(c, before[i].id)
	}
	return a.alerting.messages.add(c, m)
}

func (m *alertMessage) view(number uint32) AlertMessage {
	v := AlertMessage{Number: number, Time: unixTime(m.Time), Test: m.Test, Alerts: []AlertLine{}, More: m.More, Deliveries: []AlertDelivery{}}
	for i := range m.Alerts {
		at := &m.Alerts[i]
		v.Alerts = append(v.Alerts, AlertLine{at.Rule, at.Subject, at.Threshold, at.Text()})
	}
	for _, d := range m.Deliveries {
		v.Deliveries = append(v.Deliveries, AlertDelivery{d.Channel, d.State, d.Attempts, unixTime(d.Last), unixTime(d.Next), d.Error})
	}
	return v
}

func (a *Admin) listAlertMessages(w http.ResponseWriter, r *http.Request) error {
	list, err := a.alerting.messages.all(r.Context(), a)
	if err != nil {
		return err
	}
	answer := AlertMessageList{Messages: []AlertMessage{}}
	for _, m := range slices.Backward(list) {
		answer.Messages = append(answer.Messages, m.v.view(m.id))
	}
	return writeJSON(w, http.StatusOK, answer)
}

// deliverAlerts tries every delivery that is due once, and notes what became of it.
func (a *Admin) deliverAlerts(ctx context.Context) error {
	list, err := a.alerting.messages.all(ctx, a)
	if err != nil {
		return err
	}
	for _, m := range list {
		for i := range m.v.Deliveries {
			if d := &m.v.Deliveries[i]; d.State != deliveryPending || d.Next > a.now() {
				continue
			}
			if err := a.deliver(ctx, m, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// deliver tries one delivery. A process that dies between the sending and the
// note sends again, under the same message id.
func (a *Admin) deliver(ctx context.Context, m record[alertMessage], i int) error {
	d := m.v.Deliveries[i]
	settings, err := a.alertSettings(ctx)
	if err != nil {
		return err
	}
	sent := a.send(ctx, &settings, m, d.Channel)
	if ctx.Err() != nil {
		return ctx.Err() // the server stops: it is tried again after the next start
	}
	d.note(sent, a.now(), m.v.Time)
	a.said(m, &d, sent)
	return a.alerting.messages.edit(ctx, a, func(c *engine.Core, now []record[alertMessage]) error {
		at := slices.IndexFunc(now, func(r record[alertMessage]) bool { return r.id == m.id })
		if at < 0 {
			return nil // there were so many that it is forgotten
		}
		now[at].v.Deliveries[i] = d
		return a.alerting.messages.put(c, m.id, &now[at].v)
	})
}

// note is what became of a try.
func (d *delivery) note(err error, now, made int64) {
	d.Attempts++
	d.Last, d.Next, d.Error = now, 0, ""
	if err == nil {
		d.State = deliveryDelivered
		return
	}
	text := err.Error()
	d.Error = strings.ToValidUTF8(text[:min(len(text), deliveryErrorMax)], "")
	wait := deliverAgainMax
	if d.Attempts <= 6 { // beyond, twice as long is longer than that
		wait = min(deliverAgain<<(d.Attempts-1), deliverAgainMax)
	}
	d.Next = now + int64(wait/time.Second)
	if d.Next-made > int64(deliverFor/time.Second) || errors.Is(err, errChannelGone) {
		d.State, d.Next = deliveryFailed, 0
	}
}

// said logs and counts a try: the first failure and the last, not each of them.
func (a *Admin) said(m record[alertMessage], d *delivery, err error) {
	channel := slices.Index(channelNames[:], d.Channel)
	counts := &a.alerting.counts
	switch {
	case err == nil:
		counts.delivered[channel].Add(1)
		a.Log.Info("alert message delivered", "message", m.id, "channel", d.Channel, "attempts", d.Attempts)
		return
	case d.State == deliveryFailed:
		a.Log.Error("alert message given up; mend the channel and send a test (muster alerts test)", "message", m.id, "channel", d.Channel, "attempts", d.Attempts, "error", err)
	case d.Attempts == 1:
		a.Log.Warn("alert message not delivered; it is tried again for a day", "message", m.id, "channel", d.Channel, "error", err)
	}
	counts.failed[channel].Add(1)
}

var errChannelGone = errors.New("the channel was removed before the message could be delivered")

// send brings a message to a channel.
func (a *Admin) send(ctx context.Context, s *alertSettings, m record[alertMessage], channel string) error {
	msg := &alerts.Message{
		ID: fmt.Sprintf("%d.%d.%s@muster", m.id, m.v.Time, a.Server), Test: m.v.Test, Time: unixTime(m.v.Time),
		Server: a.Server.String(), Portal: a.portalURL(s), Alerts: m.v.Alerts, More: m.v.More,
	}
	switch {
	case channel == channelMail && s.Mail != nil:
		return s.Mail.Send(ctx, msg)
	case channel == channelWebhook && s.Webhook != nil:
		return s.Webhook.Send(ctx, msg, time.Unix(0, a.Now()))
	}
	return errChannelGone
}

// testTimeout bounds a test of all channels: whoever asked waits for it.
const testTimeout = 25 * time.Second

// sendTest tries every channel once, at once.
func (a *Admin) sendTest(w http.ResponseWriter, r *http.Request) error {
	settings, err := a.alertSettings(r.Context())
	if err != nil {
		return err
	}
	channels := settings.channels()
	if len(channels) == 0 {
		return refusal(http.StatusConflict, "conflict", "there is nobody to tell: set a mail server or a webhook first (muster alerts mail, muster alerts webhook)")
	}
	ctx, cancel := context.WithTimeout(r.Context(), testTimeout)
	defer cancel()
	m := record[alertMessage]{v: *newAlertMessage(a.now(), nil, channels)}
	m.v.Test = true
	for i := range m.v.Deliveries {
		d := &m.v.Deliveries[i]
		sent := a.send(ctx, &settings, m, d.Channel)
		d.note(sent, a.now(), m.v.Time)
		if sent != nil {
			d.State, d.Next = deliveryFailed, 0 // whoever asked sees it and tries again
		}
	}
	err = a.alerting.messages.edit(r.Context(), a, func(c *engine.Core, before []record[alertMessage]) (err error) {
		if m.id, err = a.addMessage(c, before, &m.v); err != nil {
			return err
		}
		return a.record(c, r, "alerts.test", "alerts", nil, m.v.view(m.id))
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, m.v.view(m.id))
}
