package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

func newClient(t *testing.T, s *testServer, state client.State) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{LicenseKey: s.Key, Vendor: s.Ring, State: state})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (s *testServer) uses(item int) uint64 { return s.Core.Catalog().Items[item].Usage.Uses.Load() }

var scan = client.Use{Product: "Reader", ChargeWay: license.Scan}

// TestReportInDoubtCountsOnce drops the connection after a report was sent: the
// next call sends it again, and it counts once. [CLI-3]
func TestReportInDoubtCountsOnce(t *testing.T) {
	s := startServer()
	defer s.Close()
	c := newClient(t, s, client.State{})
	ctx := context.Background()
	if _, err := c.CheckIn(ctx, scan); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	for range 3 {
		if err := c.Report(gone, client.Count{Count: 5}); err == nil {
			t.Fatal("a report without time to send it was acknowledged")
		}
	}
	if n := len(c.State().Queue); n != 3 {
		t.Fatalf("%d reports kept, want 3", n)
	}
	later := newClient(t, s, c.State()) // the application restarts
	if err := later.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if s.uses(2) != 15 || len(later.State().Queue) != 0 {
		t.Errorf("%d scans counted, %d reports kept; want 15 and 0", s.uses(2), len(later.State().Queue))
	}
}

// TestRestoredStateLosesNothing goes on with an old state, as a device restored
// from a backup does. [CLI-5]
func TestRestoredStateLosesNothing(t *testing.T) {
	s := startServer()
	defer s.Close()
	c := newClient(t, s, client.State{})
	ctx := context.Background()
	if _, err := c.CheckIn(ctx, scan); err != nil {
		t.Fatal(err)
	}
	backup := c.State()
	for range 4 {
		if err := c.Report(ctx, client.Count{Count: 1}); err != nil {
			t.Fatal(err)
		}
	}
	restored := newClient(t, s, backup)
	if err := restored.Report(ctx, client.Count{Count: 1}); err != nil {
		t.Fatal(err)
	}
	if s.uses(2) != 5 {
		t.Errorf("%d scans, want 5", s.uses(2))
	}
	if _, err := c.CheckIn(ctx, scan); client.CodeOf(err) != protocol.Clone {
		t.Errorf("the other copy: %v, want 151", err)
	}
}

// TestCopiesReportAllTheyUsed: two copies of a device that report in turn are
// clones, and get no more grants; what both have used is counted, and once.
func TestCopiesReportAllTheyUsed(t *testing.T) { // [CLI-5] [CLI-3]
	s := startServer()
	defer s.Close()
	first := newClient(t, s, client.State{})
	ctx := context.Background()
	if _, err := first.CheckIn(ctx, scan); err != nil {
		t.Fatal(err)
	}
	second := newClient(t, s, first.State())
	want := uint64(0)
	for i := range 12 {
		c := []*client.Client{first, second}[i%2]
		if err := c.Report(ctx, client.Count{Count: 1 << i}); err != nil && client.CodeOf(err) != protocol.Clone {
			t.Fatal(err)
		}
		want += 1 << i
	}
	for range 24 { // what is queued goes out
		for _, c := range []*client.Client{first, second} {
			if len(c.State().Queue) == 0 {
				continue
			}
			want++
			if err := c.Report(ctx, client.Count{Count: 1}); err != nil && client.CodeOf(err) != protocol.Clone {
				t.Fatal(err)
			}
		}
	}
	if n := len(first.State().Queue) + len(second.State().Queue); n > 0 {
		t.Errorf("%d reports are still queued", n)
	}
	if got := s.uses(2); got != want {
		t.Errorf("%b scans counted, want %b", got, want)
	}
}

// TestServerRestoredFromBackup: the server forgot the newest numbers, the client
// goes on from what the server expects.
func TestServerKnowsFewerNumbers(t *testing.T) {
	s := startServer()
	defer s.Close()
	c := newClient(t, s, client.State{})
	ctx := context.Background()
	if _, err := c.CheckIn(ctx, scan); err != nil {
		t.Fatal(err)
	}
	ahead := c.State()
	ahead.Seq += 7
	if err := newClient(t, s, ahead).Report(ctx, client.Count{Count: 2}); err != nil {
		t.Fatal(err)
	}
	if s.uses(2) != 2 {
		t.Errorf("%d scans, want 2", s.uses(2))
	}
}

func TestPirateServerIsFound(t *testing.T) { // [CLI-2]
	s := startServer()
	defer s.Close()
	other := startServer()
	defer other.Close()
	c, err := client.New(client.Options{LicenseKey: s.Key, Vendor: other.Ring})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.CheckIn(context.Background(), scan); !errors.Is(err, license.ErrGrant) {
		t.Errorf("a grant under another vendor's key: %v", err)
	}
	if c.Grant() != nil {
		t.Error("it was kept")
	}
}

func TestTamperedStateIsRefused(t *testing.T) { // [CLI-2]
	s := startServer()
	defer s.Close()
	c := newClient(t, s, client.State{})
	if _, err := c.CheckIn(context.Background(), scan); err != nil {
		t.Fatal(err)
	}
	state := c.State()
	state.Grant = append([]byte(nil), state.Grant...)
	state.Grant[60] ^= 1
	if _, err := client.New(client.Options{LicenseKey: s.Key, Vendor: s.Ring, State: state}); !errors.Is(err, license.ErrGrant) {
		t.Errorf("error %v", err)
	}
	// A grant that is genuine, and for another product than the application is.
	state = c.State()
	use := *state.Use
	use.Product = "Another"
	state.Use = &use
	if _, err := client.New(client.Options{LicenseKey: s.Key, Vendor: s.Ring, State: state}); !errors.Is(err, license.ErrGrant) {
		t.Errorf("a grant for another product: %v", err)
	}
	state.Use = nil
	if _, err := client.New(client.Options{LicenseKey: s.Key, Vendor: s.Ring, State: state}); err == nil {
		t.Error("a grant that nothing was asked for")
	}
}

func TestUnknownModuleIsRefused(t *testing.T) {
	s := startServer()
	defer s.Close()
	c := newClient(t, s, client.State{})
	ctx := context.Background()
	if err := c.Report(ctx, client.Count{Count: 1}); err == nil || !strings.Contains(err.Error(), "check in first") {
		t.Errorf("before a check-in: %v", err)
	}
	if _, err := c.CheckIn(ctx, scan); err != nil {
		t.Fatal(err)
	}
	if err := c.Report(ctx, client.Count{Module: "PDF417", Count: 1}); err == nil || !strings.Contains(err.Error(), "PDF417") {
		t.Errorf("error %v", err)
	}
	if _, err := c.CheckIn(ctx, client.Use{Product: "Reader", Modules: []string{"PDF417"}}); client.CodeOf(err) != protocol.NothingFits {
		t.Errorf("error %v, want 104", err)
	}
}
