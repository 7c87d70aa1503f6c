package client_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"log/slog"
	"os"
	"path/filepath"
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
	Key  string           // license key
	Ring *license.KeyRing // the vendor's public key
	Core *engine.Core
	stop []func()
}

// startServer starts one in a temporary directory; it panics when it can't, so
// that examples stay short.
func startServer() *testServer {
	s := &testServer{Ring: &license.KeyRing{}}
	vendor := must(license.GenerateKey("Acme Inc", rand.Reader))
	check(s.Ring.Add(vendor.Public()))
	path := must(os.MkdirTemp("", "muster-client-"))
	dir := must(storage.OpenDir(path))
	identity := must(dir.LoadIdentity(license.BindKey, machine.Facts{}))
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	now := func() int64 { return time.Now().UnixNano() }
	front := server.New(server.Config{
		Listen: "127.0.0.1:0", Loops: 1, Now: now, Log: log,
		Key:     must(protocol.NewHandshakeKey(identity.HandshakeKey[:])),
		Tickets: must(server.OpenTicketKeys(filepath.Join(path, "tickets"), time.Now(), storage.WriteFile)),
	})
	check(front.Start())
	store := must(dir.Open(storage.Options{Log: log, Core: engine.Config{Server: identity.Public, Trusted: s.Ring, TokenKey: identity.TokenKey}}))
	decider := server.NewDecider(server.DeciderConfig{
		Core: store.Core, Journal: store.Journal, Checkpoint: store.Checkpoint, Now: now, Log: log, Loops: 1,
		Sign: func(statement []byte) []byte { return ed25519.Sign(identity.SigningKey, statement) },
	})
	go decider.Run()
	front.Serve(store.Core, decider)
	s.Core = store.Core
	s.stop = []func(){
		func() { check(decider.Stop()) }, func() { check(front.Stop(context.Background())) },
		func() { check(store.Close()) }, func() { check(dir.Close()) }, func() { os.RemoveAll(path) },
	}
	s.importLicense(vendor, identity.Public, decider, front.Addr().String())
	return s
}

func (s *testServer) importLicense(vendor license.PrivateKey, identity license.ServerIdentity, decider *server.Decider, addr string) {
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
	check(decider.Do(context.Background(), func(c *engine.Core) error {
		r, err := c.ImportLicense(text, engine.ImportTarget{NewProject: "Warehouse"})
		if err == nil {
			project = r.Project
		}
		return err
	}))
	s.Key = license.LicenseKey{
		ProjectID: project.ID, OrganizationID: project.Organization,
		Addresses: []license.Address{{Transport: "tcp", HostPort: addr, HandshakeKey: identity.HandshakeKey}},
	}.String()
}

// Close ends it.
func (s *testServer) Close() {
	for _, f := range s.stop {
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
