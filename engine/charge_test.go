package engine

import (
	"testing"
	"time"

	"muster/protocol"
)

// slotUse is how many devices or instances an item counts in a slot.
func (b *bed) slotUse(item, slot uint32) uint64 {
	return b.core.inSlot(0, item, slot)
}

func (b *bed) slot() uint32 { return uint32(b.now.Unix() / protocol.SlotSeconds) }

func (d *unit) reportAt(slot uint32, count uint32) {
	d.b.t.Helper()
	r := d.reportRequest(count)
	r.Lines[0].Slot = slot
	if a := d.send(r); a.Kind != protocol.KindAccepted {
		d.b.t.Fatalf("report answered %d %v", a.Kind, a.Code)
	}
	d.seq++
}

func TestConcurrentDevicesCountOncePerSlot(t *testing.T) { // [CDEV-1] [CDEV-2] [CLI-9] [GRANT-1]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "concurrent-device", "Quota", "2"})
	var devices []*unit
	for range 5 { // any number may be authorized
		d := b.device(p)
		if g := d.mustCheckIn(); g.ActiveUntil != b.now.Unix()+3600 {
			t.Errorf("grant for %d s, want an hour", g.ActiveUntil-b.now.Unix())
		}
		devices = append(devices, d)
	}
	for _, d := range devices[:4] {
		d.report(1)
		d.report(1)
	}
	second := b.device(p) // another application of the first device
	second.uuid = devices[0].uuid
	second.mustCheckIn()
	second.report(1)
	if got := b.slotUse(1, b.slot()); got != 4 {
		t.Errorf("%d devices in the slot, want 4", got)
	}
	if got := b.core.overuse(1); got != 2 {
		t.Errorf("overuse %d, want 2", got)
	}
	if b.uses(1) != 9 {
		t.Errorf("%d uses, want 9", b.uses(1))
	}
}

func TestLateReportsCountInTheirOwnSlot(t *testing.T) { // [SLOT-1]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "concurrent-device", "Quota", "10"})
	d, other := b.device(p), b.device(p)
	d.mustCheckIn()
	other.mustCheckIn()
	now := b.slot()
	month := uint32(LateSeconds / protocol.SlotSeconds)
	for _, back := range []uint32{0, 1, 500, 500, 3, month, 1, month, 383, 384, 385} {
		d.reportAt(now-back, 1)
		other.reportAt(now-back, 1)
	}
	for _, back := range []uint32{0, 1, 3, 383, 384, 385, 500, month} {
		if got := b.slotUse(1, now-back); got != 2 {
			t.Errorf("%d devices %d slots ago, want 2", got, back)
		}
	}
	if got := b.slotUse(1, now-2); got != 0 {
		t.Errorf("%d devices in a slot without reports", got)
	}
	undated := func() uint64 { return b.core.value(counterKey{item: 1}, valueUndated) }
	if undated() != 0 {
		t.Errorf("%d lines undated, want none", undated())
	}
	d.reportAt(now-month-1, 1) // older than 30 days
	d.reportAt(now+3, 1)       // more than 5 minutes ahead
	if undated() != 2 || b.uses(1) != 24 {
		t.Errorf("%d lines undated, %d uses; want 2 and 24", undated(), b.uses(1))
	}
	if got := b.slotUse(1, now-month-1) + b.slotUse(1, now+3); got != 0 {
		t.Error("an impossible slot was counted")
	}
}

func TestConcurrentDeviceStrictMode(t *testing.T) { // [CDEV-3] [GRANT-1]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "concurrent-device", "Quota", "2", "OveruseBudget", "1"})
	devices := []*unit{b.device(p), b.device(p), b.device(p)}
	for _, d := range devices {
		d.mustCheckIn()
		d.report(1)
	}
	late := b.device(p)
	late.refused(want("DBR"), protocol.LimitExceeded)
	b.tick(time.Hour) // the lax grants are over
	for _, d := range devices[:2] {
		g := d.mustCheckIn()
		if end := int64(b.slot()+2) * protocol.SlotSeconds; g.ActiveUntil != end {
			t.Errorf("strict grant until %d, want the end of the next slot, %d", g.ActiveUntil, end)
		}
	}
	devices[2].refused(want("DBR"), protocol.LimitExceeded)
	devices[0].mustCheckIn() // has its seat
	b.tick(2 * protocol.SlotSeconds * time.Second)
	devices[2].mustCheckIn()
	late.mustCheckIn()
	devices[0].refused(want("DBR"), protocol.LimitExceeded)
}

// TestInstancesWorkedExample: Q = 10, ten servers with 10 each. Each slot counts
// 100, 90 over; after 111 slots 9,990 of 10,000 is spent, the 112th passes it.
func TestInstancesWorkedExample(t *testing.T) { // [INST-1] [INST-2] [INST-3]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "concurrent-instance", "Deployment", "server", "Quota", "10"})
	ask := func(n uint32) *protocol.CheckIn {
		in := want("DBR")
		in.Deployment, in.Instances = []byte("server"), n
		return in
	}
	b.device(p).refused(ask(11), protocol.MoreThanQuota)
	var servers []*unit
	for range 10 {
		d := b.device(p)
		if a := d.checkIn(ask(10)); a.Kind != protocol.KindGranted || d.grantOf(a).Instances != 10 {
			t.Fatalf("type %d %v", a.Kind, a.Code)
		}
		servers = append(servers, d)
	}
	for slot := range 112 {
		for _, d := range servers {
			d.report(1)
		}
		if got := b.slotUse(1, b.slot()); got != 100 {
			t.Fatalf("slot %d counts %d, want 100", slot+1, got)
		}
		spent, strict := b.core.overuse(1), b.core.strict(b.item(1))
		if spent != uint64(slot+1)*90 || strict != (slot+1 >= 112) {
			t.Fatalf("after %d slots %d is spent, strict %v", slot+1, spent, strict)
		}
		b.tick(protocol.SlotSeconds * time.Second)
	}
	b.tick(time.Hour)
	if a := servers[0].checkIn(ask(10)); a.Kind != protocol.KindGranted {
		t.Fatalf("strict, the first: %v", a.Code)
	}
	servers[1].refused(ask(1), protocol.LimitExceeded) // one device holds 10 of 10
	if a := servers[0].checkIn(ask(4)); a.Kind != protocol.KindGranted {
		t.Errorf("asking for fewer: %v", a.Code)
	}
	if a := servers[1].checkIn(ask(6)); a.Kind != protocol.KindGranted {
		t.Errorf("six of the six left: %v", a.Code)
	}
	servers[2].refused(ask(1), protocol.LimitExceeded)
	if b.held(1) != 10 {
		t.Errorf("%d instances held, want 10", b.held(1))
	}
}

func TestServerLease(t *testing.T) { // [SRVR-1] [CLI-6]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "server", "Quota", "1"})
	d, other := b.device(p), b.device(p)
	if g := d.mustCheckIn(); g.ActiveUntil != b.now.Unix()+900 {
		t.Errorf("lease of %d s, want 15 minutes", g.ActiveUntil-b.now.Unix())
	}
	other.refused(want("DBR"), protocol.LimitExceeded)
	b.tick(10 * time.Minute)
	d.report(1) // a report renews no lease
	b.tick(5 * time.Minute)
	other.mustCheckIn()
	d.refused(want("DBR"), protocol.LimitExceeded)
	b.tick(14 * time.Minute)
	other.mustCheckIn() // renewed
	b.tick(14 * time.Minute)
	d.refused(want("DBR"), protocol.LimitExceeded)
	other.release()
	d.mustCheckIn()
}

func TestDomains(t *testing.T) { // [DOM-1]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "domain", "Quota", "1", "Domains", "example.co.uk, acme.force.com", "ExtraSuffixes", "force.com"})
	rows := map[string]protocol.Code{
		"example.co.uk": protocol.OK, "www.example.co.uk": protocol.OK, "a.b.EXAMPLE.co.uk": protocol.OK,
		"other.co.uk": protocol.DomainMismatch, "co.uk": protocol.DomainMismatch, "": protocol.DomainMismatch,
		"acme.force.com": protocol.OK, "eu.acme.force.com": protocol.OK, "rival.force.com": protocol.DomainMismatch,
		"force.com": protocol.DomainMismatch, "www.example.co.uk:8443": protocol.OK,
	}
	for domain, code := range rows {
		in := want("DBR")
		in.Deployment, in.Validation = []byte("browser"), []byte(domain)
		if a := b.device(p).checkIn(in); a.Code != code {
			t.Errorf("%q: %v, want %v", domain, a.Code, code)
		}
	}
}
