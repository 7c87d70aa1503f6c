package journal_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"muster/storage/journal/simdisk"
)

// repair makes the checksums of hostile bytes good wherever they look like the
// segment header or an entry, so that a fuzzer gets behind them.
func repair(raw []byte) {
	table := crc32.MakeTable(crc32.Castagnoli)
	if len(raw) < 4096 {
		return
	}
	binary.LittleEndian.PutUint32(raw[4092:], crc32.Checksum(raw[:4092], table))
	for off := 4096; off+512 <= len(raw); off += 512 {
		entry := raw[off:]
		if string(entry[:4]) != "MJE1" {
			continue
		}
		header := crc32.Checksum(entry[:60], table)
		binary.LittleEndian.PutUint32(entry[60:], header)
		size := (64 + int(binary.LittleEndian.Uint32(entry[44:])) + 4 + 511) / 512 * 512
		if size <= len(entry) {
			binary.LittleEndian.PutUint32(entry[size-4:], crc32.Update(header, table, entry[64:size-4]))
		}
	}
}

// FuzzOpen puts any bytes in the place of the first segment. Open must not panic;
// what it accepts it must go on from, and find again. Coverage differs a little
// from run to run, so give -fuzzminimizetime 20x, or the fuzzer spends its time
// minimizing.
func FuzzOpen(f *testing.F) {
	disk := unsealed(f, 6, 30)
	f.Add(disk.Contents(segmentName(1)), true)
	f.Add(disk.Contents(segmentName(1))[:5000], false)
	f.Add(make([]byte, smallSegment), false)
	j, _ := mustOpen(f, small(disk))
	mustAppend(f, j, 1, 700)
	mustClose(f, j)
	f.Add(disk.Contents(segmentName(1)), false)
	f.Fuzz(func(t *testing.T, raw []byte, repaired bool) {
		if repaired {
			raw = bytes.Clone(raw) // the fuzzer's own
			repair(raw)
		}
		disk := simdisk.New()
		disk.SetContents(segmentName(1), raw)
		j, got, err := open(small(disk), 0)
		if err != nil {
			return
		}
		index, err := j.Append(1, 2, 3, []byte("after"))
		if err != nil {
			t.Fatal(err)
		}
		mustClose(t, j)
		_, again, err := open(small(disk), 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) != len(got)+1 || again[len(got)].Index != index {
			t.Fatalf("%d entries, after one more %d", len(got), len(again))
		}
	})
}
