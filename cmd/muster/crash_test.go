package main

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"muster/bench"
)

// built builds the real program once for the tests that run it.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "muster")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// TestKillNine kills the real server under load, ten times, and compares what
// it counts after each restart with a ledger kept outside: nothing that was
// acknowledged is lost, nothing counts twice. [CLI-3]
func TestKillNine(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	d := &demo{devices: 400}
	o := bench.ServerOptions{Binary: built(t), Dir: t.TempDir(), CPU: -1, Stderr: os.Stderr, Items: d.items()}
	server, err := bench.StartServer(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Kill() }()
	load := bench.Load{Devices: 400, Conns: 4, Depth: 32, PerRecord: 4, Renew: 8, Uses: d.load().Uses, Module: "QR"}
	fleet, err := bench.NewFleet(ctx, server.Key, load)
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	if err := fleet.CheckIn(ctx); err != nil {
		t.Fatal(err)
	}
	for cycle := range 10 {
		time.AfterFunc(time.Duration(50+rand.IntN(400))*time.Millisecond, server.Kill)
		if err := fleet.Run(ctx); err == nil {
			t.Fatal("the fleet did not notice that the server was killed")
		}
		<-server.Ended()
		if err := server.Restart(o); err != nil {
			t.Fatalf("cycle %d: %v", cycle, err)
		}
		told, counted, seats := sums(t, fleet, server)
		if open := uint64(fleet.Outstanding()); counted < told || counted > told+open {
			t.Fatalf("cycle %d: %d scans counted, %d were acknowledged and %d requests are open", cycle, counted, told, open)
		}
		if seats != 400 {
			t.Errorf("cycle %d: %d seats held, want 400", cycle, seats)
		}
		if err := fleet.Reconnect(ctx); err != nil {
			t.Fatalf("cycle %d: %v", cycle, err)
		}
	}
	last, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	defer stop()
	if err := fleet.Run(last); err != nil {
		t.Fatal(err)
	}
	if told, counted, _ := sums(t, fleet, server); counted != told || fleet.Outstanding() != 0 {
		t.Errorf("at the end %d scans counted, %d acknowledged, %d requests open", counted, told, fleet.Outstanding())
	}
	if n := fleet.Told.Other.Load(); n != 0 {
		t.Errorf("%d answers were out of order", n)
	}
	t.Logf("%d scans over ten kills", fleet.Told.Reports.Load())
}

func sums(t *testing.T, fleet *bench.Fleet, server *bench.Server) (told, counted, seats uint64) {
	t.Helper()
	for _, i := range fleet.Told.Items() {
		told += i.Uses
	}
	items, err := server.Counts(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range items {
		counted, seats = counted+i.Usage.Uses, seats+i.Usage.Held
	}
	return told, counted, seats
}
