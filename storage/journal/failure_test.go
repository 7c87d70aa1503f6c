package journal_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"muster/storage/journal"
	"muster/storage/journal/simdisk"
)

// A failed write or sync is final: the disk works again, the journal must not.
func TestFailedWriteOrSyncPoisons(t *testing.T) {
	for _, op := range []simdisk.Op{simdisk.OpWrite, simdisk.OpSync} {
		disk := simdisk.New()
		j, _ := mustOpen(t, small(disk))
		mustAppend(t, j, 3, 1000)
		disk.FailAt(op, 1, syscall.EIO)
		_, first := j.Append(1, 0, 0, body(4, 1000))
		if !errors.Is(first, journal.ErrInDoubt) || !errors.Is(first, syscall.EIO) || !strings.Contains(first.Error(), segmentName(2)+" at 5632") {
			t.Fatalf("Append = %v, want in doubt, the cause and the place", first)
		}
		calls := disk.Calls()
		if _, err := j.Append(1, 0, 0, nil); err != first {
			t.Fatalf("next Append = %v, want the same error", err)
		}
		if err := j.Close(); !errors.Is(err, first) || disk.Calls() != calls {
			t.Fatalf("Close = %v after %d writes, want the same error and no seal", err, disk.Calls()-calls)
		}
		if j.LastIndex() != 3 {
			t.Fatalf("last index %d, want 3", j.LastIndex())
		}
		j, got := mustOpen(t, small(disk))
		if len(got) < 3 || len(got) > 4 || j.Found.Sealed {
			t.Fatalf("%d entries after an append in doubt, found %+v", len(got), j.Found)
		}
		mustClose(t, j)
	}
}

// The kernel may call pages clean that it failed to write. What Open accepts
// must be on disk all the same.
func TestEntryInDoubtIsDurableOnceReplayed(t *testing.T) {
	disk := simdisk.New()
	j, _ := mustOpen(t, small(disk))
	mustAppend(t, j, 2, 30)
	disk.FailAt(simdisk.OpSync, 1, syscall.EIO)
	if _, err := j.Append(3, 0, 3*dayNano, body(3, 30)); err == nil {
		t.Fatal("the injected error is missing")
	}
	disk = disk.Kill()
	_, got := mustOpen(t, small(disk))
	mustCheck(t, got, 1, 3)
	for seed := range uint64(20) {
		_, got = mustOpen(t, small(disk.Clone().Crash(newRNG(seed))))
		mustCheck(t, got, 1, 3)
	}
}

func TestNoSpaceForASegmentIsNoDoubt(t *testing.T) {
	for _, inline := range []bool{true, false} {
		for _, op := range []simdisk.Op{simdisk.OpCreate, simdisk.OpWrite, simdisk.OpSync, simdisk.OpRename, simdisk.OpSyncDir} {
			disk := &fullDisk{Disk: simdisk.New()}
			opt := small(disk)
			opt.Inline = inline
			j, _ := mustOpen(t, opt)
			mustAppend(t, j, 8, 30)
			if !inline { // use up the spare that is ready
				mustAppend(t, j, 8, 30)
			}
			last := j.LastIndex()
			disk.setFull(op, true)
			for range 2 {
				_, err := j.Append(1, 0, 0, nil)
				for err == nil { // the spare was ready before the disk was full
					last = j.LastIndex()
					_, err = j.Append(uint8((last+1)%200), (last+1)/10, int64(last+1)*dayNano, body(last+1, 30))
				}
				if !errors.Is(err, journal.ErrNoSegment) || !errors.Is(err, syscall.ENOSPC) || errors.Is(err, journal.ErrInDoubt) {
					t.Fatalf("op %d: Append = %v, want ErrNoSegment and its cause", op, err)
				}
			}
			if j.LastIndex() != last {
				t.Fatalf("op %d: last index moved to %d", op, j.LastIndex())
			}
			disk.setFull(op, false)
			mustAppend(t, j, 20, 30)
			mustClose(t, j)
		}
	}
}

// A spare that failed to be made an hour ago must not fail an append for which
// there is room now.
func TestOldFailureIsTriedAgain(t *testing.T) {
	disk := simdisk.New()
	j, _ := mustOpen(t, small(disk))
	mustAppend(t, j, 1, 30)
	mustClose(t, j)
	opt := small(disk)
	opt.Inline = false
	disk.FailAt(simdisk.OpCreate, 1, syscall.ENOSPC)
	j, _ = mustOpen(t, opt)
	mustAppend(t, j, 30, 30)
	mustClose(t, j)
}

func TestNoSpaceAtFirstOpen(t *testing.T) {
	disk := simdisk.New()
	disk.FailAt(simdisk.OpWrite, 1, syscall.ENOSPC)
	if _, _, err := open(small(disk), 0); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Open = %v", err)
	}
	j, _ := mustOpen(t, small(disk))
	mustAppend(t, j, 1, 30)
}

// A header that could not be written is in doubt like an entry.
func TestFailedSegmentHeaderPoisons(t *testing.T) {
	for n, op := range map[int]simdisk.Op{2: simdisk.OpWrite, 3: simdisk.OpSync} {
		disk := simdisk.New()
		j, _ := mustOpen(t, small(disk))
		mustAppend(t, j, 8, 30)
		disk.FailAt(op, 2, syscall.EIO) // the first is the zero-fill
		_, err := j.Append(1, 0, 0, nil)
		if !errors.Is(err, journal.ErrInDoubt) {
			t.Fatalf("%d: Append = %v, want in doubt", n, err)
		}
		if _, again := j.Append(1, 0, 0, nil); again != err {
			t.Fatalf("%d: next Append = %v", n, again)
		}
		_, got := mustOpen(t, small(disk))
		mustCheck(t, got, 1, 8)
	}
}

// Whatever call fails while Open recovers, Open says so and a later one succeeds
// without loss.
func TestRecoveryErrorsLoseNothing(t *testing.T) {
	base := simdisk.New()
	j, _ := mustOpen(t, small(base))
	mustAppend(t, j, 11, 30)
	base = base.Kill()
	raw := base.Contents(segmentName(2))
	copy(raw[4096+3*512:], "torn")
	base.SetContents(segmentName(2), raw)
	base.SetContents("0000000000000003.fill", nil)
	for _, op := range []simdisk.Op{simdisk.OpWrite, simdisk.OpSync, simdisk.OpRemove, simdisk.OpSyncDir} {
		disk := base.Clone()
		disk.FailAt(op, 1, syscall.EIO)
		if _, _, err := open(small(disk), 0); !errors.Is(err, syscall.EIO) {
			t.Fatalf("op %d: Open = %v", op, err)
		}
		for seed := range uint64(20) {
			_, got := mustOpen(t, small(disk.Clone().Crash(newRNG(seed))))
			mustCheck(t, got, 1, 11)
		}
	}
}
