package simdisk

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"muster/storage/journal"
)

var _ journal.Disk = (*Disk)(nil)

// ones returns n bytes of one value.
func ones(value byte, n int) []byte { return bytes.Repeat([]byte{value}, n) }

// written returns a disk with a durable file "a" of four sectors of 1.
func written(t *testing.T) (*Disk, journal.File) {
	t.Helper()
	d := New()
	d.SetContents("a", ones(1, 4*sectorBytes))
	file, err := d.Open("a", true)
	if err != nil {
		t.Fatal(err)
	}
	return d, file
}

func write(t *testing.T, file journal.File, value byte, n int, off int64) {
	t.Helper()
	if _, err := file.WriteAt(ones(value, n), off); err != nil {
		t.Fatal(err)
	}
}

// crashes returns what a file is in 200 crashes of copies of the disk.
func crashes(d *Disk, name string) [][]byte {
	var found [][]byte
	for seed := range uint64(200) {
		after := d.Clone().Crash(rand.New(rand.NewPCG(seed, 0)))
		found = append(found, after.Contents(name))
	}
	return found
}

func TestSyncedBytesSurvive(t *testing.T) {
	d, file := written(t)
	write(t, file, 2, 2*sectorBytes, sectorBytes)
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(ones(1, sectorBytes), ones(2, 2*sectorBytes), ones(1, sectorBytes))
	for _, got := range crashes(d, "a") {
		if !bytes.Equal(got, want) {
			t.Fatal("a crash changed synced bytes")
		}
	}
}

// Unsynced sectors come out old, new and torn, each on its own; others never change.
func TestUnsyncedSectors(t *testing.T) {
	d, file := written(t)
	write(t, file, 2, 2*sectorBytes, sectorBytes)
	seen := map[string]bool{}
	for _, got := range crashes(d, "a") {
		if !bytes.Equal(got[:sectorBytes], ones(1, sectorBytes)) || !bytes.Equal(got[3*sectorBytes:], ones(1, sectorBytes)) {
			t.Fatal("a crash changed a sector that was not written")
		}
		var kinds string
		for s := 1; s < 3; s++ {
			switch sector := got[s*sectorBytes:][:sectorBytes]; {
			case bytes.Equal(sector, ones(1, sectorBytes)):
				kinds += "old "
			case bytes.Equal(sector, ones(2, sectorBytes)):
				kinds += "new "
			default:
				kinds += "torn "
			}
		}
		seen[kinds] = true
	}
	for _, want := range []string{"old old ", "new new ", "old new ", "new old ", "torn new ", "old torn "} {
		if !seen[want] {
			t.Errorf("no crash left the sectors %s", want)
		}
	}
}

// A later Sync does not write what a failed one left, until it is written anew.
func TestFailedSyncLeavesLimbo(t *testing.T) {
	d, file := written(t)
	write(t, file, 2, sectorBytes, 0)
	d.FailAt(OpSync, 1, syscall.EIO)
	if err := file.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Sync = %v", err)
	}
	lost := func() int {
		if err := file.Sync(); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, got := range crashes(d, "a") {
			if got[0] == 1 {
				n++
			}
		}
		return n
	}
	if lost() == 0 {
		t.Error("a Sync after a failed one made the bytes durable")
	}
	write(t, file, 2, sectorBytes, 0)
	if n := lost(); n != 0 {
		t.Errorf("written anew and synced, but lost in %d crashes", n)
	}
}

func TestDirectoryChangesNeedSyncDir(t *testing.T) {
	d, _ := written(t)
	if err := d.Rename("a", "b"); err != nil {
		t.Fatal(err)
	}
	before, after := 0, 0
	for i := range crashes(d, "a") {
		names, _ := d.Clone().Crash(rand.New(rand.NewPCG(uint64(i), 0))).List()
		switch {
		case slices.Equal(names, []string{"a"}):
			before++
		case slices.Equal(names, []string{"b"}):
			after++
		default:
			t.Fatalf("a rename left %v", names)
		}
	}
	if before == 0 || after == 0 {
		t.Fatalf("%d crashes before, %d after: want some of each", before, after)
	}
	if err := d.SyncDir(); err != nil {
		t.Fatal(err)
	}
	for _, got := range crashes(d, "b") {
		if got == nil {
			t.Fatal("a synced rename was lost")
		}
	}
}

func TestKillKeepsUnsyncedBytesAndTheirDanger(t *testing.T) {
	d, file := written(t)
	write(t, file, 2, sectorBytes, 0)
	killed := d.Kill()
	if _, err := file.WriteAt([]byte{3}, 0); !errors.Is(err, ErrPowerOff) {
		t.Fatalf("a dead process wrote: %v", err)
	}
	if killed.Contents("a")[0] != 2 {
		t.Fatal("the bytes went with the process")
	}
	lost := slices.ContainsFunc(crashes(killed, "a"), func(got []byte) bool { return got[0] == 1 })
	if !lost {
		t.Fatal("a kill made the bytes durable")
	}
}

func TestFaults(t *testing.T) {
	d, file := written(t)
	d.FailAt(OpWrite, 2, syscall.ENOSPC)
	write(t, file, 2, sectorBytes, 0)
	if _, err := file.WriteAt(ones(3, 2*sectorBytes), 0); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("second write: %v", err)
	}
	if got := d.Contents("a"); got[0] != 3 || got[sectorBytes] != 1 {
		t.Fatal("a failed write leaves its first half, no more")
	}
	write(t, file, 4, sectorBytes, 0)
	d.PowerOffAt(2)
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{file.Sync(), d.Remove("a"), d.SyncDir()} {
		if !errors.Is(err, ErrPowerOff) {
			t.Fatalf("without power: %v", err)
		}
	}
	reader, err := New().Open("a", false)
	if reader != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Open of nothing = %v", err)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	d, _ := written(t)
	reader, err := d.Open("a", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.WriteAt([]byte{1}, 0); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("WriteAt = %v", err)
	}
}
