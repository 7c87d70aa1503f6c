package portal

import (
	"cmp"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"
)

// functions are what templates can call.
func functions() template.FuncMap {
	return template.FuncMap{
		"asset": kept().address, "icon": kept().icon,
		"number": number, "day": day, "moment": moment, "iso": iso, "plural": plural,
		"at": at, "itemPath": itemPath, "query": url.QueryEscape, "recordsOf": recordsOf, "statisticsOf": func(project, item string) string { return asked("project", project, "item", item) }, "join": strings.Join, "list": func(words ...string) []string { return words },
		"sentence": sentence, "default": func(otherwise, text string) string { return cmp.Or(text, otherwise) },
	}
}

// sentence makes a sentence of a reason that the API gives.
func sentence(text string) string {
	if first, _, _ := strings.Cut(text, " "); text != "" && !strings.Contains(first, "://") {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	if text != "" && !strings.ContainsAny(text[len(text)-1:], ".:!?") {
		text += "."
	}
	return text
}

// number has commas between its thousands.
func number(n any) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// plural is a number with its word: "1 device", "2 devices".
func plural(n any, one, more string) string {
	if fmt.Sprint(n) == "1" {
		return "1 " + one
	}
	return number(n) + " " + more
}

func day(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format(time.DateOnly)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// length is a time that passes, in its largest unit or two.
func length(seconds int64) string {
	units := []struct {
		seconds   int64
		one, more string
	}{{86400, "day", "days"}, {3600, "hour", "hours"}, {60, "minute", "minutes"}, {1, "second", "seconds"}}
	for i, u := range units {
		n := seconds / u.seconds
		if n == 0 && u.seconds > 1 {
			continue
		}
		text := plural(n, u.one, u.more)
		if rest := seconds % u.seconds; n < 3 && i < 2 && rest >= units[i+1].seconds {
			text += " " + plural(rest/units[i+1].seconds, units[i+1].one, units[i+1].more)
		}
		return text
	}
	return ""
}

// Ago is how long ago a time was, or how far it is: "5 minutes ago", "in 3 days".
func (p *page) Ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := int64(p.now.Sub(t) / time.Second)
	switch {
	case d >= 0 && d < 60:
		return "just now"
	case d >= 0:
		return rough(d) + " ago"
	}
	return "in " + rough(-d)
}

// rough is a time that passes in one unit.
func rough(seconds int64) string {
	switch {
	case seconds >= 2*365*86400:
		return plural(seconds/(365*86400), "year", "years")
	case seconds >= 90*86400:
		return plural(seconds/(30*86400), "month", "months")
	case seconds >= 2*86400:
		return plural(seconds/86400, "day", "days")
	case seconds >= 2*3600:
		return plural(seconds/3600, "hour", "hours")
	case seconds >= 60:
		return plural(seconds/60, "minute", "minutes")
	}
	return plural(seconds, "second", "seconds")
}

// Since is how long a time has lasted.
func (p *page) Since(t time.Time) string {
	return length(max(int64(p.now.Sub(t)/time.Second), 0))
}

// Time is a moment with how long ago that was.
func (p *page) Time(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s UTC">%s</time>`, iso(t), moment(t), p.Ago(t)))
}
