package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/bench"
	"muster/client"
	"muster/license"
	"muster/protocol"
)

// needStrace skips a test where strace can't trace.
func needStrace(t *testing.T) {
	t.Helper()
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		t.Skipf("strace (the Debian package) can't trace here: %v", err)
	}
}

// traced has strace run a server, with a fault injected into a system call, of one
// file of the data directory if one is named.
func traced(t *testing.T, inject, file string) bench.ServerOptions {
	t.Helper()
	needStrace(t)
	call, _, _ := strings.Cut(inject, ":")
	o := crashServer(t, t.TempDir())
	// -D: the server is the child that is stopped, and strace is not.
	o.Under = []string{"strace", "-D", "-f", "-o", os.DevNull, "-e", "trace=" + call, "-e", "inject=" + inject}
	if file == "" {
		o.Under = append(o.Under, "--seccomp-bpf")
	} else {
		o.Under = append(o.Under, "-P", filepath.Join(o.Dir, "data", file))
	}
	return o
}

// TestSlowDisk has every sync of the journal take 200 ms more, under a load that
// does not wait: what comes is answered in fewer, larger batches, counted once,
// and does not pile up in memory.
func TestSlowDisk(t *testing.T) {
	o := traced(t, "fdatasync:delay_enter=200000", "")
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
	if !answersMeanwhile(ctx, t, server.Key) {
		t.Error("a ping was never answered while a sync was under way")
	}
}

// answersMeanwhile reports whether the event loop goes on while its batch waits
// for a slow disk: a ping is answered before the check-in that was sent before it.
func answersMeanwhile(ctx context.Context, t *testing.T, licenseKey string) bool {
	key, err := license.ParseLicenseKey(licenseKey)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := client.Dial(ctx, key, protocol.UUID{1}, client.Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for try := range uint32(10) { // one that the machine holds up for the time of a sync shows nothing
		ask := protocol.Request{Kind: protocol.KindCheckIn, ID: 2 * try, UUID: protocol.UUID{1}, Tag: try, CheckIn: &protocol.CheckIn{Product: []byte("unknown")}}
		if err := conn.Write(&ask); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		if err := conn.Write(&protocol.Request{Kind: protocol.KindPing, ID: 2*try + 1}); err != nil {
			t.Fatal(err)
		}
		var order []uint8
		for len(order) < 2 {
			if err := conn.Read(func(a *protocol.Answer) { order = append(order, a.Kind) }); err != nil {
				t.Fatal(err)
			}
		}
		if order[0] == protocol.KindPong {
			return true
		}
	}
	return false
}

// TestOverload asks for more than the server can do, at a disk of 50 ms a sync:
// more requests are on their way than its batches take. Who sends more has to
// wait; nobody is told to come back, which would cost as much as an answer, and
// devices that do come back are then all that it has time for.
func TestOverload(t *testing.T) {
	o := traced(t, "fdatasync:delay_enter=50000", "")
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

// TestFailedJournal has the kernel fail the journal's writes or syncs of a real
// server under load, by strace: the server says so and ends, with an exit status,
// and acknowledges nothing more.
func TestFailedJournal(t *testing.T) {
	for name, inject := range map[string]string{ // calls are counted by thread
		"sync":               "fdatasync:error=EIO:when=40+",
		"write":              "pwrite64:error=EIO:when=40+",
		"write without room": "pwrite64:error=ENOSPC:when=40+",
	} {
		t.Run(name, func(t *testing.T) {
			f := failing(t, inject, filepath.Join("journal", "0000000000000001.log"))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := f.fleet.Run(ctx); err == nil {
				t.Fatal("the fleet did not notice that the server ended")
			}
			f.mustEnd("journal", "what it has not acknowledged may be lost, nothing that it has")
		})
	}
}

// TestFailedCheckpoint has the kernel fail what writes the last checkpoint of a
// real server: it says so and ends, with an exit status, and the next start has
// all from the checkpoint before and the journal.
func TestFailedCheckpoint(t *testing.T) {
	for name, fault := range map[string][2]string{
		"sync of pages":      {"msync:error=EIO", ""},
		"write of manifest":  {"pwrite64:error=ENOSPC", "manifest.new"},
		"sync of manifest":   {"fdatasync:error=EIO", "manifest.new"},
		"rename of manifest": {"renameat:error=EIO", "manifest.new"},
	} {
		t.Run(name, func(t *testing.T) {
			f := failing(t, fault[0], fault[1])
			load, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			if err := f.fleet.Run(load); err != nil {
				t.Fatal(err)
			}
			if err := f.server.Stop(20 * time.Second); f.server.Err() != err {
				t.Error(err) // it had to be killed
			}
			f.mustEnd("checkpoint", "nothing is lost, the journal has it")
		})
	}
}

// faulted is a server with a fault, and a fleet that is connected to it.
type faulted struct {
	t      *testing.T
	o      bench.ServerOptions // without the fault
	inject string
	server *bench.Server
	fleet  *bench.Fleet
	stderr bytes.Buffer
}

// failing starts a server that has served before, with a fault.
func failing(t *testing.T, inject, file string) *faulted {
	t.Helper()
	f := &faulted{t: t, o: traced(t, inject, file), inject: inject}
	with := f.o
	with.Stderr, f.o.Under = &f.stderr, nil
	var err error
	if f.server, err = bench.StartServer(t.Context(), f.o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.server.Kill() })
	if f.fleet, err = bench.NewFleet(t.Context(), f.server.Key, crashLoad()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.fleet.Close() })
	if err := f.fleet.CheckIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.server.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := f.server.Restart(with); err != nil {
		t.Fatalf("%v\n%s", err, &f.stderr)
	}
	if err := f.fleet.Reconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// mustEnd waits for the server's end, wants it to have said why, and compares what
// it counts when it is started again with what was acknowledged.
func (f *faulted) mustEnd(words ...string) {
	f.t.Helper()
	<-f.server.Ended()
	var exit *exec.ExitError
	if !errors.As(f.server.Err(), &exit) || exit.ExitCode() != exitBroken {
		f.t.Errorf("the server ended with %v", f.server.Err())
	}
	fault := syscall.EIO
	if strings.Contains(f.inject, "ENOSPC") {
		fault = syscall.ENOSPC
	}
	for _, want := range append(words, fault.Error()) {
		if !strings.Contains(f.stderr.String(), want) {
			f.t.Errorf("the server does not say %q:\n%s", want, &f.stderr)
		}
	}
	if err := f.server.Restart(f.o); err != nil {
		f.t.Fatal(err)
	}
	told, counted, _ := sums(f.t, f.fleet, f.server)
	if open := uint64(f.fleet.Outstanding()); counted < told || counted > told+open || told == 0 {
		f.t.Errorf("%d scans counted, %d were acknowledged and %d requests are open", counted, told, open)
	}
}
