package engine

import (
	"strings"
	"testing"
	"time"

	"muster/license"
	"muster/protocol"
)

func TestScanQuotaAndTolerance(t *testing.T) { // [SCAN-1] [SCAN-2] [EXH-1]
	b := newBed(t)
	p := b.imported("1", []string{"Quota", "10"}) // 5 % of 10, half up: 1
	d := b.device(p)
	d.mustCheckIn()
	d.report(10)
	d.mustCheckIn() // 10 used of 10: within tolerance
	d.report(1)
	d.refused(want("DBR"), protocol.LimitExceeded)
	d.report(5) // a report is never thrown away
	if got := b.uses(1); got != 16 {
		t.Errorf("%d scans counted, want 16", got)
	}
}

func TestDeviceSeats(t *testing.T) { // [DEV-1] [DEV-2] [DEV-3]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-daily", "Quota", "10"})
	devices := make([]*unit, 12)
	for i := range devices {
		devices[i] = b.device(p)
		if i < 11 { // 10 and 10 %
			g := devices[i].mustCheckIn()
			if want := b.now.Add(24 * time.Hour).Unix(); g.ActiveUntil != want {
				t.Errorf("active until %d, want %d", g.ActiveUntil, want)
			}
		}
	}
	devices[11].refused(want("DBR"), protocol.LimitExceeded)
	devices[0].mustCheckIn() // already active: keeps working
	b.tick(24*time.Hour - time.Second)
	if b.held(1) != 11 {
		t.Errorf("%d seats held a second before the end, want 11", b.held(1))
	}
	devices[0].report(1) // refreshes its seat
	b.tick(time.Second)
	if b.held(1) != 1 {
		t.Errorf("%d seats held after the end, want 1", b.held(1))
	}
	devices[11].mustCheckIn()
	b.tick(24*time.Hour - time.Second)
	if b.held(1) != 1 {
		t.Errorf("%d seats held, want that of the late device", b.held(1))
	}
}

func TestSeatGivenBack(t *testing.T) { // [DEV-4] [CLI-6]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-yearly", "Quota", "1", "Tolerance", "0"})
	d, other := b.device(p), b.device(p)
	d.mustCheckIn()
	other.refused(want("DBR"), protocol.LimitExceeded)
	if a := d.release(); a.Kind != protocol.KindAccepted {
		t.Fatalf("release answered %d", a.Kind)
	}
	other.mustCheckIn()
	d.report(3) // late usage still counts, and takes no seat
	if b.uses(1) != 3 || b.held(1) != 1 {
		t.Errorf("%d uses, %d seats; want 3 and 1", b.uses(1), b.held(1))
	}
}

func TestSeatEndsWithItem(t *testing.T) { // [DEV-1] [EXH-3]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-yearly", "Expiry", "2026-11-29", "Grace", "7d"})
	expiry := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	d := b.device(p)
	if g := d.mustCheckIn(); g.ActiveUntil != expiry.Unix() || g.Flags != 0 {
		t.Errorf("grant until %v flags %d, want the expiry and none", time.Unix(g.ActiveUntil, 0).UTC(), g.Flags)
	}
	b.now = expiry
	g := d.mustCheckIn()
	if g.ActiveUntil != expiry.AddDate(0, 0, 7).Unix() || g.Flags&license.GrantInGrace == 0 {
		t.Errorf("in grace: until %v flags %d", time.Unix(g.ActiveUntil, 0).UTC(), g.Flags)
	}
	b.now = expiry.AddDate(0, 0, 7)
	d.refused(want("DBR"), protocol.Expired)
	d.report(2) // after expiry it is counted all the same [EXH-1]
	if b.uses(1) != 2 {
		t.Errorf("%d uses, want 2", b.uses(1))
	}
}

func TestRefusalCodes(t *testing.T) { // [ERR-1]
	rows := []struct {
		name string
		item []string
		ask  func(*protocol.CheckIn)
		code protocol.Code
	}{
		{"product", nil, func(c *protocol.CheckIn) { c.Product = []byte("DLS") }, protocol.ProductMismatch},
		{"version", []string{"Versions", "9, 10"}, nil, protocol.VersionMismatch},
		{"edition", []string{"Edition", "server"}, nil, protocol.EditionMismatch},
		{"deployment", []string{"Deployment", "server"}, nil, protocol.DeploymentMismatch},
		{"charge way", nil, func(c *protocol.CheckIn) { c.ChargeWay = uint8(license.Page) }, protocol.ChargeWayMismatch},
		{"modules", []string{"Modules", "1D"}, func(c *protocol.CheckIn) { c.Modules = [][]byte{[]byte("QR")} }, protocol.NothingFits},
		{"not yet", []string{"Start", "2026-12-24"}, nil, protocol.NotYetEffective},
		{"expired", []string{"Expiry", "2026-11-01", "Grace", "1d"}, nil, protocol.Expired},
		{"quota", []string{"Quota", "0"}, nil, protocol.LimitExceeded},
		{"revoked", []string{"Revoked", "true"}, nil, protocol.InvalidItem},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := newBed(t)
			p := b.imported("1", row.item)
			in := want("DBR")
			if row.ask != nil {
				row.ask(in)
			}
			d := b.device(p)
			d.refused(in, row.code)
			if b.core.Devices() != 0 {
				t.Error("a refused stranger costs a row")
			}
		})
	}
}

func TestFurthestItemAnswers(t *testing.T) { // [ERR-1]
	b := newBed(t)
	p := b.imported("1", []string{"Product", "DLS"}, []string{"Quota", "0"}, []string{"Versions", "9"})
	d := b.device(p)
	a := d.checkIn(want("DBR"))
	if a.Code != protocol.LimitExceeded || string(a.ItemName) != "1/i2" {
		t.Errorf("answer %v of item %q, want 120 of 1/i2", a.Code, a.ItemName)
	}
}

func TestUsageOrder(t *testing.T) { // [PRJ-6] [EXH-1]
	b := newBed(t)
	p := b.imported("1",
		[]string{"ItemId", "late", "Expiry", "2027-12-31", "Quota", "10"},
		[]string{"ItemId", "soon", "Expiry", "2027-06-30", "Quota", "10"})
	d := b.device(p)
	if g := d.mustCheckIn(); g.ItemID != "soon" {
		t.Errorf("served by %s, want the nearest expiry", g.ItemID)
	}
	d.report(10) // "soon" is at its quota: its tolerance waits until nothing else is left
	if g := d.mustCheckIn(); g.ItemID != "late" {
		t.Errorf("served by %s, want late", g.ItemID)
	}
	d.report(10)
	if g := d.mustCheckIn(); g.ItemID != "soon" {
		t.Errorf("served by %s, want the tolerance of soon", g.ItemID)
	}
}

func TestHoldsItsSeat(t *testing.T) { // [PRJ-6]
	b := newBed(t)
	p := b.imported("1", []string{"ItemId", "later", "ChargeWay", "device-yearly", "Expiry", "2027-12-31"})
	d := b.device(p)
	d.mustCheckIn()
	text := b.sign(b.licenseOf("2", []string{"ItemId", "sooner", "ChargeWay", "device-yearly", "Expiry", "2027-01-31"}))
	b.edit(func(c *Core) error {
		_, err := c.ImportLicense(text, ImportTarget{Project: p.ID})
		return err
	})
	if g := d.mustCheckIn(); g.ItemID != "later" {
		t.Errorf("moved to %s, want to stay on its seat", g.ItemID)
	}
	if g := b.device(p).mustCheckIn(); g.ItemID != "sooner" {
		t.Errorf("a new device got %s, want the nearer expiry", g.ItemID)
	}
}

func TestPasswordGenerations(t *testing.T) { // [PRJ-3]
	b := newBed(t)
	p := b.imported("1", []string{})
	d := b.device(p)
	d.mustCheckIn()
	word := "s3cret"
	b.edit(func(c *Core) error {
		_, err := c.EditProject(p.ID, ProjectEdit{Password: &word, PasswordGrace: 3600})
		return err
	})
	d.mustCheckIn() // the old one's tickets are good for an hour
	b.tick(time.Hour)
	d.refused(want("DBR"), protocol.WrongPassword)
}

func TestDisabledProject(t *testing.T) {
	b := newBed(t)
	p := b.imported("1", []string{})
	d := b.device(p)
	d.mustCheckIn()
	yes := true
	b.edit(func(c *Core) error { _, err := c.EditProject(p.ID, ProjectEdit{Disabled: &yes}); return err })
	d.refused(want("DBR"), protocol.ProjectDisabled)
	d.report(1)
	if b.uses(1) != 1 {
		t.Error("a report of a disabled project was thrown away")
	}
}

func TestGrantVerifiesForItsDeviceOnly(t *testing.T) { // [CLI-2]
	b := newBed(t)
	p := b.imported("1", []string{"Modules", "1D, QR"})
	d, other := b.device(p), b.device(p)
	a := d.checkIn(want("DBR"))
	d.grantOf(a)
	proof, err := license.ParseProof(a.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proof.Verify(a.Grant, other.uuid, wanted(want("DBR")), b.ring); err == nil || !strings.Contains(err.Error(), "another device") {
		t.Errorf("the grant verifies for another device: %v", err)
	}
	for i := range a.Grant {
		a.Grant[i] ^= 1
		if _, err := proof.Verify(a.Grant, d.uuid, wanted(want("DBR")), b.ring); err == nil {
			t.Fatalf("the grant verifies with byte %d changed", i)
		}
		a.Grant[i] ^= 1
	}
	stranger, _ := license.GenerateKey("Pirate", zeroReader{})
	ring := &license.KeyRing{}
	_ = ring.Add(stranger.Public())
	if _, err := proof.Verify(a.Grant, d.uuid, wanted(want("DBR")), ring); err == nil {
		t.Error("the grant verifies under another vendor's key")
	}
}

type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestBatchOfGrants verifies every grant of batches of many sizes. [CLI-2]
func TestBatchOfGrants(t *testing.T) {
	b := newBed(t)
	p := b.imported("1", []string{"Quota", "100000"})
	for _, size := range []int{1, 2, 3, 7, 64, 100} {
		ds := make([]Decision, size)
		for i := range ds {
			d := b.device(p)
			r := d.change(protocol.KindCheckIn)
			r.CheckIn = want("DBR")
			ds[i] = Decision{Request: r, Project: p.Ordinal, Generation: p.Generation}
		}
		b.batch(func() { b.core.Decide(ds) })
		for i := range ds {
			d := &unit{b: b, uuid: ds[i].Request.UUID, asked: ds[i].Request.CheckIn}
			if g := d.grantOf(ds[i].Answer()); g.Client != ds[i].Request.UUID {
				t.Errorf("grant %d of %d is another's", i, size)
			}
		}
	}
}
