package journal_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"muster/storage/journal"
)

// The operating system's disk: round trip, roll, release, torn tail, damage.
func TestDir(t *testing.T) {
	path := t.TempDir()
	opt := journal.Options{Disk: journal.Dir(path), SegmentBytes: smallSegment}
	j, _ := mustOpen(t, opt)
	mustAppend(t, j, 30, 30)
	if err := j.Release(10); err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)
	j, got, err := open(opt, 8)
	if err != nil {
		t.Fatal(err)
	}
	mustCheck(t, got, 9, 30)
	mustAppend(t, j, 3, 30)
	mustClose(t, j)

	// Segment 4 holds entries 25 to 30, a seal and entry 31.
	last := filepath.Join(path, segmentName(4))
	raw, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(last); err != nil || info.Mode().Perm()&0o077 != 0 || info.Size() != smallSegment {
		t.Fatalf("%v, %v: want a file for its owner only, of full size", info, err)
	}
	raw[4096+512+100] ^= 1
	if err := os.WriteFile(last, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err = open(opt, 8)
	wantDamage(t, err, segmentName(4), 4096+512)
}

func TestDirThatIsMissing(t *testing.T) {
	opt := journal.Options{Disk: journal.Dir(filepath.Join(t.TempDir(), "absent"))}
	if _, _, err := open(opt, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Open = %v", err)
	}
}

// Close stops the making of a large spare; nothing of it stays behind for good.
func TestDirCloseDuringFill(t *testing.T) {
	path := t.TempDir()
	opt := journal.Options{Disk: journal.Dir(path), SegmentBytes: 8 << 20}
	for range 3 {
		j, _ := mustOpen(t, opt)
		mustAppend(t, j, 1, 30)
		mustClose(t, j)
	}
	j, got := mustOpen(t, opt)
	mustCheck(t, got, 1, 3)
	mustClose(t, j)
}

// The next segment is filled as the present one is used, not all at once.
func TestDirFillKeepsPace(t *testing.T) {
	path := t.TempDir()
	opt := journal.Options{Disk: journal.Dir(path), SegmentBytes: 16 << 20}
	j, _ := mustOpen(t, opt)
	defer mustClose(t, j)
	time.Sleep(100 * time.Millisecond)
	if info, err := os.Stat(filepath.Join(path, "0000000000000002.fill")); err != nil || info.Size() > 4<<20 {
		t.Fatalf("%v, %v: want a part of a segment", info, err)
	}
	mustAppend(t, j, 3, 1<<20) // of the first segment's 4 MiB
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if info, err := os.Stat(filepath.Join(path, segmentName(2))); err == nil && info.Size() == opt.SegmentBytes {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the next segment is not ready when three quarters of the present one are used")
		}
	}
	mustAppend(t, j, 20, 1<<20)
}
