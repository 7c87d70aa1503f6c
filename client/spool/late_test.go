package spool_test

import (
	"context"
	"testing"
	"time"

	"muster/client"
	"muster/client/spool"
	"muster/engine"
	"muster/protocol"
)

const month = spool.LateSeconds * time.Second

// undated counts the report lines that the server could not date.
func (s *testServer) undated() (n uint64) {
	check(s.Do(func(c *engine.Core) error {
		n = c.Totals(engine.Scope{Item: 1}).Undated
		return nil
	}))
	return n
}

// TestLateUsage: of one report what is older than 30 days is dropped with a count,
// and what is younger counts in its own slot; the count is kept. [CLI-3] [SLOT-1]
func TestLateUsage(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	sp := granted(t, s, dir)
	now := time.Now()
	sp.SetNow(func() time.Time { return now })
	mustAdd(t, sp, 5)
	now = now.Add(24 * time.Hour)
	mustAdd(t, sp, 7)
	check(sp.Close())
	s.ahead.Store(int64(month + 2*protocol.SlotSeconds*time.Second))

	sp = open(t, s, dir)
	mustSend(t, sp)
	if s.uses(1) != 7 || sp.Dropped() != 5 || s.undated() != 0 {
		t.Errorf("%d scans counted, %d of them undated, %d dropped; want 7, 0 and 5", s.uses(1), s.undated(), sp.Dropped())
	}
	check(sp.Close())
	s.ahead.Store(int64(3 * month))
	sp = open(t, s, dir)
	sp.SetNow(func() time.Time { return now })
	mustAdd(t, sp, 9) // a whole sheet
	mustSend(t, sp)
	check(sp.Close())
	sp = open(t, s, dir)
	mustSend(t, sp)
	if s.uses(1) != 7 || sp.Dropped() != 14 {
		t.Errorf("%d scans counted, %d dropped; want 7 and 14", s.uses(1), sp.Dropped())
	}
}

// TestLateReportUnderWay: what was sent once is sent until it is answered, however
// old, because only the answer says whether it counted. [CLI-3]
func TestLateReportUnderWay(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	inDoubt(t, s, dir)
	s.ahead.Store(int64(2 * month))
	sp := open(t, s, dir)
	mustSend(t, sp)
	if s.uses(1) != 1 || sp.Dropped() != 6 {
		t.Errorf("%d scans counted, %d dropped; want 1 and 6", s.uses(1), sp.Dropped())
	}
}

// TestWrongClock: a device's clock that was ahead, or steps back, drops nothing and
// counts nothing twice: the server's clock decides. [SLOT-1]
func TestWrongClock(t *testing.T) {
	for name, steps := range map[string][]time.Duration{
		"ahead, then set right":  {2 * month, 0},
		"behind, then set right": {-month / 2, 0},
		"steps back":             {0, -time.Hour},
		"goes back and forth":    {0, time.Hour, -time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer()
			defer s.Close()
			sp := granted(t, s, t.TempDir())
			for _, step := range steps {
				sp.SetNow(func() time.Time { return time.Now().Add(step) })
				mustAdd(t, sp, 3)
			}
			if _, err := sp.CheckIn(context.Background()); err != nil {
				t.Fatal(err)
			}
			mustSend(t, sp)
			if want := uint64(3 * len(steps)); s.uses(1) != want || sp.Dropped() != 0 {
				t.Errorf("%d scans counted, %d dropped; want %d and 0", s.uses(1), sp.Dropped(), want)
			}
		})
	}
}

// TestOwnClockDropsNothing: usage that is only old by the device's clock, which was
// set ahead before the server was heard, is sent.
func TestOwnClockDropsNothing(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	sp := granted(t, s, dir)
	mustAdd(t, sp, 3)
	check(sp.Close())
	spool.EditState(t, dir, func(s *client.State) { s.Clock += uint64((2 * month).Milliseconds()) })
	sp = open(t, s, dir)
	if ahead := time.Until(sp.Now()); ahead < month {
		t.Fatalf("the device's clock is %v ahead", ahead)
	}
	mustSend(t, sp)
	if s.uses(1) != 3 || sp.Dropped() != 0 {
		t.Errorf("%d scans counted, %d dropped; want 3 and 0", s.uses(1), sp.Dropped())
	}
}
