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

// TestFailedSync has the kernel fail the journal's syncs of a real server under
// load, by strace: the server says so and ends, with an exit
// status, and acknowledges nothing more.
func TestFailedSync(t *testing.T) {
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		t.Skipf("strace (the Debian package) can't trace here: %v", err)
	}
	const inject = "fdatasync:error=EIO:when=40+" // calls are counted by thread
	failSync(t, inject)
}

func failSync(t *testing.T, inject string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var stderr bytes.Buffer
	o := crashServer(t, t.TempDir())
	o.Under = []string{"strace", "-f", "--seccomp-bpf", "-o", os.DevNull, "-e", "inject=" + inject}
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
