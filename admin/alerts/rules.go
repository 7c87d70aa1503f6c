package alerts

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rule is what a measure is held against.
type Rule string

// The rules. The names stand in stored state and in webhooks: they are frozen.
const (
	Seats      Rule = "seats"       // seats of a device or server item, of its quota [ALRT-1]
	DailySeats Rule = "daily-seats" // the same of device-daily, whose seats come and go every day [ALRT-1]
	Uses       Rule = "uses"        // scans or pages, of the quota [ALRT-2]
	Overuse    Rule = "overuse"     // device-slots or instance-slots, of the overuse budget [ALRT-3]
	Failures   Rule = "failures"    // refused requests of a project, of all in 24 hours [ALRT-4]
	Expiry     Rule = "expiry"      // days until an item expires; 0: its grace begins [ALRT-5]
)

// Thresholds say when to tell. Those of Expiry are days, the others percents.
type Thresholds struct {
	Seats      []uint64 `json:"seats"`
	DailySeats []uint64 `json:"dailySeats"`
	Uses       []uint64 `json:"uses"`
	Overuse    []uint64 `json:"overuse"`
	Failures   []uint64 `json:"failures"`
	// FailureDevicesMin is how many distinct devices must have asked before a share
	// of failures says anything.
	FailureDevicesMin uint64   `json:"failureDevicesMin"`
	ExpiryDays        []uint64 `json:"expiryDays"`
}

// Defaults are the thresholds of a new server.
func Defaults() Thresholds {
	return Thresholds{
		Seats: []uint64{60, 80, 100, 110}, DailySeats: []uint64{100, 110}, Uses: []uint64{60, 80, 100, 105},
		Overuse: []uint64{60, 80, 100}, Failures: []uint64{10, 20, 40, 60, 80, 100}, FailureDevicesMin: 20,
		ExpiryDays: []uint64{0, 1, 7, 30},
	}
}

const (
	// rearmPoints is how far below its threshold a value arms it again [ALRT-6].
	rearmPoints = 5

	thresholdsMax = 20   // of one rule
	percentMax    = 1000 // an operator may care for what is far beyond the quota
	daysMax       = 3650
)

func (t *Thresholds) of(r Rule) []uint64 {
	return map[Rule][]uint64{
		Seats: t.Seats, DailySeats: t.DailySeats, Uses: t.Uses, Overuse: t.Overuse, Failures: t.Failures, Expiry: t.ExpiryDays,
	}[r]
}

// Check says what is wrong with thresholds, as a [Fault]. An empty list switches
// its rule off.
func (t *Thresholds) Check() error {
	lists := []struct {
		field     string
		list      []uint64
		low, high uint64
	}{
		{"seats", t.Seats, 1, percentMax}, {"dailySeats", t.DailySeats, 1, percentMax}, {"uses", t.Uses, 1, percentMax},
		{"overuse", t.Overuse, 1, percentMax}, {"failures", t.Failures, 1, 100}, {"expiryDays", t.ExpiryDays, 0, daysMax},
	}
	for _, l := range lists {
		if len(l.list) > thresholdsMax {
			return fault(l.field, "%d thresholds: at most %d", len(l.list), thresholdsMax)
		}
		for i, v := range l.list {
			if v < l.low || v > l.high {
				return fault(l.field, "threshold %d: expected %d to %d", v, l.low, l.high)
			}
			if slices.Contains(l.list[:i], v) {
				return fault(l.field, "threshold %d stands twice in the list", v)
			}
		}
	}
	return nil
}

// Fault is what is wrong with a setting.
type Fault struct {
	Field string // JSON name
	Text  string
}

// Error names the field.
func (f *Fault) Error() string { return f.Field + ": " + f.Text }

func fault(field, format string, args ...any) *Fault {
	return &Fault{field, fmt.Sprintf(format, args...)}
}

// Measure is what one rule looks at, of one item or project.
type Measure struct {
	Rule    Rule   `json:"rule"`
	Subject string `json:"subject"` // item name LicenseId/ItemId, or project id
	// Title is what people call it, "" for nothing but the subject.
	Title string `json:"title,omitempty"`
	Value uint64 `json:"value"` // used, or refused
	Of    uint64 `json:"of"`    // quota, budget, or all requests
	// Devices is how many distinct devices asked, of Failures.
	Devices uint64 `json:"devices,omitempty"`
	Expiry  int64  `json:"expiry,omitempty"` // unix seconds, of Expiry
	End     int64  `json:"end,omitempty"`    // of the grace
	// Paused: nobody can use it at present, so nothing is told, and nothing forgotten.
	Paused bool `json:"-"`
}

func (m *Measure) key() string { return string(m.Rule) + " " + m.Subject }

// Alert is a measure that newly met a threshold.
type Alert struct {
	Measure
	Threshold uint64 `json:"threshold"` // the furthest one that is newly met; percent, or days
}

// State is which thresholds are met, by rule and subject ("seats 100001/readers"):
// those will not be told again before they are armed anew.
type State map[string][]uint64

// Evaluate holds measures against thresholds at a unix second. next is the state
// from then on; subjects without a measure are forgotten. alerts are those newly
// met, one for each measure [ALRT-6].
func Evaluate(t Thresholds, now int64, measures []Measure, before State) (next State, alerts []Alert) {
	next = State{}
	for i := range measures {
		m := &measures[i]
		was := before[m.key()]
		if m.Paused {
			if len(was) > 0 {
				next[m.key()] = was
			}
			continue
		}
		var met, fresh []uint64
		for _, threshold := range t.of(m.Rule) {
			known := slices.Contains(was, threshold)
			switch reached := m.meets(threshold, now, &t); {
			case known && !m.rearms(threshold, now, &t):
				met = append(met, threshold)
			case !known && reached:
				met, fresh = append(met, threshold), append(fresh, threshold)
			}
		}
		if len(met) > 0 {
			next[m.key()] = met
		}
		if len(fresh) > 0 {
			alerts = append(alerts, Alert{Measure: *m, Threshold: m.furthest(fresh)})
		}
	}
	return next, alerts
}

// furthest is the threshold that comes last as things get worse.
func (m *Measure) furthest(thresholds []uint64) uint64 {
	if m.Rule == Expiry {
		return slices.Min(thresholds)
	}
	return slices.Max(thresholds)
}

const daySeconds = 86400

func (m *Measure) meets(threshold uint64, now int64, t *Thresholds) bool {
	switch {
	case m.Rule == Expiry:
		return now >= m.Expiry-int64(threshold)*daySeconds
	case m.Rule == Failures && m.Devices < t.FailureDevicesMin:
		return false
	}
	return m.Of > 0 && m.Value >= percent(m.Of, threshold)
}

// rearms says whether a threshold that was met may be told again: the value is
// rearmPoints below it. Of a small quota, where both are the same number, it has
// to be below the threshold at least.
func (m *Measure) rearms(threshold uint64, now int64, t *Thresholds) bool {
	if m.Rule == Expiry {
		return !m.meets(threshold, now, t)
	}
	low := percent(m.Of, threshold-min(threshold, rearmPoints))
	return m.Value <= low && (m.Value < percent(m.Of, threshold) || m.Of == 0)
}

// percent of a quota in integers, rounded half up, as everywhere in licensing.
func percent(of, p uint64) uint64 { return (of*p + 50) / 100 }

// Met is one threshold of a state.
type Met struct {
	Rule      Rule
	Subject   string
	Threshold uint64
}

// List is a state in a fixed order.
func (s State) List() (list []Met) {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		rule, subject, _ := strings.Cut(key, " ")
		for _, threshold := range s[key] {
			list = append(list, Met{Rule(rule), subject, threshold})
		}
	}
	slices.SortStableFunc(list, func(a, b Met) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Threshold, b.Threshold))
	})
	return list
}
