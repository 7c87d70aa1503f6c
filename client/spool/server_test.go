package spool_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"muster/client"
	"muster/client/spool"
	"muster/engine"
	"muster/license"
	"muster/sim"
)

// testServer is a real server in this process, with a license for scans and one for
// devices.
type testServer struct {
	*sim.Server
	Key  string           // license key
	Ring *license.KeyRing // the vendor's public key
	path string
	// project is its only project's id.
	project string
	ahead   atomic.Int64 // of the wall clock, nanoseconds
}

var scan = client.Use{Product: "Reader", Version: 3, Modules: []string{"QR"}, ChargeWay: license.Scan}

// startServer starts one in a temporary directory; it panics when it can't, so
// that examples stay short.
func startServer() *testServer {
	vendor := must(sim.NewVendor("Acme Inc"))
	s := &testServer{Ring: must(vendor.Ring()), path: must(os.MkdirTemp("", "muster-spool-"))}
	s.Server = must(sim.Start(sim.Options{Dir: s.path, Trusted: s.Ring, Now: func() int64 { return time.Now().UnixNano() + s.ahead.Load() }}))
	item := func(id, way string) []license.Field {
		return []license.Field{
			{Name: "ItemId", Value: id}, {Name: "Product", Value: "Reader"}, {Name: "Modules", Value: "1D, QR"},
			{Name: "ChargeWay", Value: way}, {Name: "Quota", Value: "1000000000000"},
			{Name: "Start", Value: "2026-01-01"}, {Name: "Expiry", Value: "2099-12-31"},
		}
	}
	text := must(vendor.Issue(sim.Terms{
		Header:  []license.Field{{Name: "LicenseId", Value: "1001"}, {Name: "OrganizationID", Value: "2001"}, {Name: "Bindings", Value: "key"}},
		Items:   [][]license.Field{item("scans", "scan"), item("seats", "device-yearly")},
		Servers: []license.UUID{s.Identity.UUID()}, Issued: time.Now().Unix(),
	}))
	check(s.Do(func(c *engine.Core) error {
		r, err := c.ImportLicense(text, engine.ImportTarget{NewProject: "Warehouse"})
		if err == nil {
			s.project = r.Project.ID
			s.Key = license.LicenseKey{
				ProjectID: r.Project.ID, OrganizationID: r.Project.Organization, Addresses: []license.Address{s.Address(s.Main)},
			}.String()
		}
		return err
	}))
	return s
}

// uses is what the server has counted of an item, the first being 1.
func (s *testServer) uses(item int) uint64 { return s.Core.Catalog().Items[item].Usage.Uses.Load() }

// streams is how many it has given out.
func (s *testServer) streams() (n int) {
	check(s.Do(func(c *engine.Core) error {
		n = int(c.Devices())
		return nil
	}))
	return n
}

// Close ends it.
func (s *testServer) Close() {
	check(s.Server.Close())
	check(os.RemoveAll(s.path))
}

// open opens a spool that is not sent when the test ends.
func open(t *testing.T, s *testServer, dir string) *spool.Spool {
	t.Helper()
	return openUse(t, s, dir, scan)
}

func openUse(t *testing.T, s *testServer, dir string, use client.Use) *spool.Spool {
	t.Helper()
	sp, err := spool.Open(spool.Options{Dir: dir, LicenseKey: s.Key, Vendor: s.Ring, Use: use})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	return sp
}

// granted opens one and checks in.
func granted(t *testing.T, s *testServer, dir string) *spool.Spool {
	t.Helper()
	sp := open(t, s, dir)
	if _, err := sp.CheckIn(context.Background()); err != nil {
		t.Fatal(err)
	}
	return sp
}

func mustAdd(t *testing.T, sp *spool.Spool, count uint32) {
	t.Helper()
	if err := sp.Add("QR", count); err != nil {
		t.Fatal(err)
	}
}

func mustSend(t *testing.T, sp *spool.Spool) {
	t.Helper()
	if err := sp.Send(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// filesIn are those of a directory and below, locks apart, by name.
func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	check(filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			names = append(names, must(filepath.Rel(dir, path)))
		}
		return err
	}))
	return names
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
