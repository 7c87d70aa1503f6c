package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"muster/storage/journal"
	"muster/storage/journal/simdisk"
)

func TestRoundTrip(t *testing.T) {
	disk := simdisk.New()
	opt := small(disk)
	j, got := mustOpen(t, opt)
	mustCheck(t, got, 1, 0)
	if j.FirstIndex() != 1 || j.LastIndex() != 0 || j.Bytes() != smallSegment {
		t.Fatalf("new journal: first %d, last %d, %d bytes", j.FirstIndex(), j.LastIndex(), j.Bytes())
	}
	for _, n := range []int{0, 1, bodyOneMax - 1, bodyOneMax, bodyOneMax + 1, 1024, 2 * bodyOneMax} {
		mustAppend(t, j, 1, n)
	}
	mustClose(t, j)
	j, got = mustOpen(t, opt)
	mustCheck(t, got, 1, 7)
	if !j.Found.Sealed || j.Found.Torn.Bytes != 0 || j.Found.Entries != 7 || j.Found.LastIndex != 7 {
		t.Fatalf("found %+v", j.Found)
	}
	mustAppend(t, j, 3, 100)
	mustClose(t, j)
	_, got = mustOpen(t, opt)
	mustCheck(t, got, 1, 10)
}

func TestHeaderFieldsKeepTheirWidth(t *testing.T) {
	opt := small(simdisk.New())
	j, _ := mustOpen(t, opt)
	if _, err := j.Append(254, math.MaxUint64, math.MinInt64, nil); err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)
	_, got := mustOpen(t, opt)
	if e := got[0]; e.Kind != 254 || e.Term != math.MaxUint64 || e.Time != math.MinInt64 || len(e.Body) != 0 {
		t.Fatalf("came back as %+v", e)
	}
}

func TestReplayBeginsAboveFrom(t *testing.T) {
	opt := small(simdisk.New())
	j, _ := mustOpen(t, opt)
	mustAppend(t, j, 20, 30)
	mustClose(t, j)
	for _, from := range []uint64{0, 7, 19, 20} {
		j, got, err := open(opt, from)
		if err != nil {
			t.Fatal(err)
		}
		mustCheck(t, got, from+1, 20)
		mustClose(t, j)
	}
}

func TestReplayErrorEndsOpen(t *testing.T) {
	disk := simdisk.New()
	j, _ := mustOpen(t, small(disk))
	mustAppend(t, j, 3, 30)
	mustClose(t, j)
	calls, full := disk.Calls(), errors.New("page table full")
	_, err := journal.Open(small(disk), 0, func(journal.Entry) error { return full })
	if err != full || disk.Calls() != calls {
		t.Fatalf("Open = %v after %d changes, want the replay's error and none", err, disk.Calls()-calls)
	}
}

func TestSegmentsRollAndRelease(t *testing.T) {
	for _, inline := range []bool{true, false} {
		disk := simdisk.New()
		opt := small(disk)
		opt.Inline = inline
		j, _ := mustOpen(t, opt)
		mustAppend(t, j, 8*5+1, 30) // five full segments and one entry in the sixth
		if j.Bytes() != 6*smallSegment {
			t.Fatalf("%d bytes, want %d", j.Bytes(), 6*smallSegment)
		}
		for _, step := range []struct{ below, first uint64 }{{0, 1}, {8, 1}, {9, 9}, {24, 17}, {1000, 41}} {
			if err := j.Release(step.below); err != nil {
				t.Fatal(err)
			}
			if j.FirstIndex() != step.first {
				t.Fatalf("Release(%d) left first index %d, want %d", step.below, j.FirstIndex(), step.first)
			}
		}
		if j.Bytes() != smallSegment {
			t.Fatalf("%d bytes after release, want one segment", j.Bytes())
		}
		mustAppend(t, j, 20, 30)
		mustClose(t, j)
		j, got, err := open(opt, 40)
		if err != nil {
			t.Fatal(err)
		}
		mustCheck(t, got, 41, 61)
		mustClose(t, j)
		_, _, err = open(opt, 39)
		wantDamage(t, err, segmentName(6), 0)
		if !strings.Contains(err.Error(), "entries from 40 on are needed") {
			t.Fatal(err)
		}
	}
}

func TestReleaseCanBeTriedAgain(t *testing.T) {
	disk := simdisk.New()
	j, _ := mustOpen(t, small(disk))
	mustAppend(t, j, 30, 30)
	disk.FailAt(simdisk.OpSyncDir, 2, fs.ErrInvalid)
	if err := j.Release(25); !errors.Is(err, fs.ErrInvalid) {
		t.Fatalf("Release = %v", err)
	}
	disk.FailAt(simdisk.OpRename, 2, fs.ErrInvalid)
	if err := j.Release(25); !errors.Is(err, fs.ErrInvalid) {
		t.Fatalf("Release = %v", err)
	}
	if err := j.Release(25); err != nil || j.FirstIndex() != 25 {
		t.Fatalf("Release = %v, first index %d", err, j.FirstIndex())
	}
	mustAppend(t, j, 1, 30)
}

// Files of released segments are filled with zeros again, a few of them; no byte
// of what they held is taken for an entry.
func TestReleasedFilesAreUsedAgain(t *testing.T) {
	disk := simdisk.New()
	j, _ := mustOpen(t, small(disk))
	const kept, full = 16, 19      // of released files, of segments
	mustAppend(t, j, 8*full+1, 30) // full segments and one entry in the next
	if err := j.Release(8*full + 1); err != nil {
		t.Fatal(err)
	}
	var want []string
	for n := range kept {
		want = append(want, fmt.Sprintf("%016x.fill", n+1))
	}
	want = append(want, fmt.Sprintf("%016x.log", full+1))
	if names, _ := disk.List(); !slices.Equal(names, want) {
		t.Fatalf("after the release there are %s, want %s", names, want)
	}
	disk.FailAt(simdisk.OpCreate, 1, fs.ErrInvalid) // none has to be made
	mustAppend(t, j, 8*kept, 300)
	_, got, err := open(small(disk.Kill()), 8*full)
	if err != nil {
		t.Fatal(err)
	}
	mustCheck(t, got, 8*full+1, 8*(full+kept)+1)
}

// Release and the readers of the indexes may run beside the appender; the race
// detector watches.
func TestReleaseBesideAppend(t *testing.T) {
	opt := small(simdisk.New())
	opt.Inline = false
	j, _ := mustOpen(t, opt)
	done := make(chan struct{})
	var helpers sync.WaitGroup
	for range 2 {
		helpers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := j.Release(j.LastIndex()); err != nil || j.FirstIndex() > j.LastIndex()+1 || j.Bytes() < smallSegment {
					t.Errorf("Release = %v, first %d, last %d, %d bytes", err, j.FirstIndex(), j.LastIndex(), j.Bytes())
					return
				}
			}
		})
	}
	mustAppend(t, j, 500, 30)
	close(done)
	helpers.Wait()
	mustClose(t, j)
	last := j.LastIndex()
	j, _, err := open(opt, last)
	if err != nil || j.LastIndex() != last {
		t.Fatalf("reopened at %v", err)
	}
	mustClose(t, j)
}

// spyDisk remembers where the bytes of the last write stood in memory.
type spyDisk struct {
	journal.Disk
	wrote []byte
}

type spyFile struct {
	journal.File
	disk *spyDisk
}

func (d *spyDisk) Open(name string, writable bool) (journal.File, error) {
	file, err := d.Disk.Open(name, writable)
	return spyFile{file, d}, err
}

func (f spyFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.wrote = p
	return f.File.WriteAt(p, off)
}

func TestBufferIsWrittenWithoutCopy(t *testing.T) {
	disk := &spyDisk{Disk: simdisk.New()}
	opt := journal.Options{Disk: disk, SegmentBytes: 1 << 20, Inline: true}
	j, _ := mustOpen(t, opt)
	var want [][]byte
	for _, n := range []int{1, 100, 60_000, 300_000, 70_000, 200_000} {
		buffer := j.Buffer()
		b := append(buffer, body(uint64(n), n)...)
		want = append(want, bytes.Clone(b))
		if _, err := j.Append(1, 0, 0, b); err != nil {
			t.Fatal(err)
		}
		if inPlace := &disk.wrote[64] == &b[0]; inPlace != (n <= cap(buffer)) {
			t.Errorf("body of %d bytes in a buffer of %d: written in place: %v", n, cap(buffer), inPlace)
		}
	}
	if n := cap(j.Buffer()); n < 300_000 {
		t.Errorf("buffer has %d bytes and forgot the longest body", n)
	}
	mustClose(t, j)
	_, got := mustOpen(t, opt)
	for i, e := range got {
		if !bytes.Equal(e.Body, want[i]) {
			t.Errorf("entry %d came back with another body", i+1)
		}
	}
}

// A body that fills the buffer to its capacity still leaves room for the CRC.
func TestBufferFilledToTheLastByte(t *testing.T) {
	opt := journal.Options{Disk: simdisk.New(), SegmentBytes: 1 << 20, Inline: true}
	j, _ := mustOpen(t, opt)
	full := j.Buffer()
	full = append(full, body(9, cap(full))...)
	want := bytes.Clone(full)
	if _, err := j.Append(1, 0, 0, full); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(1, 0, 0, j.Buffer()); err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)
	_, got := mustOpen(t, opt)
	if !bytes.Equal(got[0].Body, want) || len(got[1].Body) != 0 {
		t.Fatal("bodies came back changed")
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	opt := journal.Options{Disk: simdisk.New(), SegmentBytes: 16 << 20, Inline: true}
	j, _ := mustOpen(t, opt)
	foreign := body(1, 4096)
	var failed error
	allocs := testing.AllocsPerRun(500, func() {
		if _, err := j.Append(1, 1, 1, append(j.Buffer(), foreign...)); err != nil {
			failed = err
		}
		if _, err := j.Append(1, 1, 1, foreign); err != nil {
			failed = err
		}
	})
	if allocs != 0 || failed != nil {
		t.Fatalf("%v allocations per pair of appends, error %v", allocs, failed)
	}
}

func TestAppendRefusals(t *testing.T) {
	disk := simdisk.New()
	j, _ := mustOpen(t, small(disk))
	room := smallSegment - 4096 - 64 - 4
	if _, err := j.Append(1, 0, 0, make([]byte, room+1)); !errors.Is(err, journal.ErrTooLarge) {
		t.Errorf("body above a segment: %v", err)
	}
	if _, err := j.Append(journal.KindSeal, 0, 0, nil); !errors.Is(err, journal.ErrKind) {
		t.Errorf("seal appended: %v", err)
	}
	mustAppend(t, j, 1, room) // none of these is final
	mustClose(t, j)
	if _, err := j.Append(1, 0, 0, nil); err != journal.ErrClosed {
		t.Errorf("Append after Close: %v", err)
	}
	if err := j.Close(); err != journal.ErrClosed {
		t.Errorf("second Close: %v", err)
	}
	_, got := mustOpen(t, small(disk))
	mustCheck(t, got, 1, 1)
}

func TestBodyBytesMax(t *testing.T) {
	opt := journal.Options{Disk: simdisk.New(), Inline: true}
	j, _ := mustOpen(t, opt)
	if _, err := j.Append(1, 0, 0, make([]byte, journal.BodyBytesMax+1)); !errors.Is(err, journal.ErrTooLarge) {
		t.Errorf("body above the limit: %v", err)
	}
	mustAppend(t, j, 1, journal.BodyBytesMax)
	mustClose(t, j)
	_, got := mustOpen(t, opt)
	mustCheck(t, got, 1, 1)
}

func TestOptionsAreChecked(t *testing.T) {
	disk := simdisk.New()
	for _, test := range []struct {
		opt  journal.Options
		want string
	}{
		{journal.Options{}, "no disk given"},
		{journal.Options{Disk: disk, SegmentBytes: 4096}, "segment size 4096"},
		{journal.Options{Disk: disk, SegmentBytes: 5000}, "segment size 5000"},
		{journal.Options{Disk: disk, SegmentBytes: 2 << 30}, "segment size 2147483648"},
		{journal.Options{Disk: disk, SegmentBytes: -512}, "segment size -512"},
	} {
		_, _, err := open(test.opt, 0)
		_, verifyErr := journal.Verify(test.opt, new(entries).add)
		for _, err := range []error{err, verifyErr} {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v: %v, want %q", test.opt, err, test.want)
			}
		}
	}
}

// Segments keep the size they were made with.
func TestSegmentSizeMayChange(t *testing.T) {
	disk := simdisk.New()
	opt := small(disk)
	for _, size := range []int64{smallSegment, 4096 + 20*512, 4096 + 3*512} {
		opt.SegmentBytes = size
		j, _ := mustOpen(t, opt)
		mustAppend(t, j, 30, 30)
		mustClose(t, j)
	}
	j, got := mustOpen(t, opt)
	mustCheck(t, got, 1, 90)
	mustClose(t, j)
}

// Files that are not the journal's stay where they are; what a dead process left
// half made is removed.
func TestStrangeAndUnfinishedFiles(t *testing.T) {
	disk := simdisk.New()
	disk.SetContents("README.log", []byte("note of the operator"))
	disk.SetContents("000000000000000G.log", []byte("not hexadecimal"))
	disk.SetContents("1.log", []byte("not sixteen digits"))
	opt := small(disk)
	j, _ := mustOpen(t, opt)
	mustAppend(t, j, 3, 30)
	mustClose(t, j)
	disk.SetContents("0000000000000003.fill", make([]byte, 1000))
	disk.SetContents(segmentName(2), make([]byte, smallSegment))
	j, got := mustOpen(t, opt)
	mustCheck(t, got, 1, 3)
	mustClose(t, j)
	names, _ := disk.List()
	if got := strings.Join(names, " "); got != "0000000000000001.log 000000000000000G.log 1.log README.log" {
		t.Fatalf("files left: %s", got)
	}
}

func TestVerifyChangesNothing(t *testing.T) {
	disk := simdisk.New()
	j, _ := mustOpen(t, small(disk))
	mustAppend(t, j, 20, 30)
	disk = disk.Kill()
	disk.SetContents("0000000000000004.fill", nil)
	tail := disk.Contents(segmentName(3))
	copy(tail[4096+4*512:], "torn")
	disk.SetContents(segmentName(3), tail)
	var got entries
	report, err := journal.Verify(small(disk), got.add)
	if err != nil || disk.Calls() != 0 {
		t.Fatalf("Verify = %v, %d changes on disk", err, disk.Calls())
	}
	mustCheck(t, got, 1, 20)
	want := journal.Report{Segments: 3, Bytes: 3 * smallSegment, FirstIndex: 1, LastIndex: 20, Entries: 20,
		Torn: journal.Torn{File: segmentName(3), Offset: 4096 + 4*512, Bytes: 512}}
	if report != want {
		t.Fatalf("report %+v, want %+v", report, want)
	}
}

// The first segment is small; an entry that it has no room for stands in the next.
func TestLargeFirstEntry(t *testing.T) {
	opt := journal.Options{Disk: simdisk.New(), SegmentBytes: 8 << 20, Inline: true}
	j, _ := mustOpen(t, opt)
	if j.Bytes() != 4<<20 {
		t.Fatalf("the first segment has %d bytes", j.Bytes())
	}
	mustAppend(t, j, 2, 5<<20)
	mustClose(t, j)
	j, got := mustOpen(t, opt)
	mustCheck(t, got, 1, 2)
	if err := j.Release(2); err != nil || j.FirstIndex() != 2 {
		t.Fatalf("Release = %v, first index %d", err, j.FirstIndex())
	}
	mustAppend(t, j, 1, 30)
	mustClose(t, j)
}
