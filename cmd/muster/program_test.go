package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"muster/client"
	"muster/engine"
	"muster/license"
)

// world is a vendor, a server in a temporary directory and an imported license.
type world struct {
	t      *testing.T
	vendor license.PrivateKey
	ring   *license.KeyRing
	config serveConfig
	p      *program
	log    logBuffer // what the server says
}

// logBuffer is a log that is read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newWorld(t *testing.T) *world { return newWorldN(t, 1000) }

func newWorldN(t *testing.T, devicesMax uint32) *world {
	t.Helper()
	vendor, err := license.GenerateKey("Acme Inc", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, vendor: vendor, ring: &license.KeyRing{}}
	if err := w.ring.Add(vendor.Public()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	public, err := vendor.Public().MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	pub := filepath.Join(dir, "vendor.pub")
	if err := os.WriteFile(pub, public, 0o600); err != nil {
		t.Fatal(err)
	}
	w.config = serveConfig{
		Data: filepath.Join(dir, "data"), Listen: keptAddress(t), Admin: "127.0.0.1:0", VendorKeys: []string{pub},
		Binding: "key", Loops: 1, UDP: true, ConnectionsMax: 1000, DevicesMax: devicesMax, LogLevel: "error", LogFormat: "text",
	}
	w.start()
	t.Cleanup(func() {
		if w.p != nil {
			w.stop()
		}
	})
	return w
}

// keptAddress is one that is still free when a server is started on it again: its
// port is not one that the system gives to outgoing connections.
func keptAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10000+mathrand.IntN(20000))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		p, err := net.ListenPacket("udp", addr)
		l.Close()
		if err == nil {
			p.Close()
			return addr
		}
	}
	t.Fatal("no free port from 10000 to 29999")
	return ""
}

func (w *world) start() {
	w.t.Helper()
	p, err := start(w.config, slog.New(slog.NewTextHandler(&w.log, nil)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.p = p
}

func (w *world) stop() {
	w.t.Helper()
	if err := w.p.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.p = nil
}

// importItems imports a license with the given items and returns a license key.
func (w *world) importItems(items ...[]license.Field) string {
	w.t.Helper()
	now := time.Now().Unix()
	header := []license.Field{{Name: "LicenseId", Value: "1001"}, {Name: "OrganizationID", Value: "2001"}, {Name: "Bindings", Value: "key"}}
	file, err := license.Draft(header, items, now)
	if err != nil {
		w.t.Fatal(err)
	}
	if file, err = license.Activate(file, []license.UUID{w.p.identity.Public.UUID()}, now); err != nil {
		w.t.Fatal(err)
	}
	text, err := file.Sign(w.vendor)
	if err != nil {
		w.t.Fatal(err)
	}
	var project *engine.Project
	w.do(func(c *engine.Core) error {
		r, err := c.ImportLicense(text, engine.ImportTarget{})
		if err == nil {
			project = r.Project
		}
		return err
	})
	return license.LicenseKey{
		ProjectID: project.ID, OrganizationID: project.Organization, Password: project.Password,
		Addresses: []license.Address{{Transport: "tcp", HostPort: w.p.front.Addr().String(), HandshakeKey: w.p.identity.Public.HandshakeKey}},
	}.String()
}

func (w *world) do(f func(*engine.Core) error) {
	w.t.Helper()
	if err := w.p.decider.Do(context.Background(), f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) client(key string, state client.State) *client.Client {
	w.t.Helper()
	c, err := client.New(client.Options{LicenseKey: key, Vendor: w.ring, State: state})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

func item(id, way string, quota string, more ...license.Field) []license.Field {
	return append([]license.Field{
		{Name: "ItemId", Value: id}, {Name: "Product", Value: "DBR"}, {Name: "ChargeWay", Value: way}, {Name: "Quota", Value: quota},
		{Name: "Modules", Value: "1D, QR"}, {Name: "Start", Value: "2026-01-01"}, {Name: "Expiry", Value: "2099-12-31"},
	}, more...)
}

func TestServeEndToEnd(t *testing.T) { // [CLI-1] [CLI-2] [CLI-3] [SCAN-1]
	w := newWorld(t)
	key := w.importItems(item("scans", "scan", "1000"))
	c := w.client(key, client.State{})
	ctx := context.Background()
	grant, err := c.CheckIn(ctx, client.Use{Product: "DBR", Version: 11, Modules: []string{"QR"}})
	if err != nil {
		t.Fatal(err)
	}
	if grant.ItemID != "scans" || grant.LicenseID != "1001" || len(grant.Modules) != 2 {
		t.Errorf("grant %+v", grant)
	}
	for range 10 {
		if err := c.Report(ctx, client.Count{Module: "QR", Count: 3}); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.p.store.Core.Catalog().Items[1].Usage.Uses.Load(); got != 30 {
		t.Errorf("%d scans counted, want 30", got)
	}
	state := c.State()
	w.stop()
	w.start()
	if got := w.p.store.Core.Catalog().Items[1].Usage.Uses.Load(); got != 30 {
		t.Errorf("after a restart %d scans, want 30", got)
	}
	again := w.client(key, state)
	if err := again.Report(ctx, client.Count{Module: "1D", Count: 5}); err != nil {
		t.Fatal(err)
	}
	if got := w.p.store.Core.Catalog().Items[1].Usage.Uses.Load(); got != 35 {
		t.Errorf("%d scans, want 35", got)
	}
}
