package license

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func exampleDraft(t testing.TB) *File {
	t.Helper()
	f, err := Draft(
		[]Field{{Name: "LicenseId", Value: "L1"}, {Name: "OrganizationID", Value: "100"}, {Name: "Bindings", Value: "key"}},
		[][]Field{{
			{Name: "ItemId", Value: "i1"}, {Name: "Product", Value: "p"}, {Name: "ChargeWay", Value: "scan"},
			{Name: "Quota", Value: "10"}, {Name: "Start", Value: "2026-01-01"}, {Name: "Expiry", Value: "2026-01-20"},
		}}, newYear2026)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var twoServers = []UUID{{1}, {2}}

// [FILE-4] A draft lists every fault of header and items at once.
func TestDraftFaults(t *testing.T) {
	_, err := Draft([]Field{{Name: "LicenseId", Value: "L 1"}}, [][]Field{
		{{Name: "ItemId", Value: "a"}, {Name: "Quota", Value: "x"}},
		{{Name: "ItemId", Value: "a"}, {Name: "Product", Value: "p"}, {Name: "ChargeWay", Value: "scan"}, {Name: "Quota", Value: "1"}, {Name: "Start", Value: "2026-01-01"}, {Name: "Expiry", Value: "2025-01-01"}},
	}, newYear2026)
	for _, want := range []string{"LicenseId: ", "OrganizationID: ", "Bindings: ", "item a: Quota: ", "item a: Product: ", "item a: ChargeWay: ", "item a: ItemId: stands twice", "item a: Expiry: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not tell of %q", err, want)
		}
	}
	if _, err := Draft([]Field{{Name: "LicenseStatus", Value: "Activated"}}, nil, newYear2026); KindOf(err) != UnknownField {
		t.Errorf("%v: a draft may not say its own status", err)
	}
}

// [FILE-2] Default alias and date of activation; [FILE-1] the status; a second activation is refused.
func TestActivate(t *testing.T) {
	draft := exampleDraft(t)
	if draft.Status != New || draft.Revision != 1 || draft.Issued != newYear2026 {
		t.Errorf("draft %+v", draft)
	}
	at := int64(newYear2026 + 40*day + 5)
	f, err := Activate(draft, twoServers, at)
	if err != nil {
		t.Fatal(err)
	}
	if f.Status != Activated || f.Alias != "DM_L1_Date20260210" || f.Activated != at || !cmp.Equal(f.ServerUUIDs, twoServers) {
		t.Errorf("activated %+v", f)
	}
	if draft.Status != New || draft.Alias != "" {
		t.Error("the draft was changed")
	}
	if _, err := Activate(f, twoServers, at); KindOf(err) != AlreadyActivated {
		t.Errorf("%v, want already activated", err)
	}
	for _, servers := range [][]UUID{nil, make([]UUID, 6), make([]UUID, 2)} { // none, too many, one twice
		if _, err := Activate(draft, servers, at); err == nil {
			t.Errorf("activated for %v", servers)
		}
	}
	if err := draft.SetAlias("Plant 7"); err != nil {
		t.Fatal(err)
	}
	if f, err = Activate(draft, twoServers, at); err != nil || f.Alias != "Plant 7" {
		t.Errorf("alias %q, %v", f.Alias, err)
	}
}

// [FILE-2] The alias changes only while New.
func TestAliasFixed(t *testing.T) {
	f := exampleFile(t)
	if err := f.SetAlias("other"); KindOf(err) != AliasFixed {
		t.Errorf("%v, want a fixed alias", err)
	}
	if _, err := Revise(f, Change{Alias: "other"}, f.Issued); KindOf(err) != AliasFixed {
		t.Errorf("%v, want a fixed alias", err)
	}
	draft := exampleDraft(t)
	if next, err := Revise(draft, Change{Alias: "other"}, draft.Issued); err != nil || next.Alias != "other" {
		t.Errorf("a draft cannot be renamed: %v", err)
	}
	for _, bad := range []string{"", " x", "a\nb", strings.Repeat("é", 101)} {
		if draft.SetAlias(bad) == nil {
			t.Errorf("alias %q accepted", bad)
		}
	}
	if err := draft.SetAlias(strings.Repeat("é", 100)); err != nil {
		t.Error(err)
	}
}

// [FILE-3] [FILE-4] A revision raises, extends, revokes, rebinds and appends, and leaves the rest as it was.
func TestRevise(t *testing.T) {
	f := exampleFile(t)
	mustSign(t, f)
	before := bytes.Clone(f.SignedText)
	quota, expiry, revoked := uint64(7), int64(newYear2027+day), true
	added := NewItem(Page)
	added.ID, added.Product, added.Expiry = "page", "p", newYear2027
	next, err := Revise(f, Change{
		ServerUUIDs: twoServers, Bindings: []Binding{BindKey}, Add: []Item{added},
		Items: []ItemChange{{ID: "server-2026", Quota: &quota, Expiry: &expiry}, {ID: "scan-2026", Revoked: &revoked}},
	}, newYear2027)
	if err != nil {
		t.Fatal(err)
	}
	want := exampleFile(t)
	want.Revision, want.Issued, want.ServerUUIDs, want.Bindings = 4, newYear2027, twoServers, []Binding{BindKey}
	want.Items[0].Revoked, want.Items[1].Quota, want.Items[1].Expiry = true, 7, newYear2027+day
	want.Items = append(want.Items, added)
	if diff := cmp.Diff(want, next, comparers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !bytes.Equal(before, f.unsignedText()) {
		t.Error("the revised file itself was changed")
	}
	if _, err := next.MarshalText(); KindOf(err) != NotSigned {
		t.Errorf("%v: a new revision keeps the old signature", err)
	}
}

func TestReviseFaults(t *testing.T) {
	f := exampleFile(t)
	low, same := int64(1), f.Items[0].Quota
	last := exampleFile(t)
	last.Revision = math.MaxUint32
	tests := []struct {
		name   string
		file   *File
		change Change
		kind   ErrorKind
	}{
		{"nothing", f, Change{}, NoChange},
		{"the same quota", f, Change{Items: []ItemChange{{ID: "scan-2026", Quota: &same}}}, NoChange},
		{"unknown item", f, Change{Items: []ItemChange{{ID: "scan-2025"}}}, UnknownItem},
		{"expiry before start", f, Change{Items: []ItemChange{{ID: "scan-2026", Expiry: &low}}}, BadValue},
		{"item that is there", f, Change{Add: f.Items[:1]}, DuplicateItem},
		{"rebinding a draft", exampleDraft(t), Change{ServerUUIDs: twoServers}, NotActivated},
		{"out of revisions", last, Change{Bindings: []Binding{BindKey}}, BadValue},
	}
	for _, test := range tests {
		if _, err := Revise(test.file, test.change, newYear2027); KindOf(err) != test.kind {
			t.Errorf("%s: %v, want %s", test.name, err, test.kind)
		}
	}
}

// [FILE-4] Trials: 30 days, up to 10,000 devices, one extension of 15 days that the signed file remembers.
func TestTrial(t *testing.T) {
	f := exampleDraft(t)
	f.Trial = TrialFirst
	f.Items[0].Grace, f.Items[0].Quota, f.Items[0].Expiry = 0, TrialQuotaMax, f.Items[0].Start+TrialDays*day
	signed := mustSign(t, f)
	f, err := Parse(signed, ringOf(t, acmeKey()))
	if err != nil {
		t.Fatal(err)
	}
	longer, more := f.Items[0].Expiry+1, uint64(TrialQuotaMax+1)
	for _, change := range []ItemChange{{ID: "i1", Expiry: &longer}, {ID: "i1", Quota: &more}} {
		if _, err := Revise(f, Change{Items: []ItemChange{change}}, newYear2026); KindOf(err) != BadValue {
			t.Errorf("%v: a trial was made more than a trial", err)
		}
	}
	next, err := ExtendTrial(f, newYear2026+day)
	if err != nil {
		t.Fatal(err)
	}
	if got := next.Items[0].Expiry - next.Items[0].Start; got != 45*day || next.Revision != 2 || next.Trial != TrialExtended {
		t.Errorf("%d s, revision %d, trial %s", got, next.Revision, next.Trial)
	}
	if next, err = Parse(mustSign(t, next), ringOf(t, acmeKey())); err != nil {
		t.Fatal(err)
	}
	if _, err := ExtendTrial(next, newYear2026); KindOf(err) != TrialSpent {
		t.Errorf("%v, want no second extension", err)
	}
	if _, err := ExtendTrial(exampleFile(t), newYear2026); KindOf(err) != TrialSpent {
		t.Errorf("%v, want no extension of a license that is no trial", err)
	}
}

// Sign refuses what Parse would refuse.
func TestSignChecks(t *testing.T) {
	f := exampleFile(t)
	f.Items[0].Product = ""
	if _, err := f.Sign(acmeKey()); KindOf(err) != MissingField {
		t.Errorf("%v, want a missing product", err)
	}
	f = exampleFile(t)
	f.Items = nil
	if _, err := f.Sign(acmeKey()); KindOf(err) != MissingField {
		t.Errorf("%v, want missing items", err)
	}
	f = exampleFile(t)
	it := f.Items[0]
	f.Items = nil
	it.Modules = nil
	for m := range ListMax {
		it.Modules = append(it.Modules, fmt.Sprintf("a-module-with-a-long-name-%d", m))
	}
	for i := range ItemsMax {
		it.ID = fmt.Sprintf("i%d", i)
		f.Items = append(f.Items, it)
	}
	if _, err := f.Sign(acmeKey()); KindOf(err) != TooLarge {
		t.Errorf("%s, want too large a file", KindOf(err))
	}
}
