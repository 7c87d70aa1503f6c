package journal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"muster/storage/journal"
	"muster/storage/journal/simdisk"
)

const (
	smallSegment = 4096 + 8*512 // eight entries of one sector
	bodyOneMax   = 512 - 64 - 4 // largest body of one sector
	dayNano      = int64(24 * 3600 * 1e9)
)

func segmentName(number int) string { return fmt.Sprintf("%016x.log", number) }

// small are the options of most tests: one order of disk calls, tiny segments.
func small(disk journal.Disk) journal.Options {
	return journal.Options{Disk: disk, SegmentBytes: smallSegment, Inline: true}
}

// body returns what entry index holds in all tests that do not crash.
func body(index uint64, n int) []byte {
	rng := rand.NewChaCha8([32]byte{byte(index), byte(index >> 8), 1})
	b := make([]byte, n)
	_, _ = rng.Read(b)
	return b
}

// entries is what a replay collects.
type entries []journal.Entry

func (e *entries) add(entry journal.Entry) error {
	entry.Body = bytes.Clone(entry.Body)
	*e = append(*e, entry)
	return nil
}

// open opens a journal and returns what it replayed.
func open(opt journal.Options, from uint64) (*journal.Journal, entries, error) {
	var got entries
	j, err := journal.Open(opt, from, got.add)
	return j, got, err
}

func mustOpen(t testing.TB, opt journal.Options) (*journal.Journal, entries) {
	t.Helper()
	j, got, err := open(opt, 0)
	if err != nil {
		t.Fatal(err)
	}
	return j, got
}

// mustAppend appends n entries with bodies of that length, numbered on.
func mustAppend(t testing.TB, j *journal.Journal, n, bodyBytes int) {
	t.Helper()
	for range n {
		want := j.LastIndex() + 1
		index, err := j.Append(uint8(want%200), want/10, int64(want)*dayNano, body(want, bodyBytes))
		if err != nil || index != want {
			t.Fatalf("Append = %d, %v; want index %d", index, err, want)
		}
	}
}

func mustClose(t testing.TB, j *journal.Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// check compares replayed entries with those that mustAppend wrote.
func (e entries) check(first, last uint64) error {
	if want := int(last - first + 1); len(e) != want {
		return fmt.Errorf("%d entries replayed, want %d (%d to %d)", len(e), want, first, last)
	}
	for i, got := range e {
		want := first + uint64(i)
		if got.Index != want || got.Kind != uint8(want%200) || got.Term != want/10 || got.Time != int64(want)*dayNano {
			return fmt.Errorf("entry %d came back as index %d, kind %d, term %d, time %d", want, got.Index, got.Kind, got.Term, got.Time)
		}
		if !bytes.Equal(got.Body, body(want, len(got.Body))) {
			return fmt.Errorf("entry %d came back with another body", want)
		}
	}
	return nil
}

func mustCheck(t testing.TB, e entries, first, last uint64) {
	t.Helper()
	if err := e.check(first, last); err != nil {
		t.Fatal(err)
	}
}

// wantDamage checks that err is a DamageError at that place.
func wantDamage(t testing.TB, err error, file string, offset int64) {
	t.Helper()
	var damage *journal.DamageError
	if !errors.As(err, &damage) {
		t.Fatalf("error %v, want a DamageError", err)
	}
	if damage.File != file || damage.Offset != offset {
		t.Fatalf("damage at %q %d, want %q %d: %v", damage.File, damage.Offset, file, offset, err)
	}
}

// place is where an entry stands on disk.
type place struct {
	file        string
	offset, end int
	kind        byte
	index       uint64
}

// places finds all entries of a journal by the format in the package comment.
func places(disk *simdisk.Disk) []place {
	names, _ := disk.List()
	slices.Sort(names)
	var found []place
	for _, name := range names {
		raw := disk.Contents(name)
		for off := 4096; off+512 <= len(raw); off += 512 {
			if string(raw[off:][:4]) == "MJE1" {
				length := int(binary.LittleEndian.Uint32(raw[off+44:]))
				end := off + (64+length+4+511)/512*512
				found = append(found, place{name, off, end, raw[off+4], binary.LittleEndian.Uint64(raw[off+8:])})
			}
		}
	}
	return found
}
