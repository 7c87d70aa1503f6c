package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"muster/client"
)

// On a disk that fills up devices are not served before anything fails, the
// operator is told and can still look, and all goes on when there is room again.
func TestDiskNearlyFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	c := newCLI(t)
	c.stop()
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=500m"); err != nil {
		t.Skipf("can't mount a small disk here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	c.config.Data, c.config.DiskFloor = filepath.Join(disk, "data"), 100<<20
	t.Setenv("MUSTER_DATA", c.config.Data)
	c.start()
	t.Cleanup(func() { // before the disk goes
		if c.p != nil {
			c.stop()
		}
	})
	device := c.client(c.importItems(item("scans", "scan", "1000")), client.State{})
	if _, err := device.CheckIn(t.Context(), client.Use{Product: "DBR", Version: 11}); err != nil {
		t.Fatal(err)
	}
	report := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return device.Report(ctx, client.Count{Module: "QR", Count: 1})
	}
	if err := report(); err != nil {
		t.Fatal(err)
	}
	filler, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for left := uint64(c.config.DiskFloor); left >= c.config.DiskFloor-20<<20; { // the journal's next segment takes some too
		if _, err := filler.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if left, err = c.p.dir.Free(); err != nil {
			t.Fatal(err)
		}
	}
	until := func(state string) {
		t.Helper()
		for range 100 {
			if strings.Contains(runAPI(t, "", "status").stdout, "  "+state+"\n") {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatalf("never %s: %+v", state, runAPI(t, "", "status"))
	}
	until("not serving")
	c.ok(words("status"), "the disk is nearly full")
	c.ok(words("item list"), "1001/scans")
	if err := report(); err == nil {
		t.Error("a report was accepted on a full disk")
	}
	if err := errors.Join(filler.Close(), os.Remove(filler.Name())); err != nil {
		t.Fatal(err)
	}
	until("serving")
	if err := report(); err != nil {
		t.Fatal(err)
	}
	c.stop()
	c.start()
	c.ok(words("item show 1001/scans"), "uses", "2")
}
