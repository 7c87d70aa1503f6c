package portal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"muster/admin"
)

// attention is something that an operator should know, with where to look.
type attention struct {
	Tone   string // bad, near, idle
	Text   string
	Detail string
	Link   string // from the portal's root
}

// Times before an expiry at which it is worth saying, as for alerts [ALRT-5].
const (
	expirySoon   = 30 * 24 * time.Hour
	expiryUrgent = 7 * 24 * time.Hour
)

// attentions is what wants to be looked at, the worst first.
func attentions(server *admin.Server, rows []itemRow, denials admin.Statistics, now time.Time) (list []attention) {
	if server.Moved {
		list = append(list, attention{"bad", "This server woke on another machine and has a new UUID",
			"Licenses bound to the old one are suspended (error 113) until the vendor rebinds them with a new revision.", "items?show=all"})
	}
	if off := server.Clock.OffsetSeconds; off != 0 {
		list = append(list, attention{"bad", "The machine’s clock jumped to " + moment(server.Clock.Time.Add(time.Duration(off)*time.Second)) + " and is not followed",
			"Set it right, or, if it is right now, run “muster clock accept”.", ""})
	}
	for i := range rows {
		r := &rows[i]
		list = append(list, validity(r, now)...)
		list = append(list, fullness(r)...)
	}
	for _, warning := range forPortal(server.Addresses.Warnings) {
		list = append(list, attention{"near", "Devices may not reach this server", warning, "projects"})
	}
	list = append(list, denied(denials)...)
	rank := map[string]int{"bad": 0, "near": 1, "idle": 2}
	slices.SortStableFunc(list, func(a, b attention) int { return cmp.Compare(rank[a.Tone], rank[b.Tone]) })
	return list
}

// validity is what is to be said of an item's time.
func validity(r *itemRow, now time.Time) []attention {
	say := func(tone, format string, args ...any) []attention {
		return []attention{{tone, fmt.Sprintf(format, args...), r.Permits(), itemPath(r.Name)}}
	}
	left := r.Expiry.Sub(now)
	switch {
	case r.Removed:
		return nil
	case r.State == "suspended":
		a := say("bad", "%s is suspended", r.Name)
		a[0].Detail = r.Suspended
		return a
	case r.State == "in grace":
		return say("bad", "%s expired and serves its grace until %s", r.Name, moment(r.End))
	case r.State == "expired" && now.Sub(r.End) < expirySoon && len(r.Projects) > 0:
		return say("near", "%s expired on %s; devices get error 111", r.Name, day(r.LastDay()))
	case r.State == "active" && left < expiryUrgent:
		return say("bad", "%s expires in %s", r.Name, rough(int64(left/time.Second)))
	case r.State == "active" && left < expirySoon:
		return say("near", "%s expires in %s", r.Name, rough(int64(left/time.Second)))
	}
	return nil
}

// fullness is what is to be said of an item's quota.
func fullness(r *itemRow) []attention {
	g := &r.Gauge
	if !inForce(&r.Item) || g.Tone == "good" {
		return nil
	}
	a := attention{"near", fmt.Sprintf("%s is %d %% used", r.Name, g.Percent), fmt.Sprintf("%s of %s %s", number(g.Used), number(g.Quota), g.Unit), itemPath(r.Name)}
	switch {
	case isConcurrent(r.ChargeWay) && g.Used >= g.Quota:
		a.Tone, a.Text = "bad", r.Name+" has spent its budget of overuse"
		a.Detail = fmt.Sprintf("At most %s at the same time are served now, the next gets error 120.", number(r.Quota))
	case g.Used >= r.Usage.Limit && g.Used >= g.Quota:
		a.Tone, a.Text = "bad", r.Name+" is exhausted: new authorizations get error 120"
	case g.Used >= g.Quota:
		a.Text = r.Name + " is used up and serves its tolerance"
	}
	return []attention{a}
}

// denied sums the denials up.
func denied(denials admin.Statistics) []attention {
	var total uint64
	var reasons []string
	lines := slices.Clone(denials.Series)
	slices.SortStableFunc(lines, func(a, b admin.DataLine) int { return -cmp.Compare(a.Total, b.Total) })
	for _, s := range lines {
		if total += s.Total; s.Total > 0 {
			reasons = append(reasons, fmt.Sprintf("%s × %s (%s)", number(s.Total), s.Text, s.Name))
		}
	}
	if total == 0 {
		return nil
	}
	text := number(total) + " authorizations were refused in the last 24 hours"
	if total == 1 {
		text = "1 authorization was refused in the last 24 hours"
	}
	return []attention{{"near", text, strings.Join(reasons[:min(len(reasons), 3)], ", "), "statistics?measure=denials&days=7"}}
}
