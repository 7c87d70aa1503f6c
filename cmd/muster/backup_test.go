package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"muster/bench"
)

// runMuster runs any command line.
func runMuster(t *testing.T, args ...string) apiRun {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, &stdout, &stderr)
	return apiRun{code, stdout.String(), stderr.String()}
}

// mustMuster runs a command line that must succeed.
func mustMuster(t *testing.T, args ...string) string {
	t.Helper()
	r := runMuster(t, args...)
	if r.code != exitOK {
		t.Fatalf("muster %q: exit code %d, %q", args, r.code, r.stderr)
	}
	return r.stdout
}

// A backup that is taken under load holds everything that was acknowledged when
// it began, and nothing that never was; a server started from it goes on. [OPS-5]
func TestBackupUnderLoad(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	d := &demo{devices: 300}
	o := bench.ServerOptions{Binary: built(t), Dir: t.TempDir(), CPU: -1, Stderr: os.Stderr, Items: d.items()}
	server, err := bench.StartServer(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Kill() }()
	fleet, err := bench.NewFleet(ctx, server.Key, bench.Load{Devices: 300, Conns: 4, Depth: 16, PerRecord: 4, Mix: bench.Renewing(8), Uses: d.load().Uses, Module: "QR"})
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	if err := fleet.CheckIn(ctx); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup.tar.zst")
	load, stop := context.WithCancel(ctx)
	var before, after atomic.Uint64
	go func() {
		defer stop()
		time.Sleep(300 * time.Millisecond)
		before.Store(fleet.Told.Reports.Load())
		mustMuster(t, "backup", file, "--data", server.DataDir())
		after.Store(fleet.Told.Reports.Load())
	}()
	if err := fleet.Run(load); err != nil {
		t.Fatal(err)
	}
	if r := runMuster(t, "backup", file, "--data", server.DataDir()); r.code != exitUsage || !strings.Contains(r.stderr, "there already") {
		t.Errorf("over a file: %+v", r)
	}
	if r := runMuster(t, "verify", server.DataDir()); r.code != exitLocked {
		t.Errorf("verify of a served directory: %+v", r)
	}
	if r := runMuster(t, "restore", file, "--data", server.DataDir(), "--replace"); r.code != exitLocked {
		t.Errorf("restore over a served directory: %+v", r)
	}
	server.Kill()

	said := mustMuster(t, "restore", file, "--data", server.DataDir(), "--replace", "--vendor-key", server.VendorKey())
	for _, words := range []string{"100001/seats", "device streams  300", "all of it is intact", "is restored in", "before-restore"} {
		if !strings.Contains(said, words) {
			t.Errorf("restore says %q, without %q", said, words)
		}
	}
	if err := server.Restart(o); err != nil {
		t.Fatal(err)
	}
	if _, counted, seats := sums(t, fleet, server); counted < before.Load() || counted > after.Load()+uint64(fleet.Outstanding()) || before.Load() == 0 || seats != 300 {
		t.Errorf("%d scans and %d seats were restored; %d were acknowledged before the backup, %d after", counted, seats, before.Load(), after.Load())
	}
}

var keepFixture = flag.Bool("keep-fixture", false, "write testdata/format-1.tar.zst anew: only for a new format")

// The data directory of format 1 that is kept opens, adds up, and serves the
// devices that were in it.
func TestFormatOne(t *testing.T) { // [OPS-5]
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	fixture, vendor := filepath.Join("testdata", "format-1.tar.zst"), filepath.Join("testdata", "format-1.vendor.pub")
	if *keepFixture {
		makeFixture(ctx, t, fixture, vendor)
	}
	data := filepath.Join(t.TempDir(), "data")
	said := mustMuster(t, "restore", fixture, "--data", data, "--vendor-key", vendor)
	for _, line := range []string{"checkpoint", "device streams  20", "100001/seats  10    50    10              50", "100001/scans  10    50    10              50"} {
		if !strings.Contains(said, line) {
			t.Errorf("the fixture adds up to %q, without %q", said, line)
		}
	}
	if said := mustMuster(t, "verify", data, "--vendor-key", vendor); !strings.Contains(said, "all of it is intact") {
		t.Errorf("verify says %q", said)
	}
}

func makeFixture(ctx context.Context, t *testing.T, fixture, vendor string) {
	d := &demo{devices: 20}
	o := bench.ServerOptions{Binary: built(t), Dir: t.TempDir(), CPU: -1, Stderr: os.Stderr, Items: d.items()}
	server, err := bench.StartServer(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	load := bench.Load{Devices: 20, Conns: 1, PerRecord: 1, Uses: d.load().Uses, Module: "QR"}
	fleet, err := bench.NewFleet(ctx, server.Key, load)
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	if err := fleet.CheckIn(ctx); err != nil {
		t.Fatal(err)
	}
	work := func() {
		while, stop := context.WithTimeout(ctx, 250*time.Millisecond)
		defer stop()
		if err := fleet.RunAt(while, 200); err != nil {
			t.Fatal(err)
		}
	}
	work()
	if err := server.Stop(20 * time.Second); err != nil { // with a checkpoint
		t.Fatal(err)
	}
	if err := server.Restart(o); err != nil {
		t.Fatal(err)
	}
	if err := fleet.Reconnect(ctx); err != nil {
		t.Fatal(err)
	}
	work()
	_ = os.Remove(fixture)
	mustMuster(t, "backup", fixture, "--data", server.DataDir())
	key, err := os.ReadFile(server.VendorKey())
	if err == nil {
		err = os.WriteFile(vendor, key, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
