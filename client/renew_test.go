package client_test

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"muster/client"
	"muster/engine"
	"muster/license"
	"muster/protocol"
)

// TestRenewalIsDrawnOncePerGrant: the moment lies in the second half, stays over
// a restart, and is another one on every device and for every grant. [GRANT-1]
func TestRenewalIsDrawnOncePerGrant(t *testing.T) {
	s := startServer()
	defer s.Close()
	seen := map[time.Time]bool{}
	for range 4 {
		c := newClient(t, s, client.State{})
		for range 2 {
			g, err := c.CheckIn(context.Background(), scan)
			if err != nil {
				t.Fatal(err)
			}
			at := c.RenewAt()
			if at.Unix() < (g.Issued+g.ActiveUntil)/2 || at.Unix() >= g.ActiveUntil {
				t.Errorf("renewal at %d of a grant from %d to %d", at.Unix(), g.Issued, g.ActiveUntil)
			}
			if again := newClient(t, s, c.State()).RenewAt(); c.RenewAt() != at || again != at {
				t.Errorf("%v, then %v, after a restart %v", at, c.RenewAt(), again)
			}
			seen[at] = true
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d moments for 8 grants", len(seen))
	}
}

// TestRenewalOfShortGrants: however short a grant is, the moment lies in its
// second half and leaves time for the exchange; the half is used in full. [GRANT-1]
func TestRenewalOfShortGrants(t *testing.T) {
	const exchange = 10 * time.Second
	for _, seconds := range []int64{1, 2, 60, 180, 360, 3600, 365 * 86400, 1 << 40} {
		g := license.Grant{Issued: 1_700_000_000, ActiveUntil: 1_700_000_000 + seconds}
		issued, end := time.Unix(g.Issued, 0), time.Unix(g.ActiveUntil, 0)
		life := end.Sub(issued)
		first, last := end, issued
		for draw := range uint64(500) {
			at := client.Renewal(&g, binary.BigEndian.AppendUint64(nil, draw), exchange)
			if at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
		}
		latest := issued.Add(life - min(exchange, life/4))
		if first.Before(issued.Add(life/2)) || last.After(latest) {
			t.Errorf("a grant of %v: renewals from %v to %v after its issue", life, first.Sub(issued), last.Sub(issued))
		}
		if latest.Sub(last) > life/50 || first.Sub(issued) > life/2+life/50 {
			t.Errorf("a grant of %v: renewals only from %v to %v after its issue", life, first.Sub(issued), last.Sub(issued))
		}
	}
	for _, seconds := range []int64{0, -5} {
		g := license.Grant{Issued: 1_700_000_000, ActiveUntil: 1_700_000_000 + seconds}
		if at := client.Renewal(&g, nil, exchange); at.Unix() != g.ActiveUntil {
			t.Errorf("a grant of %d s is renewed at %v", seconds, at)
		}
	}
}

// TestNothingGrantedRenewsAtOnce: before the first grant, and when the operator
// freed the seat. [GRANT-1] [DEV-4]
func TestNothingGrantedRenewsAtOnce(t *testing.T) {
	s := startServer()
	defer s.Close()
	c := newClient(t, s, client.State{})
	if !c.RenewAt().IsZero() {
		t.Error("a renewal without a grant")
	}
	ctx := context.Background()
	seat := client.Use{Product: "Reader", ChargeWay: license.DeviceYearly}
	g, err := c.CheckIn(ctx, seat)
	if err != nil {
		t.Fatal(err)
	}
	s.do(func(core *engine.Core) error { return core.FreeSeat([16]byte(c.State().UUID), g.Item) })
	if err := c.Report(ctx, client.Count{Count: 1}); client.CodeOf(err) != protocol.SeatFreed {
		t.Fatalf("error %v, want 160", err)
	}
	if !c.RenewAt().IsZero() {
		t.Errorf("a freed device renews only at %v", c.RenewAt())
	}
	if _, err := c.CheckIn(ctx, seat); err != nil || !c.RenewAt().After(c.Now()) {
		t.Errorf("error %v, then a renewal at %v", err, c.RenewAt())
	}
	if err := c.Release(ctx); err != nil || !c.RenewAt().IsZero() {
		t.Errorf("error %v, a renewal at %v after the release", err, c.RenewAt())
	}
}

// TestClockSetBack: a restored grant is not of use for longer because the clock
// shows a time before its issue. [GRANT-1] [CLI-2]
func TestClockSetBack(t *testing.T) {
	s := startServerAhead(time.Hour)
	defer s.Close()
	c := newClient(t, s, client.State{})
	g, err := c.CheckIn(context.Background(), scan)
	if err != nil {
		t.Fatal(err)
	}
	state := c.State()
	if now := newClient(t, s, state).Now(); now.Unix() < g.Issued {
		t.Errorf("the clock shows %v, the grant is from %v", now, time.Unix(g.Issued, 0))
	}
	state.Clock += 60_000
	again := newClient(t, s, state)
	if now := again.Now(); uint64(now.UnixMilli()) < state.Clock || again.State().Clock < state.Clock {
		t.Errorf("the clock shows %v, the server said %v before", now, time.UnixMilli(int64(state.Clock)))
	}
}
