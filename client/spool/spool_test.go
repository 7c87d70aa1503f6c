package spool_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/client"
	"muster/client/spool"
	"muster/engine"
	"muster/license"
	"muster/protocol"
)

// TestAddedCountsOnce: what was added in this run and in one before it is sent, and
// sent again it counts no more. Counts of a slot and module are one line. [CLI-3]
func TestAddedCountsOnce(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	first := granted(t, s, dir)
	now := time.Unix(1_800_000_000, 0)
	first.SetNow(func() time.Time { return now })
	for range 5 {
		mustAdd(t, first, 3)
		check(first.Add("", 1))
		check(first.Add("QR", 0))
	}
	if got := filesIn(t, dir); !slices.Equal(got, []string{"1/sheet-1", "1/state", "device"}) {
		t.Errorf("files %v", got)
	}
	var sheet struct{ Lines []protocol.Line }
	check(spool.Decode("sheet", must(os.ReadFile(filepath.Join(dir, "1", "sheet-1"))), &sheet))
	if len(sheet.Lines) != 2 {
		t.Errorf("%d lines, want one for each module of the slot", len(sheet.Lines))
	}
	check(first.Close())
	if err := first.Add("QR", 1); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	later := open(t, s, dir)
	if !later.Valid() || !later.RenewAt().Equal(first.RenewAt()) {
		t.Error("the grant of the first run is gone")
	}
	mustAdd(t, later, 100)
	mustSend(t, later)
	mustSend(t, later)
	if s.uses(1) != 120 {
		t.Errorf("%d scans counted, want 120", s.uses(1))
	}
	if got := filesIn(t, dir); !slices.Equal(got, []string{"1/state", "device"}) {
		t.Errorf("files %v are left", got)
	}
	if n := s.streams(); n != 1 {
		t.Errorf("%d streams, want 1", n)
	}
}

// TestAddRefuses what can't be counted.
func TestAddRefuses(t *testing.T) {
	s := startServer()
	defer s.Close()
	sp := open(t, s, t.TempDir())
	if err := sp.Add("QR", 1); err == nil || !strings.Contains(err.Error(), "check in first") {
		t.Errorf("before a check-in: %v", err)
	}
	must(sp.CheckIn(context.Background()))
	if err := sp.Add("PDF417", 1); err == nil || !strings.Contains(err.Error(), "PDF417") {
		t.Errorf("a module that was not granted: %v", err)
	}
	if err := sp.Add("QR", protocol.MaxLineCount+1); err == nil {
		t.Error("a count too large")
	}
	mustAdd(t, sp, protocol.MaxLineCount)
	mustAdd(t, sp, protocol.MaxLineCount)
	mustSend(t, sp)
	if s.uses(1) != 2*protocol.MaxLineCount {
		t.Errorf("%d scans counted", s.uses(1))
	}
}

// TestManySlots: usage of more slots than a report has lines. [CLI-3]
func TestManySlots(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	sp := granted(t, s, dir)
	now := time.Now().Add(-200 * protocol.SlotSeconds * time.Second)
	sp.SetNow(func() time.Time { return now })
	for range 2*protocol.MaxReportLines + 1 {
		mustAdd(t, sp, 1)
		now = now.Add(protocol.SlotSeconds * time.Second)
	}
	if got := filesIn(t, dir); len(got) != 2+3 {
		t.Errorf("files %v, want 3 sheets", got)
	}
	mustSend(t, sp)
	if s.uses(1) != 2*protocol.MaxReportLines+1 {
		t.Errorf("%d scans counted", s.uses(1))
	}
}

// TestAddWhileSending: from several goroutines, and the ledger is exact. [CLI-3]
func TestAddWhileSending(t *testing.T) {
	s := startServer()
	defer s.Close()
	sp := granted(t, s, t.TempDir())
	var adding sync.WaitGroup
	for range 4 {
		adding.Go(func() {
			for range 10 {
				check(sp.Add("QR", 1))
			}
		})
	}
	added := make(chan struct{})
	go func() { adding.Wait(); close(added) }()
	for more := true; more; {
		select {
		case <-added:
			more = false
		default:
		}
		mustSend(t, sp)
	}
	if s.uses(1) != 40 {
		t.Errorf("%d scans counted, 40 were added", s.uses(1))
	}
}

// TestRefusalsAreTold: a report that is refused is settled, and what is behind it is
// sent. [DEV-4]
func TestRefusalsAreTold(t *testing.T) {
	s := startServer()
	defer s.Close()
	ctx := context.Background()
	sp := openUse(t, s, t.TempDir(), client.Use{Product: "Reader", ChargeWay: license.DeviceYearly})
	g := must(sp.CheckIn(ctx))
	mustAdd(t, sp, 2)
	check(s.Do(func(core *engine.Core) error { return core.FreeSeat(g.Client, g.Item) }))
	if err := sp.Send(ctx); client.CodeOf(err) != protocol.SeatFreed {
		t.Errorf("error %v, want 160", err)
	}
	if s.uses(2) != 2 || !sp.RenewAt().IsZero() {
		t.Errorf("%d uses, renewal at %v; want 2 and at once", s.uses(2), sp.RenewAt())
	}
	mustSend(t, sp)
	must(sp.CheckIn(ctx))
	mustAdd(t, sp, 1)
	check(sp.Release(ctx))
	if s.uses(2) != 3 || sp.Valid() || sp.Add("QR", 1) == nil {
		t.Errorf("%d uses, valid %v after the release", s.uses(2), sp.Valid())
	}
}

// TestRun sends, checks in again when the seat was freed, and ends with its context. [DEV-4]
func TestRun(t *testing.T) {
	s := startServer()
	defer s.Close()
	sp := openUse(t, s, t.TempDir(), client.Use{Product: "Reader", ChargeWay: license.DeviceYearly})
	g := must(sp.CheckIn(context.Background()))
	mustAdd(t, sp, 4)
	check(s.Do(func(core *engine.Core) error { return core.FreeSeat(g.Client, g.Item) }))
	ctx, cancel := context.WithCancel(context.Background())
	ended, told := make(chan struct{}), make(chan error, 9)
	go func() {
		defer close(ended)
		sp.Run(ctx, func(err error) { told <- err })
	}()
	if err := <-told; client.CodeOf(err) != protocol.SeatFreed {
		t.Errorf("error %v, want 160", err)
	}
	for sp.RenewAt().IsZero() { // until the deadline of all tests
		check(s.Do(func(*engine.Core) error { return nil }))
	}
	cancel()
	<-ended
	if s.uses(2) != 4 || !sp.Valid() {
		t.Errorf("%d uses, valid %v; want 4 and a new grant", s.uses(2), sp.Valid())
	}
}
