package engine

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"muster/protocol"
)

func TestValidationFields(t *testing.T) { // [PRJ-5]
	all := Validation{Domains: []string{"shop.example.com", "*.example.org"}, Applications: []string{"com.acme.app"}, Processes: []string{"reader.exe"}}
	onlyMobile := Validation{Applications: []string{"com.acme.app"}}
	rows := []struct {
		v                 Validation
		deployment, value string
		code              protocol.Code
	}{
		{Validation{}, "browser", "anything", protocol.OK},
		{all, "browser", "shop.example.com", protocol.OK},
		{all, "browser", "Shop.Example.COM.", protocol.OK},
		{all, "browser", "example.com", protocol.DomainMismatch},
		{all, "browser", "a.example.org", protocol.OK},
		{all, "browser", "a.b.example.org", protocol.OK},
		{all, "browser", "example.org", protocol.DomainMismatch},
		{all, "browser", "evilexample.org", protocol.DomainMismatch},
		{all, "browser", "", protocol.DomainMismatch},
		{all, "mobile", "com.acme.app", protocol.OK},
		{all, "mobile", "com.acme.other", protocol.ValidationMismatch},
		{all, "desktop", "reader.exe", protocol.OK},
		{all, "server", "other", protocol.ValidationMismatch},
		{onlyMobile, "browser", "shop.example.com", protocol.ValidationMismatch},
		{onlyMobile, "desktop", "com.acme.app", protocol.ValidationMismatch},
	}
	for _, row := range rows {
		in := &protocol.CheckIn{Deployment: []byte(row.deployment), Validation: []byte(row.value)}
		if got := row.v.admits(in); got != row.code {
			t.Errorf("%s %q: %v, want %v", row.deployment, row.value, got, row.code)
		}
	}
}

func TestValidationComesBeforeItems(t *testing.T) { // [PRJ-5] [ERR-1]
	b := newBed(t)
	p := b.imported("1", []string{"Quota", "0"})
	b.edit(func(c *Core) error {
		_, err := c.EditProject(p.ID, ProjectEdit{Validation: &Validation{Processes: []string{"reader"}}})
		return err
	})
	d := b.device(p)
	d.refused(want("DBR"), protocol.ValidationMismatch)
	in := want("DBR")
	in.Validation = []byte("reader")
	d.refused(in, protocol.LimitExceeded)
}

func TestBadValidationIsRefused(t *testing.T) { // [PRJ-5]
	b := newBed(t)
	p := b.imported("1", []string{})
	for _, v := range []Validation{
		{Domains: []string{"https://example.com/"}}, {Domains: []string{"*.*.com"}}, {Domains: []string{".com"}},
		{Applications: []string{""}}, {Processes: []string{" reader"}}, {Processes: make([]string, validationMax+1)},
	} {
		var err error
		b.batch(func() { _, err = b.core.EditProject(p.ID, ProjectEdit{Validation: &v}) })
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", v, err)
		}
	}
}

func TestNetworks(t *testing.T) {
	b := newBed(t)
	p := b.imported("1", []string{"Networks", "10.0.0.0/8, fd00::/8"})
	rows := map[string]protocol.Code{"10.1.2.3": protocol.OK, "::ffff:10.1.2.3": protocol.OK, "fd00::7": protocol.OK, "192.168.1.1": protocol.Expired, "": protocol.Expired}
	for addr, code := range rows {
		d := b.device(p)
		r := d.change(protocol.KindCheckIn)
		r.CheckIn = want("DBR")
		ds := []Decision{{Request: r, Project: p.Ordinal, Generation: p.Generation}}
		if addr != "" {
			ds[0].Client = netip.MustParseAddr(addr)
		}
		b.batch(func() { b.core.Decide(ds) })
		if a := ds[0].Answer(); a.Code != code {
			t.Errorf("from %q: %v, want %v", addr, a.Code, code)
		}
	}
}

func TestDependency(t *testing.T) {
	b := newBed(t)
	p := b.imported("1", []string{"ItemId", "base", "Product", "Base", "Expiry", "2026-12-01", "Grace", "0d"}, []string{"ItemId", "addon", "DependsOn", "base"})
	d := b.device(p)
	if g := d.mustCheckIn(); g.ItemID != "addon" {
		t.Errorf("served by %s", g.ItemID)
	}
	b.now = time.Date(2026, 12, 2, 0, 0, 0, 0, time.UTC)
	d.refused(want("DBR"), protocol.RequirementMissing)
}

func TestSeatFreedByHand(t *testing.T) { // [DEV-4]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-yearly", "Quota", "20", "Tolerance", "0"})
	var devices []*unit
	for range 20 {
		d := b.device(p)
		d.mustCheckIn()
		devices = append(devices, d)
	}
	late := b.device(p)
	late.refused(want("DBR"), protocol.LimitExceeded)
	b.edit(func(c *Core) error { return c.FreeSeat(devices[0].uuid, 1) })
	late.mustCheckIn()
	a := devices[0].send(devices[0].reportRequest(7))
	if a.Kind != protocol.KindRefused || a.Code != protocol.SeatFreed || a.Seq != 1 {
		t.Errorf("the freed device reports: type %d %v sequence %d, want 160, its number taken", a.Kind, a.Code, a.Seq)
	}
	if b.uses(1) != 7 || b.held(1) != 20 {
		t.Errorf("%d uses, %d seats; want the report counted and 20", b.uses(1), b.held(1))
	}
	devices[0].seq = 1
	devices[0].refused(want("DBR"), protocol.LimitExceeded)
	free := func(d *unit) (err error) {
		b.batch(func() { err = b.core.FreeSeat(d.uuid, 1) })
		return err
	}
	if err := free(devices[0]); !errors.Is(err, ErrConflict) {
		t.Errorf("a seat that is not held was freed: %v", err)
	}
	if err := free(devices[1]); err != nil { // a tenth of 20: two in 30 days
		t.Error(err)
	}
	if err := free(devices[2]); !errors.Is(err, ErrConflict) {
		t.Errorf("a third seat was freed: %v", err)
	}
	b.tick(30 * 24 * time.Hour)
	if err := free(devices[2]); err != nil {
		t.Errorf("30 days later: %v", err)
	}
}

func TestBlockedDevice(t *testing.T) { // [DEV-5]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-yearly"})
	d, second := b.device(p), b.device(p)
	second.uuid = d.uuid
	d.mustCheckIn()
	second.mustCheckIn()
	b.edit(func(c *Core) error { return c.BlockDevice(d.uuid, true) })
	d.refused(want("DBR"), protocol.ClientBlocked)
	second.refused(want("DBR"), protocol.ClientBlocked)
	again := b.device(p)
	again.uuid = d.uuid
	again.refused(want("DBR"), protocol.ClientBlocked)
	d.report(1)
	if b.uses(1) != 1 {
		t.Error("its report was thrown away")
	}
	b.edit(func(c *Core) error { return c.BlockDevice(d.uuid, false) })
	d.mustCheckIn()
	var err error
	b.batch(func() { err = b.core.BlockDevice([16]byte{9}, true) })
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown device was blocked: %v", err)
	}
}

func TestClearedCloneIsForgivenAgain(t *testing.T) { // [CLI-5]
	b := newBed(t)
	p := b.imported("1", []string{})
	d := b.device(p)
	d.mustCheckIn()
	d.report(1)
	copied := *d
	copied.lost()
	if a := d.lost(); a.Code != protocol.Clone {
		t.Fatalf("%v, want 151", a.Code)
	}
	b.edit(func(c *Core) error { return c.ClearClone(d.uuid) })
	copied.mustCheckIn()
	copied.report(1)
	view, err := b.core.Device(d.uuid)
	if err != nil || len(view.Streams) != 1 || view.Streams[0].Clone || view.Streams[0].Forgiven {
		t.Errorf("%+v %v", view, err)
	}
}

func TestDeviceView(t *testing.T) {
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-yearly"})
	d, second := b.device(p), b.device(p)
	second.uuid = d.uuid
	d.mustCheckIn()
	d.report(1)
	second.mustCheckIn()
	view, err := b.core.Device(d.uuid)
	if err != nil {
		t.Fatal(err)
	}
	if len(view.Streams) != 2 || view.Streams[0].Changes != 1 || view.Streams[0].Number != d.stream {
		t.Errorf("streams %+v", view.Streams)
	}
	if len(view.Seats) != 1 || !view.Seats[0].Held || view.Seats[0].Item != 1 || view.Seats[0].LastUse != b.now.Truncate(24*time.Hour).Unix() {
		t.Errorf("seats %+v", view.Seats)
	}
	second.release()
	if view, _ = b.core.Device(d.uuid); view.Seats[0].Held || !view.Seats[0].Released {
		t.Errorf("after a release: %+v", view.Seats)
	}
}
