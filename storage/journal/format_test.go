package journal_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"muster/storage/journal"
	"muster/storage/journal/simdisk"
)

// The format is frozen: these bytes must come out the same for ever, or
// FormatVersion must go up. The vector is the segment below in lines of 32 bytes,
// each with its offset; zeros at the end of a line are left out.
func TestFormatIsFrozen(t *testing.T) {
	disk := simdisk.New()
	j, _ := mustOpen(t, small(disk))
	for _, text := range []string{strings.Repeat("muster ", 80), "a second entry", ""} {
		index := j.LastIndex() + 1
		if _, err := j.Append(uint8(index), 7, int64(index)*dayNano, append(j.Buffer(), text...)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, j)
	// The fuzzer's repair computes all checksums anew, from the package comment.
	again := disk.Contents(segmentName(1))
	repair(again)
	if !bytes.Equal(again, disk.Contents(segmentName(1))) {
		t.Fatal("the checksums are not those of the package comment")
	}
	var got strings.Builder
	raw := disk.Contents(segmentName(1))
	for line := 0; line < len(raw); line += 32 {
		if text := bytes.TrimRight(raw[line:line+32], "\x00"); len(text) > 0 {
			got.WriteString(hex.EncodeToString([]byte{byte(line >> 8), byte(line)}) + " " + hex.EncodeToString(text) + "\n")
		}
	}
	want, err := os.ReadFile("testdata/format-1.hex")
	if err != nil {
		t.Fatal(err)
	}
	if journal.FormatVersion != 1 || got.String() != string(want) {
		t.Fatalf("format changed; now:\n%s", got.String())
	}
}
