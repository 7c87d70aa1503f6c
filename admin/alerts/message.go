package alerts

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Message is what an operator is told at once.
type Message struct {
	ID     string    // unique, such as 7.812830AF-…@muster: the same at every try
	Test   bool      // sent to see whether it arrives
	Time   time.Time // UTC
	Server string    // UUID
	Portal string    // address of the web portal, ends with a slash
	Alerts []Alert   // at most AlertsMax
	More   int       // how many there were besides
}

// AlertsMax bounds the alerts that a message spells out.
const AlertsMax = 100

// rendered is a message as people read it.
type rendered struct{ subject, plain, html string }

//go:embed mail.html
var mailText string

var mailTemplate = template.Must(template.New("mail").Parse(mailText))

// line is an alert in a message.
type line struct{ Text, Advice, Link string }

func (m *Message) lines() (list []line) {
	for i := range m.Alerts {
		a := &m.Alerts[i]
		list = append(list, line{a.Text(), a.advice(), m.link(a)})
	}
	return list
}

// render writes the message as text and as HTML, from the same lines.
func (m *Message) render() rendered {
	lines := m.lines()
	r := rendered{subject: m.Subject()}
	var text strings.Builder
	if m.Test {
		fmt.Fprintf(&text, "This is a test of muster's usage alerts: they arrive here.\n\n")
	}
	for _, l := range lines {
		fmt.Fprintf(&text, "- %s\n  %s\n  %s\n\n", l.Text, l.Advice, l.Link)
	}
	if m.More > 0 {
		fmt.Fprintf(&text, "And %d more.\n\n", m.More)
	}
	fmt.Fprintf(&text, "All alerts, and who is told: %salerts\nServer %s, %s\n", m.Portal, m.Server, m.when())
	r.plain = text.String()

	var html bytes.Buffer
	err := mailTemplate.Execute(&html, map[string]any{
		"Subject": r.subject, "Test": m.Test, "Lines": lines, "More": m.More, "Alerts": m.Portal + "alerts", "Server": m.Server, "When": m.when(),
	})
	if err != nil {
		panic("alerts: the mail's template: " + err.Error()) // it is given strings alone
	}
	r.html = html.String()
	return r
}

func (m *Message) when() string { return m.Time.UTC().Format("2006-01-02 15:04 UTC") }

// Subject is the message in a line.
func (m *Message) Subject() string {
	switch len(m.Alerts) {
	case 0:
		return "muster: test of usage alerts"
	case 1:
		return "muster: " + m.Alerts[0].Text()
	}
	return fmt.Sprintf("muster: %d usage alerts, the first: %s", len(m.Alerts)+m.More, m.Alerts[0].Text())
}

// link leads to what the alert is about.
func (m *Message) link(a *Alert) string {
	if a.Rule == Failures {
		return m.Portal + "statistics?measure=denials&days=7&project=" + url.QueryEscape(a.Subject)
	}
	license, item, _ := strings.Cut(a.Subject, "/")
	return m.Portal + "items/" + url.PathEscape(license) + "/" + url.PathEscape(item)
}

// oneLine keeps a name that vendors and operators chose from being more than a
// part of a line.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}

// Text says what is met, in a sentence without its full stop.
func (a *Alert) Text() string {
	name := a.Subject
	if a.Title != "" && a.Title != a.Subject {
		name += " (" + a.Title + ")"
	}
	share := fmt.Sprintf("%d %%", a.Value*100/max(a.Of, 1))
	text := ""
	switch a.Rule {
	case Seats, DailySeats:
		text = fmt.Sprintf("%s: %d of %d seats are held (%s)", name, a.Value, a.Of, share)
	case Uses:
		text = fmt.Sprintf("%s: %d of %d are used (%s)", name, a.Value, a.Of, share)
	case Overuse:
		text = fmt.Sprintf("%s: %d of %d of the overuse budget are spent (%s)", name, a.Value, a.Of, share)
	case Failures:
		text = fmt.Sprintf("%s: %d of %d authorizations failed in 24 hours (%s), of %d devices", name, a.Value, a.Of, share, a.Devices)
	case Expiry:
		text = fmt.Sprintf("%s: %s", name, a.expiryText())
	}
	return oneLine(text)
}

func (a *Alert) expiryText() string {
	at := func(unix int64) string { return time.Unix(unix, 0).UTC().Format("2006-01-02 15:04 UTC") }
	switch {
	case a.Threshold == 0 && a.End > a.Expiry:
		return fmt.Sprintf("expired at %s, its grace ends at %s", at(a.Expiry), at(a.End))
	case a.Threshold == 0:
		return "expired at " + at(a.Expiry)
	}
	days := "days"
	if a.Threshold == 1 {
		days = "day"
	}
	return fmt.Sprintf("expires in less than %d %s, at %s", a.Threshold, days, at(a.Expiry))
}

// advice is what can be done about it.
func (a *Alert) advice() string {
	full := a.Threshold >= 100
	return cmp.Or(map[Rule]string{
		Seats:      pick(full, "The quota is used up: further devices come in within the tolerance only, then they get error 120. Free seats that are not needed, or ask your vendor for a larger quota.", "Ask your vendor for a larger quota before it is used up; further devices would get error 120."),
		DailySeats: "More devices came today than the quota allows for: the next ones get error 120. If that is so every day, ask your vendor for a larger quota.",
		Uses:       pick(full, "The quota is used up: what the tolerance leaves is served, then every device gets error 120. Ask your vendor for a larger quota.", "Ask your vendor for a larger quota before it is used up; every device would get error 120."),
		Overuse:    pick(full, "The budget is spent: no more than the quota is served at the same time, the next gets error 120.", "When the budget is spent, no more than the quota is served at the same time."),
		Failures:   "The statistics of the project show which errors these were.",
		Expiry:     pick(a.Threshold == 0, "When its time is over, devices get error 111. Import a renewed license file.", "Ask your vendor for a renewed license file and import it in time."),
	}[a.Rule], "See the portal.")
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}
