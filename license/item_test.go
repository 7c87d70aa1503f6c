package license

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Q plus tolerance, rounded half up: [SCAN-2] 5 %, [DEV-3] 10 %, none for the others.
func TestItemLimit(t *testing.T) {
	tests := []struct {
		way       ChargeWay
		tolerance int16
		quota     uint64
		want      uint64
	}{
		{Scan, -1, 1000, 1050}, {Page, -1, 10, 11}, {Scan, -1, 9, 9}, {Scan, -1, 30, 32}, // 0.5, 0.45, 1.5
		{DeviceYearly, -1, 4, 4}, {DeviceDaily, -1, 5, 6}, {DeviceMonthly, 0, 5, 5}, {DeviceQuarterly, 100, 5, 10},
		{Server, -1, 100, 100}, {ConcurrentDevice, -1, 100, 100}, {Server, 25, 4, 5}, {Scan, -1, 0, 0},
		{Scan, -1, QuotaMax, QuotaMax / 100 * 105}, {Scan, 100, math.MaxUint64, math.MaxUint64},
		{Server, -1, math.MaxUint64, math.MaxUint64}, {Scan, 100, math.MaxUint64 / 2, math.MaxUint64 - 1},
	}
	for _, test := range tests {
		it := Item{ChargeWay: test.way, Tolerance: test.tolerance, Quota: test.quota}
		if got := it.Limit(); got != test.want {
			t.Errorf("%s: quota %d with tolerance %d: limit %d, want %d", test.way, test.quota, test.tolerance, got, test.want)
		}
	}
}

// [DEV-4] a tenth of the quota but at least one; [CDEV-2] 1000 slots for each of the quota.
func TestItemDefaults(t *testing.T) {
	for quota, want := range map[uint64]uint64{0: 1, 9: 1, 10: 1, 59: 5, 1000: 100} {
		it := NewItem(DeviceYearly)
		if it.Quota = quota; it.FreeCapSeats() != want {
			t.Errorf("quota %d: %d seats freed by hand, want %d", quota, it.FreeCapSeats(), want)
		}
	}
	it := NewItem(ConcurrentInstance)
	it.Quota = 10
	if it.OveruseSlots() != 10_000 || it.Deployment != "server" { // [INST-1] and its worked example
		t.Errorf("budget %d, deployment %q", it.OveruseSlots(), it.Deployment)
	}
	it.OveruseBudget, it.FreeCap = 0, 0
	if it.OveruseSlots() != 0 || it.FreeCapSeats() != 0 {
		t.Error("an item's own zero does not count as such")
	}
	if it := NewItem(Server); it.ActiveTime != 15*60 || it.Grace != 7*day || it.OfflineFor != 7*day { // [SRVR-1] [EXH-3] [GRANT-1]
		t.Errorf("defaults %+v", it)
	}
}

// [DEV-1]
func TestChargeWayPeriod(t *testing.T) {
	const day = 24 * time.Hour
	want := map[ChargeWay]time.Duration{DeviceYearly: 365 * day, DeviceQuarterly: 90 * day, DeviceMonthly: 30 * day, DeviceDaily: day}
	for way := range ConcurrentInstance + 3 {
		if way.Period() != want[way] {
			t.Errorf("%s: %s, want %s", way, way.Period(), want[way])
		}
	}
}

// The numbers and names are frozen.
func TestChargeWayNames(t *testing.T) {
	names := "scan page device-yearly device-quarterly device-monthly device-daily concurrent-device server domain concurrent-instance"
	for i, name := range strings.Fields(names) {
		var way ChargeWay
		if err := way.UnmarshalText([]byte(name)); err != nil || way != ChargeWay(i+1) || way.String() != name {
			t.Errorf("%s is %d (%v), want %d", name, way, err, i+1)
		}
	}
	for _, bad := range []string{"", "Scan", "charge-way-0", "device"} {
		if way, err := ParseChargeWay(bad); err == nil {
			t.Errorf("%q is taken for %s", bad, way)
		}
	}
	for _, way := range []ChargeWay{0, ConcurrentInstance + 1} {
		if text, err := way.MarshalText(); err == nil {
			t.Errorf("%d is marshalled to %s", uint8(way), text)
		}
	}
}

// A term that is out of bounds, or that means nothing for the charge way, is refused: nobody would enforce it. [FILE-1]
func TestItemFaults(t *testing.T) {
	tests := []struct {
		field  string
		way    ChargeWay
		change func(*Item)
	}{
		{"ItemId", Scan, func(it *Item) { it.ID = "a b" }},
		{"ItemId", Scan, func(it *Item) { it.ID = strings.Repeat("a", 33) }},
		{"ItemId", Scan, func(it *Item) { it.ID = "" }},
		{"Product", Scan, func(it *Item) { it.Product = "" }},
		{"Product", Scan, func(it *Item) { it.Product = "p/q" }},
		{"Description", Scan, func(it *Item) { it.Description = " x" }},
		{"Description", Scan, func(it *Item) { it.Description = "two\nlines" }},
		{"DependsOn", Scan, func(it *Item) { it.DependsOn = "a/b/c" }},
		{"Edition", Scan, func(it *Item) { it.Edition = "a,b" }},
		{"Deployment", Scan, func(it *Item) { it.Deployment = "cloud" }},
		{"Deployment", ConcurrentInstance, func(it *Item) { it.Deployment = "" }}, // [INST-1]
		{"Modules", Scan, func(it *Item) { it.Modules = []string{"a", "a"} }},
		{"Modules", Scan, func(it *Item) { it.Modules = []string{"a b"} }},
		{"Modules", Scan, func(it *Item) { it.Modules = make([]string, ListMax+1) }},
		{"Modules", Page, func(it *Item) { it.Modules = []string{"core", "QR"} }}, // [PAGE-1]
		{"Versions", Scan, func(it *Item) { it.Versions = []uint16{1, 2, 1} }},
		{"Networks", Scan, func(it *Item) { it.Networks = make([]netip.Prefix, 1) }},
		{"ChargeWay", 0, func(*Item) {}},
		{"ChargeWay", ConcurrentInstance + 1, func(*Item) {}},
		{"Quota", Scan, func(it *Item) { it.Quota = QuotaMax + 1 }},
		{"Tolerance", Scan, func(it *Item) { it.Tolerance = 101 }},
		{"Tolerance", Scan, func(it *Item) { it.Tolerance = -2 }},
		{"Start", Scan, func(it *Item) { it.Start = -1 }},
		{"Expiry", Scan, func(it *Item) { it.Expiry = it.Start }},
		{"Expiry", Scan, func(it *Item) { it.Expiry = timeMax + 1 }},
		{"Grace", Scan, func(it *Item) { it.Grace = -1 }},
		{"OfflineFor", Scan, func(it *Item) { it.OfflineFor = durationMax + 1 }},
		{"FromFirstUse", Scan, func(it *Item) { it.FromFirstUse = true }}, // [DEV-1]
		{"FreeCap", Server, func(it *Item) { it.FreeCap = 3 }},
		{"FreeCap", DeviceDaily, func(it *Item) { it.FreeCap = -2 }},
		{"OveruseBudget", Scan, func(it *Item) { it.OveruseBudget = 3 }},
		{"OveruseBudget", ConcurrentDevice, func(it *Item) { it.OveruseBudget = 1000*QuotaMax + 1 }},
		{"ActiveTime", Scan, func(it *Item) { it.ActiveTime = 900 }},
		{"ActiveTime", Server, func(it *Item) { it.ActiveTime = 0 }},
		{"Domains", Domain, func(*Item) {}}, // [DOM-1]
		{"Domains", Scan, func(it *Item) { it.Domains = []string{"example.com"} }},
		{"Domains", Domain, func(it *Item) { it.Domains = []string{"*.example.com"} }},
		{"Domains", Domain, func(it *Item) { it.Domains = []string{"Example.com"} }},
		{"Domains", Domain, func(it *Item) { it.Domains = []string{"example..com"} }},
		{"ExtraSuffixes", Scan, func(it *Item) { it.ExtraSuffixes = []string{"force.com"} }},
		{"ExtraSuffixes", Domain, func(it *Item) {
			it.Domains, it.ExtraSuffixes = []string{"example.com"}, []string{"-force.com"}
		}},
	}
	for i, test := range tests {
		t.Run(fmt.Sprintf("%s/%d", test.field, i), func(t *testing.T) {
			it := NewItem(test.way)
			it.ID, it.Product, it.Expiry = "id", "product", newYear2027
			test.change(&it)
			faults := it.check()
			if len(faults) != 1 || faults[0].Field != test.field {
				t.Errorf("faults %v, want one of %s", faults, test.field)
			}
		})
	}
}

// A bare date is the begin of a day for Start and its end for Expiry; a draft lists every fault at once. [FILE-4]
func TestParseItem(t *testing.T) {
	fields := []Field{
		{Name: "ItemId", Value: "a"}, {Name: "Product", Value: "p"}, {Name: "ChargeWay", Value: "device-daily"},
		{Name: "Quota", Value: "10"}, {Name: "Start", Value: "2026-01-01"}, {Name: "Expiry", Value: "2026-12-31"},
	}
	it, err := ParseItem(fields)
	if err != nil || it.Start != newYear2026 || it.Expiry != newYear2027 {
		t.Errorf("from %d to %d, %v", it.Start, it.Expiry, err)
	}
	fields[3].Value, fields[4].Value = "ten", "2027-01-01"
	_, err = ParseItem(append(fields[1:], Field{Name: "Colour", Value: "red"}))
	for _, want := range []string{"ItemId", "Quota", "Expiry", "Colour"} {
		if err == nil || !strings.Contains(err.Error(), want+": ") {
			t.Errorf("%v does not tell of %s", err, want)
		}
	}
	if strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("%v: more than the four faults", err)
	}
}

func TestDurationText(t *testing.T) {
	for text, seconds := range map[string]int64{"7d": 7 * day, "12h": 43200, "90m": 5400, "30s": 30, "0s": 0, "3650d": durationMax} {
		got, err := parseDuration(text)
		if err != nil || got != seconds || FormatDuration(seconds) != text {
			t.Errorf("%s is %d s, written %s: %v", text, got, FormatDuration(seconds), err)
		}
	}
	for _, bad := range []string{"", "d", "7", "-7d", "+7d", "07d", "1.5h", "7d ", "1d12h", "3651d", "99999999999999999999s"} {
		if got, err := parseDuration(bad); err == nil {
			t.Errorf("%q is taken for %d s", bad, got)
		}
	}
}

func TestUUIDText(t *testing.T) {
	const text = "01234567-89AB-CDEF-0123-456789ABCDEF"
	for _, s := range []string{text, strings.ToLower(text)} {
		if u := mustUUID(t, s); u.String() != text {
			t.Errorf("%s is written %s", s, u)
		}
	}
	for _, bad := range []string{"", text[1:], text + "0", "{" + text + "}", strings.ReplaceAll(text, "-", ""), strings.Replace(text, "A", "G", 1), strings.Replace(text, "-", "0", 1)} {
		var u UUID
		if err := u.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken for %s", bad, u)
		}
	}
}

// [PRJ-1]
func TestValidProjectID(t *testing.T) {
	for _, good := range []string{"100-1", "a-b-c", "a--", "-a-b", strings.Repeat("o", 32) + "-" + strings.Repeat("s", 64)} {
		if !ValidProjectID(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{"", "-", "100", "100-", "-1", "1 0-1", "100-1/2", "100-é", strings.Repeat("o", 33) + "_x", strings.Repeat("o", 32) + "-" + strings.Repeat("s", 65)} {
		if ValidProjectID(bad) {
			t.Errorf("%q is accepted", bad)
		}
	}
	if !ProjectBelongs("a-b-c", "a-b") || !ProjectBelongs("a-b-c", "a") || ProjectBelongs("a-b-c", "a-b-c") || ProjectBelongs("a-b-c", "b") {
		t.Error("projects are taken for those of other organizations")
	}
}

// The relations between the limits.
func TestLimits(t *testing.T) {
	if uint64(1000*QuotaMax) > math.MaxInt64 {
		t.Error("a default overuse budget would not fit an int64")
	}
	longest := 1 + 1 + 97 + 1 + 32 + 1 + PasswordMax + 1 + 32*AddressesMax + 1 + (3+hostPortMax)*AddressesMax + 4
	if len(licenseKeyHead)+keyEncoding.EncodedLen(longest) > licenseKeyMax {
		t.Error("the longest license key is above its cap")
	}
	if max(ListMax, ServersMax, PasswordMax, hostPortMax, AddressesMax) > 255 {
		t.Error("a list or string is longer than its length byte can say")
	}
	if longestItem := 1 + 33 + 65 + 1 + 2*ListMax + 33 + 9 + 1 + 33*ListMax + 1 + 32 + 1; longestItem > math.MaxUint16 {
		t.Error("an item's leaf is longer than its length can say")
	}
}

// Every kind of error has its own word, which the HTTP API passes on.
func TestErrorKindNames(t *testing.T) {
	seen := map[string]bool{}
	for k := TooLarge; k <= WrongPassphrase; k++ {
		if seen[k.String()] || strings.HasPrefix(k.String(), "error-kind") {
			t.Errorf("kind %d is called %q", uint8(k), k)
		}
		seen[k.String()] = true
	}
	if KindOf(fmt.Errorf("import: %w", fault(NotSigned, "", "x"))) != NotSigned || KindOf(nil) != 0 {
		t.Error("a wrapped error loses its kind")
	}
}

// The forms in which names go into JSON are those of the license text.
func TestNamesAsText(t *testing.T) {
	for _, want := range []Binding{BindKey, BindHardware} {
		text, _ := want.MarshalText()
		var got Binding
		if err := got.UnmarshalText(text); err != nil || got != want {
			t.Errorf("binding %s: %s, %v", text, got, err)
		}
	}
	if TrialFirst.String() != "first" || NotTrial.String() != "none" || New.String() != "New" || Status(9).String() != "status-9" {
		t.Error("a name has changed")
	}
	for _, bad := range []string{"", "none", "Key"} {
		if b, err := ParseBinding(bad); err == nil {
			t.Errorf("%q is taken for %s", bad, b)
		}
	}
}
