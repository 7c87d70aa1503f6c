package client_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"muster/engine"
	"muster/engine/server"
	"muster/license"
	"muster/machine"
	"muster/protocol"
	"muster/storage"
)

// testServer is a real server in this process, with a vendor and a license for
// 100 devices and 1,000 scans.
type testServer struct {
	Key     string           // license key
	Ring    *license.KeyRing // the vendor's public key
	Core    *engine.Core
	key     license.LicenseKey
	main    *server.Server // the front that Key leads to
	decider *server.Decider
	config  server.Config // of its fronts
	path    string
	stop    []func() // in reverse
}

// startServer starts one in a temporary directory; it panics when it can't, so
// that examples stay short.
func startServer() *testServer { return startServerAhead(0) }

// startServerAhead starts one whose clock is ahead of the device's.
func startServerAhead(ahead time.Duration) *testServer {
	s := &testServer{Ring: &license.KeyRing{}, path: must(os.MkdirTemp("", "muster-client-"))}
	s.atEnd(func() { os.RemoveAll(s.path) })
	vendor := must(license.GenerateKey("Acme Inc", rand.Reader))
	check(s.Ring.Add(vendor.Public()))
	dir := must(storage.OpenDir(s.path))
	s.atEnd(func() { check(dir.Close()) })
	identity := must(dir.LoadIdentity(license.BindKey, machine.Facts{}))
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	now := func() int64 { return time.Now().Add(ahead).UnixNano() }
	store := must(dir.Open(storage.Options{Log: log, Core: engine.Config{Server: identity.Public, Trusted: s.Ring, TokenKey: identity.TokenKey}}))
	s.atEnd(func() { check(store.Close()) })
	s.decider = server.NewDecider(server.DeciderConfig{
		Core: store.Core, Journal: store.Journal, Checkpoint: store.Checkpoint, Now: now, Log: log, Loops: 1,
		Sign: func(statement []byte) []byte { return ed25519.Sign(identity.SigningKey, statement) },
	})
	go s.decider.Run()
	s.atEnd(func() { check(s.decider.Stop()) })
	s.Core = store.Core
	s.config = server.Config{
		Listen: "127.0.0.1:0", Loops: 1, Now: now, Log: log, Key: must(protocol.NewHandshakeKey(identity.HandshakeKey[:])),
	}
	s.main = s.front()
	s.serve(s.main)
	s.importLicense(vendor, identity.Public)
	return s
}

// noServer has what a client is made with, and no address.
func noServer() *testServer {
	s := &testServer{Ring: &license.KeyRing{}, key: license.LicenseKey{OrganizationID: "2001"}}
	check(s.Ring.Add(must(license.GenerateKey("Acme Inc", rand.Reader)).Public()))
	return s
}

func (s *testServer) atEnd(f func()) { s.stop = append(s.stop, f) }

// front opens one more device port, with ticket keys of its own. Until serve it
// answers 100, as a server does that is starting.
func (s *testServer) front() *server.Server {
	config := s.config
	config.Tickets = must(server.OpenTicketKeys(must(os.MkdirTemp(s.path, "tickets"))+"/keys", time.Now(), storage.WriteFile))
	f := server.New(config)
	check(f.Start())
	s.atEnd(func() { _ = f.Stop(context.Background()) }) // an error: the test stopped it
	return f
}

func (s *testServer) serve(f *server.Server) { f.Serve(s.Core, s.decider) }

// do edits the catalog, as an operator does.
func (s *testServer) do(edit func(*engine.Core) error) {
	check(s.decider.Do(context.Background(), edit))
}

func (s *testServer) importLicense(vendor license.PrivateKey, identity license.ServerIdentity) {
	item := func(id, way, quota string) []license.Field {
		return []license.Field{
			{Name: "ItemId", Value: id}, {Name: "Product", Value: "Reader"}, {Name: "Modules", Value: "1D, QR"},
			{Name: "ChargeWay", Value: way}, {Name: "Quota", Value: quota},
			{Name: "Start", Value: "2026-01-01"}, {Name: "Expiry", Value: "2099-12-31"},
		}
	}
	header := []license.Field{{Name: "LicenseId", Value: "1001"}, {Name: "OrganizationID", Value: "2001"}, {Name: "Bindings", Value: "key"}}
	items := [][]license.Field{item("seats", "device-yearly", "100"), item("scans", "scan", "1000")}
	file := must(license.Draft(header, items, time.Now().Unix()))
	file = must(license.Activate(file, []license.UUID{identity.UUID()}, time.Now().Unix()))
	text := must(file.Sign(vendor))
	var project *engine.Project
	s.do(func(c *engine.Core) error {
		r, err := c.ImportLicense(text, engine.ImportTarget{NewProject: "Warehouse"})
		if err == nil {
			project = r.Project
		}
		return err
	})
	s.key = license.LicenseKey{
		ProjectID: project.ID, OrganizationID: project.Organization, Addresses: []license.Address{s.at(s.main)},
	}
	s.Key = s.key.String()
}

// at is the address of a front.
func (s *testServer) at(f *server.Server) license.Address {
	return license.Address{Transport: "tcp", HostPort: f.Addr().String(), HandshakeKey: s.config.Key.Public()}
}

// Close ends it.
func (s *testServer) Close() {
	for _, f := range slices.Backward(s.stop) {
		f()
	}
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
