package engine

import (
	"testing"
	"time"

	"muster/protocol"
)

// setBack is the operator accepting an earlier time.
func (b *bed) setBack(by time.Duration) {
	b.t.Helper()
	b.now = b.now.Add(-by)
	b.edit(func(c *Core) error { return c.SetBack(b.now.UnixNano()) })
}

// Without the operator's word time stands still when the clock goes back, by
// whatever it goes, and so does everything that ends.
func TestClockBackwardsEndsNothingLater(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, 24 * time.Hour, 365 * 24 * time.Hour} {
		b := newBed(t)
		p := b.imported("1", []string{"ChargeWay", "device-daily", "Quota", "1"})
		d := b.device(p)
		d.mustCheckIn()
		before := b.core.Now()
		b.now = b.now.Add(-by)
		d.report(3)
		if b.core.Now() != before {
			t.Errorf("back by %v: decided at %d, want %d", by, b.core.Now(), before)
		}
		b.recover()
		b.batch(func() {})
		if b.core.Now() != before {
			t.Errorf("back by %v and restarted: decided at %d, want %d", by, b.core.Now(), before)
		}
		b.now = b.now.Add(by + 24*time.Hour)
		b.device(p).mustCheckIn() // the seat ended when it had to [DEV-2]
	}
}

// The clock was a year ahead: what was granted then ends in time, what was
// counted stays counted, and a restart comes to the same.
func TestClockSetBack(t *testing.T) {
	const ahead = 365 * 24 * time.Hour
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-daily", "Quota", "10", "Expiry", "2030-12-31"}, []string{"Product", "DLS", "ChargeWay", "concurrent-device", "Quota", "1", "Expiry", "2030-12-31"})
	early := b.device(p)
	early.mustCheckIn()
	early.report(1)
	truth := b.now
	b.tick(ahead)
	if b.held(1) != 0 {
		t.Fatalf("%d seats held a year later", b.held(1))
	}
	late, same := b.device(p), b.device(p)
	late.mustCheckIn()
	late.report(2)
	if a := same.checkIn(want("DLS")); a.Kind != protocol.KindGranted {
		t.Fatal(a.Code)
	}
	same.report(1)

	b.setBack(ahead)
	check := func(when string) {
		t.Helper()
		if b.held(1) != 2 {
			t.Errorf("%s: %d seats held, want those of both devices", when, b.held(1))
		}
		if got := b.uses(1); got != 3 {
			t.Errorf("%s: %d uses, want 3", when, got)
		}
		if now := b.core.Now(); now != truth.Unix() {
			t.Errorf("%s: decided at %d, want %d", when, now, truth.Unix())
		}
	}
	check("set back")
	b.recover()
	check("restarted")
	late.report(4)
	b.wantDaily("of the day", Scope{Item: 1}, Uses, []int{0, 365}, 5, 2)
	b.wantDaily("that counted a device", Scope{Item: 1}, Devices, []int{0}, 2)
	late.report(1)
	b.tick(24*time.Hour + time.Second)
	if b.held(1) != 0 {
		t.Errorf("%d seats held a day later: what the later clock granted must end [DEV-2]", b.held(1))
	}
	late.mustCheckIn()
}
