package client_test

import (
	"os"
	"time"

	"muster/engine"
	"muster/engine/server"
	"muster/license"
	"muster/sim"
)

// testServer is a real server in this process, with a vendor and a license for
// 100 devices and 1,000 scans.
type testServer struct {
	*sim.Server
	Key  string           // license key
	Ring *license.KeyRing // the vendor's public key
	key  license.LicenseKey
	path string
}

// startServer starts one in a temporary directory; it panics when it can't, so
// that examples stay short.
func startServer() *testServer { return startServerAhead(0) }

// startServerAhead starts one whose clock is ahead of the device's.
func startServerAhead(ahead time.Duration) *testServer {
	vendor := must(sim.NewVendor("Acme Inc"))
	s := &testServer{Ring: must(vendor.Ring()), path: must(os.MkdirTemp("", "muster-client-"))}
	s.Server = must(sim.Start(sim.Options{
		Dir: s.path, Trusted: s.Ring, Now: func() int64 { return time.Now().Add(ahead).UnixNano() },
	}))
	s.importLicense(vendor)
	return s
}

// noServer has what a client is made with, and no address.
func noServer() *testServer {
	return &testServer{Ring: must(must(sim.NewVendor("Acme Inc")).Ring()), key: license.LicenseKey{OrganizationID: "2001"}}
}

// front opens one more device port. Until serve it answers 100, as a server does
// that is starting.
func (s *testServer) front() *server.Server { return must(s.Front()) }

// do edits the catalog, as an operator does.
func (s *testServer) do(edit func(*engine.Core) error) { check(s.Do(edit)) }

func (s *testServer) importLicense(vendor sim.Vendor) {
	item := func(id, way, quota string) []license.Field {
		return []license.Field{
			{Name: "ItemId", Value: id}, {Name: "Product", Value: "Reader"}, {Name: "Modules", Value: "1D, QR"},
			{Name: "ChargeWay", Value: way}, {Name: "Quota", Value: quota},
			{Name: "Start", Value: "2026-01-01"}, {Name: "Expiry", Value: "2099-12-31"},
		}
	}
	text := must(vendor.Issue(sim.Terms{
		Header:  []license.Field{{Name: "LicenseId", Value: "1001"}, {Name: "OrganizationID", Value: "2001"}, {Name: "Bindings", Value: "key"}},
		Items:   [][]license.Field{item("seats", "device-yearly", "100"), item("scans", "scan", "1000")},
		Servers: []license.UUID{s.Identity.UUID()}, Issued: time.Now().Unix(),
	}))
	s.do(func(c *engine.Core) error {
		r, err := c.ImportLicense(text, engine.ImportTarget{NewProject: "Warehouse"})
		if err == nil {
			s.key = license.LicenseKey{ProjectID: r.Project.ID, OrganizationID: r.Project.Organization}
		}
		return err
	})
	s.key.Addresses = []license.Address{s.Address(s.Main)}
	s.Key = s.key.String()
}

// Close ends it.
func (s *testServer) Close() {
	check(s.Server.Close())
	check(os.RemoveAll(s.path))
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
