package journal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"muster/storage/journal"
	"muster/storage/journal/simdisk"
)

// unsealed returns a disk with a journal whose process was killed after n appends.
func unsealed(t testing.TB, n, bodyBytes int) *simdisk.Disk {
	t.Helper()
	disk := simdisk.New()
	j, _ := mustOpen(t, small(disk))
	mustAppend(t, j, n, bodyBytes)
	return disk.Kill()
}

// outcomes of a journal that was tampered with.
type outcome struct {
	got    entries
	report journal.Report
	damage *journal.DamageError
}

// examine opens a copy of the disk twice, holds Verify against Open, and appends
// where it may.
func examine(disk *simdisk.Disk) (outcome, error) {
	var o outcome
	var verified entries
	report, verifyErr := journal.Verify(small(disk), verified.add)
	j, got, err := open(small(disk), 0)
	o.got, o.report = got, report
	if fmt.Sprint(err) != fmt.Sprint(verifyErr) || len(got) != len(verified) {
		return o, fmt.Errorf("Open: %d entries, %v; Verify: %d entries, %v", len(got), err, len(verified), verifyErr)
	}
	if err != nil {
		if !errors.As(err, &o.damage) {
			return o, fmt.Errorf("neither opened nor damaged: %w", err)
		}
		return o, nil
	}
	next := j.LastIndex() + 1
	if _, err := j.Append(uint8(next%200), next/10, int64(next)*dayNano, body(next, 30)); err != nil {
		return o, err
	}
	if err := j.Close(); err != nil {
		return o, err
	}
	_, got, err = open(small(disk), 0)
	if err != nil {
		return o, err
	}
	return o, got.check(1, next)
}

func mustExamine(t testing.TB, disk *simdisk.Disk) outcome {
	t.Helper()
	o, err := examine(disk)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// One of the last three entries loses its bytes from some byte on, while those
// behind it stay: only the last one may be taken for torn.
func TestTornAtEveryByte(t *testing.T) {
	for _, bodyBytes := range []int{30, 700} {
		base := unsealed(t, 7, bodyBytes)
		all := places(base)
		for back := range 3 {
			k := len(all) - 1 - back
			for from := all[k].offset; from < all[k].end; from++ {
				for _, garbage := range []bool{false, true} {
					disk := base.Clone()
					spoil(disk, all[k].file, from, all[k].end, garbage)
					o := mustExamine(t, disk)
					if intact := bytes.Equal(disk.Contents(all[k].file)[:all[k].end], base.Contents(all[k].file)[:all[k].end]); intact {
						continue
					}
					switch {
					case back > 0 && o.damage == nil:
						t.Fatalf("entry %d spoiled from byte %d: opened with %d entries", k+1, from, len(o.got))
					case back > 0:
						wantDamage(t, o.damage, all[k].file, int64(all[k].offset))
					case o.damage != nil:
						t.Fatalf("torn last entry from byte %d: %v", from, o.damage)
					default:
						wantTorn(t, o, all[k])
					}
				}
			}
		}
	}
}

// wantTorn checks that exactly the last entry was dropped, and told of.
func wantTorn(t testing.TB, o outcome, last place) {
	t.Helper()
	mustCheck(t, o.got, 1, last.index-1)
	torn := o.report.Torn
	blank := torn == journal.Torn{}
	if !blank && (torn.File != last.file || torn.Offset != int64(last.offset) || torn.Bytes > int64(last.end-last.offset)) {
		t.Fatalf("reported %+v, the torn entry is %+v", torn, last)
	}
}

// spoil overwrites bytes with zeros or with garbage.
func spoil(disk *simdisk.Disk, file string, from, to int, garbage bool) {
	raw := disk.Contents(file)
	clear(raw[from:to])
	if garbage {
		copy(raw[from:to], body(77, to-from))
	}
	disk.SetContents(file, raw)
}

// The end of the journal is lost from some byte on. What is left is a prefix,
// never a changed entry; nothing on disk can prove more (see the package comment).
func TestTailLostFromEveryByte(t *testing.T) {
	base := unsealed(t, 7, 30)
	all := places(base)
	for from := all[4].offset; from < all[6].end; from++ {
		for _, garbage := range []bool{false, true} {
			disk := base.Clone()
			spoil(disk, all[6].file, from, smallSegment, garbage)
			o := mustExamine(t, disk)
			if o.damage != nil {
				t.Fatalf("from byte %d: %v", from, o.damage)
			}
			whole := uint64(0)
			for _, p := range all {
				if p.end <= from {
					whole = p.index
				}
			}
			if err := o.got.check(1, max(whole, uint64(len(o.got)))); err != nil {
				t.Fatalf("from byte %d: %v", from, err)
			}
		}
	}
}

// A crash never shortens a segment, so a file that was cut is damage, not a tail.
func TestTruncatedFileIsDamage(t *testing.T) {
	base := unsealed(t, 11, 30)
	for number, file := range []string{segmentName(1), segmentName(2)} {
		raw := base.Contents(file)
		for size := range raw {
			if number == 0 && size%64 != 0 {
				continue
			}
			disk := base.Clone()
			disk.SetContents(file, raw[:size])
			o := mustExamine(t, disk)
			if o.damage == nil {
				t.Fatalf("%s cut to %d bytes: opened with %d entries", file, size, len(o.got))
			}
			wantDamage(t, o.damage, file, 0)
		}
	}
}

// Every bit of a small journal is flipped in turn. Only a flip within the final
// entry may cost that entry; all others are damage or change nothing.
func TestEveryBitFlip(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		base := unsealed(t, 11, 30)
		if sealed {
			j, _ := mustOpen(t, small(base))
			mustClose(t, j)
			base = base.Kill()
		}
		all := places(base)
		last := all[len(all)-1]
		for _, file := range []string{segmentName(1), segmentName(2)} {
			for bit := range smallSegment * 8 {
				if testing.Short() && bit%17 != 0 {
					continue
				}
				disk := base.Clone()
				disk.Flip(file, bit)
				o, err := examine(disk)
				inLast := file == last.file && bit/8 >= last.offset && bit/8 < last.end
				if err == nil {
					err = flipVerdict(o, inLast, sealed)
				}
				if err != nil {
					t.Fatalf("sealed %v, %s bit %d (byte %d): %v", sealed, file, bit, bit/8, err)
				}
			}
		}
	}
}

// flipVerdict says what is wrong with the outcome of one flip, in a journal of
// eleven entries.
func flipVerdict(o outcome, inLast, sealed bool) error {
	switch {
	case o.damage != nil && inLast:
		return fmt.Errorf("refused to drop the last entry: %w", o.damage)
	case o.damage != nil:
		return o.got.check(1, uint64(len(o.got))) // what was replayed before is right
	case inLast && !sealed:
		return o.got.check(1, 10)
	default:
		return o.got.check(1, 11)
	}
}

// The seal is what proves the last entry: with it, a flip there is damage.
func TestSealProvesTheLastEntry(t *testing.T) {
	base := unsealed(t, 3, 30)
	all := places(base)
	disk := base.Clone()
	disk.Flip(all[2].file, (all[2].offset+100)*8)
	if o := mustExamine(t, disk); o.damage != nil || len(o.got) != 2 {
		t.Fatalf("unsealed: %d entries, %v; want the last one dropped", len(o.got), o.damage)
	}
	j, _ := mustOpen(t, small(base))
	mustClose(t, j)
	base.Flip(all[2].file, (all[2].offset+100)*8)
	o := mustExamine(t, base)
	if o.damage == nil {
		t.Fatal("sealed: the flip in the last entry went unnoticed")
	}
	wantDamage(t, o.damage, all[2].file, int64(all[2].offset))
}

// The bytes of a dropped entry are zero, durably, before Open returns, so they
// neither come back nor pass for the tail of what is written next.
func TestDroppedTailIsCleared(t *testing.T) {
	base := unsealed(t, 5, 30)
	j, _ := mustOpen(t, small(base))
	mustClose(t, j)
	all := places(base)
	spoil(base, all[5].file, all[5].end+100, smallSegment, true)
	disk := base.Clone()
	j, got := mustOpen(t, small(disk))
	mustCheck(t, got, 1, 5)
	if want := (journal.Torn{File: segmentName(1), Offset: int64(all[5].end), Bytes: int64(smallSegment - all[5].end)}); j.Found.Torn != want || j.Found.Sealed {
		t.Fatalf("found %+v, want %+v and not sealed", j.Found, want)
	}
	for seed := range uint64(10) {
		raw := disk.Clone().Crash(newRNG(seed)).Contents(segmentName(1))
		if tail := bytes.Trim(raw[all[5].end:], "\x00"); len(tail) != 0 {
			t.Fatalf("seed %d: %d bytes of the dropped tail are left", seed, len(tail))
		}
	}
}

// Closing again without appends adds no seal.
func TestSealOnce(t *testing.T) {
	disk := simdisk.New()
	for range 3 {
		j, _ := mustOpen(t, small(disk))
		if j.LastIndex() == 0 {
			mustAppend(t, j, 1, 30)
		}
		mustClose(t, j)
	}
	if all := places(disk); len(all) != 2 || all[1].kind != journal.KindSeal || all[1].index != 1 {
		t.Fatalf("on disk: %+v", all)
	}
}

func TestMissingSegment(t *testing.T) {
	base := unsealed(t, 30, 30)
	for number := 1; number <= 4; number++ {
		disk := base.Clone()
		if err := disk.Remove(segmentName(number)); err != nil {
			t.Fatal(err)
		}
		_, _, err := open(small(disk), 24)
		switch number {
		case 1: // as after Release
			if err != nil {
				t.Fatal(err)
			}
		case 2, 3:
			wantDamage(t, err, segmentName(number+1), 0)
		case 4: // nothing in the journal tells, but the caller knows
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = open(small(disk), 26)
			wantDamage(t, err, segmentName(3), smallSegment)
		}
	}
}

func TestEmptyDirectoryButCheckpoint(t *testing.T) {
	_, _, err := open(small(simdisk.New()), 5)
	wantDamage(t, err, "", 0)
	if !strings.Contains(err.Error(), "entry 5 had been made durable") {
		t.Fatal(err)
	}
}

// The only segment left is blank, but it is not the first: the others are lost.
func TestOnlySpareLeft(t *testing.T) {
	disk := simdisk.New()
	disk.SetContents(segmentName(3), make([]byte, smallSegment))
	_, _, err := open(small(disk), 0)
	wantDamage(t, err, segmentName(3), 0)
}

// A roll that was cut short proves that the segment before was complete.
func TestTornTailBeforeBegunRollIsDamage(t *testing.T) {
	disk := unsealed(t, 8, 30)
	all := places(disk)
	spoil(disk, all[7].file, all[7].offset+100, all[7].end, true)
	begun := make([]byte, smallSegment)
	copy(begun, "musterJL")
	disk.SetContents(segmentName(2), begun)
	o := mustExamine(t, disk)
	if o.damage == nil {
		t.Fatal("an acknowledged entry was dropped")
	}
	wantDamage(t, o.damage, all[7].file, int64(all[7].offset))
}

// A body may hold a copy of a journal without being taken for entries: where the
// torn entry's header is lost, since the copy stands elsewhere than it says; where
// it is there, even if the copy stands in the very place that it says.
func TestBodyThatHoldsAJournal(t *testing.T) {
	const torn = 4096 + 2*512 // where the third entry stands
	copied := unsealed(t, 8, 30).Contents(segmentName(1))[torn+512:]
	for _, test := range []struct{ spoiled, shift int }{{torn, 512}, {torn + 64, 0}} {
		opt := small(simdisk.New())
		opt.SegmentBytes = 64 << 10
		j, _ := mustOpen(t, opt)
		mustAppend(t, j, 2, 30)
		front := bytes.Repeat([]byte{0xff}, 512-64+test.shift)
		if _, err := j.Append(1, 1, 1, append(front, copied...)); err != nil {
			t.Fatal(err)
		}
		disk := opt.Disk.(*simdisk.Disk).Kill()
		spoil(disk, segmentName(1), test.spoiled, test.spoiled+64, false)
		opt.Disk = disk
		j, got := mustOpen(t, opt)
		mustCheck(t, got, 1, 2)
		if j.Found.Torn.Offset != torn {
			t.Fatalf("found %+v", j.Found)
		}
	}
}

// A valid entry in the wrong place is none: a write that went astray.
func TestEntryBoundToItsPlace(t *testing.T) {
	disk := unsealed(t, 5, 30)
	raw := disk.Contents(segmentName(1))
	copy(raw[4096+2*512:][:512], raw[4096+3*512:][:512])
	disk.SetContents(segmentName(1), raw)
	o := mustExamine(t, disk)
	wantDamage(t, o.damage, segmentName(1), 4096+2*512)
}

// A valid entry in its place but from another history: the chain tells.
func TestEntryOfAnotherHistory(t *testing.T) {
	disk, other := unsealed(t, 5, 30), simdisk.New()
	j, _ := mustOpen(t, small(other))
	for index := range uint64(5) {
		// Same index, time and body; only the term of the headers differs.
		if _, err := j.Append(uint8(index+1), 9, int64(index+1)*dayNano, body(index+1, 30)); err != nil {
			t.Fatal(err)
		}
	}
	raw := disk.Contents(segmentName(1))
	copy(raw[4096+3*512:], other.Contents(segmentName(1))[4096+3*512:])
	disk.SetContents(segmentName(1), raw)
	o := mustExamine(t, disk)
	wantDamage(t, o.damage, segmentName(1), 4096+3*512)
}

func TestUnknownFormatVersion(t *testing.T) {
	disk := unsealed(t, 3, 30)
	raw := disk.Contents(segmentName(1))
	binary.LittleEndian.PutUint32(raw[8:], 2)
	crc := crc32.Checksum(raw[:4092], crc32.MakeTable(crc32.Castagnoli))
	binary.LittleEndian.PutUint32(raw[4092:], crc)
	disk.SetContents(segmentName(1), raw)
	_, _, err := open(small(disk), 0)
	if !errors.Is(err, journal.ErrVersion) || !strings.Contains(err.Error(), "format version 2") {
		t.Fatalf("Open = %v", err)
	}
}
