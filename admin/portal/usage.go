package portal

import (
	"fmt"
	"strings"
	"time"

	"muster/admin"
)

// gauge is how much of an item's quota is used, in the unit of its charge way.
type gauge struct {
	Item      string // LicenseId/ItemId
	Counter   string // which counter of the item it shows, as events name it
	Used      uint64
	Quota     uint64
	Percent   uint64 // rounded down: 100 is all of it
	Unit      string
	Tone      string // good, near, full
	Unlimited bool
	Note      string // what happens beyond the quota
}

// nearPercent is from where on an item is worth a look.
const nearPercent = 80

// isConcurrent says whether an item counts what is used at the same time.
func isConcurrent(chargeWay string) bool { return strings.HasPrefix(chargeWay, "concurrent-") }

// metered says whether an item counts scans or pages, not seats.
func metered(chargeWay string) bool { return chargeWay == "scan" || chargeWay == "page" }

// gaugeOf is an item's gauge: scans and pages that were counted, seats that are
// held; of concurrent items what is spent of their budget [CDEV-2].
func gaugeOf(i *admin.Item) gauge {
	g := gauge{Item: i.Name, Counter: "held", Used: i.Usage.Held, Quota: i.Quota, Unit: "devices"}
	switch {
	case i.ChargeWay == "scan":
		g.Counter, g.Used, g.Unit = "uses", i.Usage.Uses, "scans"
	case i.ChargeWay == "page":
		g.Counter, g.Used, g.Unit = "uses", i.Usage.Uses, "pages"
	case i.ChargeWay == "server":
		g.Unit = "servers"
	case i.ChargeWay == "domain":
		g.Unlimited, g.Note = true, "unlimited under its domains"
	case isConcurrent(i.ChargeWay):
		g.Counter, g.Used, g.Quota, g.Unit = "overuse", i.Usage.Overuse, i.OveruseBudget, "of overuse spent"
		g.Note = fmt.Sprintf("%s at the same time, %s authorized now", number(i.Quota), number(i.Usage.Held))
	}
	if g.Quota > 0 {
		g.Percent = g.Used * 100 / g.Quota
	}
	g.Tone = g.tone()
	if !g.Unlimited && !isConcurrent(i.ChargeWay) && g.Used >= g.Quota && i.Usage.Limit > i.Quota {
		g.Note = "on tolerance, up to " + number(i.Usage.Limit)
		if g.Used >= i.Usage.Limit {
			g.Note = "exhausted: more is answered with error 120"
		}
	}
	return g
}

func (g *gauge) tone() string {
	switch {
	case g.Unlimited || g.Percent < nearPercent:
		return "good"
	case g.Used < g.Quota:
		return "near"
	}
	return "full"
}

// badge is a state in one or two words, with its color.
type badge struct{ Tone, Text string }

func stateBadge(state string) badge {
	tones := map[string]string{
		"active": "good", "in grace": "near", "not yet effective": "idle", "expired": "idle", "revoked": "bad", "suspended": "bad",
	}
	return badge{tones[state], state}
}

// inForce says whether an item serves devices.
func inForce(i *admin.Item) bool { return i.State == "active" || i.State == "in grace" }

// itemRow is an item as lists show it.
type itemRow struct {
	admin.Item
	Gauge gauge
	Badge badge
}

func rowOf(i admin.Item) itemRow {
	row := itemRow{Item: i, Gauge: gaugeOf(&i), Badge: stateBadge(i.State)}
	if i.Removed {
		row.Badge = badge{"idle", "removed"}
	}
	return row
}

// LastDay is the last day that the item serves without grace: an expiry is the
// moment behind it.
func (r *itemRow) LastDay() time.Time {
	if r.Expiry.IsZero() {
		return r.Expiry
	}
	return r.Expiry.Add(-time.Second)
}

// Permits says in words what devices may ask for.
func (r *itemRow) Permits() string {
	parts := []string{r.Product}
	if len(r.Versions) > 0 {
		parts = append(parts, "version "+strings.Trim(strings.ReplaceAll(fmt.Sprint(r.Versions), " ", ", "), "[]"))
	}
	for _, word := range []string{r.Edition, r.Deployment} {
		if word != "" {
			parts = append(parts, word)
		}
	}
	if len(r.Modules) > 0 {
		parts = append(parts, strings.Join(r.Modules, ", "))
	}
	return strings.Join(parts, " · ")
}
