package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/bench"
)

// traced has strace run a server, with a fault injected; it skips where strace
// can't trace.
func traced(t *testing.T, inject string) bench.ServerOptions {
	t.Helper()
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		t.Skipf("strace (the Debian package) can't trace here: %v", err)
	}
	o := crashServer(t, t.TempDir())
	o.Under = []string{"strace", "-f", "--seccomp-bpf", "-o", os.DevNull, "-e", "trace=fdatasync", "-e", "inject=" + inject}
	return o
}

// TestSlowDisk has every sync of the journal take 200 ms more, under a load that
// does not wait: what comes is answered in fewer, larger batches, counted once,
// and does not pile up in memory.
func TestSlowDisk(t *testing.T) {
	o := traced(t, "fdatasync:delay_enter=200000")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server, err := bench.StartServer(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Kill() }()
	load := crashLoad()
	load.Depth, load.PerRecord = 0, 1
	fleet, err := bench.NewFleet(ctx, server.Key, load)
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	if err := fleet.CheckIn(ctx); err != nil {
		t.Fatal(err)
	}
	before, err := server.Metrics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	while, stop := context.WithTimeout(ctx, 3*time.Second)
	defer stop()
	if err := fleet.RunAt(while, 5000); err != nil {
		t.Fatal(err)
	}
	told, counted, _ := sums(t, fleet, server)
	if told != counted || told == 0 {
		t.Errorf("%d scans counted, %d acknowledged", counted, told)
	}
	after, err := server.Metrics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	grown := (after["process_resident_memory_bytes"] - before["process_resident_memory_bytes"]) / (1 << 20)
	entries := after["muster_journal_entries_total"] - before["muster_journal_entries_total"]
	if grown > 100 || entries == 0 || float64(told)/entries < 50 {
		t.Errorf("memory grew by %.0f MiB; %d reports in %.0f entries", grown, told, entries)
	}
	t.Logf("%d reports in %.0f journal entries, %.0f MiB more memory", told, entries, grown)
}

// TestOverload asks for more than the server can do, at a disk of 50 ms a sync:
// more requests are on their way than its batches take. Who sends more has to
// wait; nobody is told to come back, which would cost as much as an answer, and
// devices that do come back are then all that it has time for.
func TestOverload(t *testing.T) {
	o := traced(t, "fdatasync:delay_enter=50000")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server, err := bench.StartServer(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Kill() }()
	load := crashLoad()
	load.Devices, load.Conns, load.Depth, load.PerRecord, load.Mix = 80_000, 40, 2000, 16, bench.Mix{}
	d := &demo{devices: load.Devices}
	load.Uses = d.load().Uses[1:] // that are not limited to the number of seats
	fleet, err := bench.NewFleet(ctx, server.Key, load)
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	if err := fleet.CheckIn(ctx); err != nil {
		t.Fatal(err)
	}
	while, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	if err := fleet.Run(while); err != nil {
		t.Fatal(err)
	}
	told, counted, _ := sums(t, fleet, server)
	if busy := fleet.Told.Busy.Load(); busy != 0 || told != counted || told < uint64(load.Devices) {
		t.Errorf("%d answers were busy; %d scans counted, %d acknowledged", busy, counted, told)
	}
}

// TestFailedSync has the kernel fail the journal's syncs of a real server under
// load, by strace: the server says so and ends, with an exit
// status, and acknowledges nothing more.
func TestFailedSync(t *testing.T) {
	o := traced(t, "fdatasync:error=EIO:when=40+") // calls are counted by thread
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var stderr bytes.Buffer
	o.Stderr = &stderr
	server, err := bench.StartServer(ctx, o)
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	defer func() { server.Kill() }()
	fleet, err := bench.NewFleet(ctx, server.Key, crashLoad())
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	err = fleet.CheckIn(ctx)
	if err == nil {
		err = fleet.Run(ctx)
	}
	if err == nil {
		t.Fatal("the fleet did not notice that the server ended")
	}
	select {
	case <-server.Ended():
	case <-ctx.Done():
		t.Fatal("the server goes on")
	}
	if server.Err() == nil {
		t.Error("the server ended with exit status 0")
	}
	for _, want := range []string{"journal", syscall.EIO.Error(), "what it has not acknowledged may be lost, nothing that it has"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("the server does not say %q:\n%s", want, &stderr)
		}
	}
	o.Under, o.Stderr = nil, os.Stderr
	if err := server.Restart(o); err != nil {
		t.Fatal(err)
	}
	told, counted, _ := sums(t, fleet, server)
	if open := uint64(fleet.Outstanding()); counted < told || counted > told+open {
		t.Errorf("%d scans counted, %d were acknowledged and %d requests are open", counted, told, open)
	}
}
