package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"muster/bench"
)

// built builds the real program, static as "make build" does, for the tests that run it.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "muster")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

var crashCycles = flag.Int("cycles", 0, "how often TestKillNine and TestPowerCut end the server; 0: a few times")

// TestKillNine kills the real server under load and compares what it counts after
// each restart with a ledger kept outside: nothing that was acknowledged is lost,
// nothing counts twice. [CLI-3]
func TestKillNine(t *testing.T) {
	o := crashServer(t, t.TempDir())
	fleet := crashLoop(t, o, cmp.Or(*crashCycles, 10), func(server *bench.Server) error {
		server.Kill()
		<-server.Ended()
		return server.Restart(o)
	})
	if n := fleet.Told.Other.Load(); n != 0 {
		t.Errorf("%d answers were out of order", n)
	}
}

const crashDevices = 400

func crashServer(t *testing.T, dir string) bench.ServerOptions {
	d := &demo{devices: crashDevices}
	return bench.ServerOptions{Binary: built(t), Dir: dir, CPU: -1, Stderr: os.Stderr, Items: d.items()}
}

func crashLoad() bench.Load {
	d := &demo{devices: crashDevices}
	return bench.Load{Devices: crashDevices, Conns: 4, Depth: 32, PerRecord: 4, Mix: bench.Renewing(8), Uses: d.load().Uses, Module: "QR"}
}

// crashLoop runs a server under load and has crash end it and start it again, so
// many times. After each it compares what the server counts with the ledger.
func crashLoop(t *testing.T, o bench.ServerOptions, cycles int, crash func(*bench.Server) error) *bench.Fleet {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute+time.Duration(cycles)*10*time.Second)
	defer cancel()
	server, err := bench.StartServer(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Kill(); <-server.Ended() }()
	fleet, err := bench.NewFleet(ctx, server.Key, crashLoad())
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	if err := fleet.CheckIn(ctx); err != nil {
		t.Fatal(err)
	}
	for cycle := 1; cycle <= cycles; cycle++ {
		restarted := make(chan error, 1)
		time.AfterFunc(time.Duration(50+rand.IntN(400))*time.Millisecond, func() { restarted <- crash(server) })
		if err := fleet.Run(ctx); err == nil {
			t.Fatal("the fleet did not notice that the server ended")
		}
		if err := <-restarted; err != nil {
			t.Fatalf("cycle %d: %v", cycle, err)
		}
		told, counted, seats := sums(t, fleet, server)
		if open := uint64(fleet.Outstanding()); counted < told || counted > told+open {
			t.Fatalf("cycle %d: %d scans counted, %d were acknowledged and %d requests are open", cycle, counted, told, open)
		}
		if seats != crashDevices {
			t.Errorf("cycle %d: %d seats held, want %d", cycle, seats, crashDevices)
		}
		if err := fleet.Reconnect(ctx); err != nil {
			t.Fatalf("cycle %d: %v", cycle, err)
		}
		if cycle%10 == 0 && cycles > 10 {
			fmt.Printf("%d of %d cycles, %d scans acknowledged: 0 lost, 0 double\n", cycle, cycles, told)
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
	t.Logf("%d scans over %d cycles: 0 lost, 0 double", fleet.Told.Reports.Load(), cycles)
	return fleet
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
