package journal_test

import (
	"fmt"
	"testing"

	"muster/storage/journal"
)

// BenchmarkAppend writes and syncs entries on the disk under the temporary
// directory (set TMPDIR to choose it).
func BenchmarkAppend(b *testing.B) {
	for _, kib := range []int{4, 64, 1024} {
		b.Run(fmt.Sprintf("%dKiB", kib), func(b *testing.B) {
			j, _ := mustOpen(b, journal.Options{Disk: journal.Dir(b.TempDir())})
			defer mustClose(b, j)
			full := body(1, kib<<10)
			b.SetBytes(int64(len(full)))
			for b.Loop() {
				index, err := j.Append(1, 1, 1, append(j.Buffer(), full...))
				if err != nil {
					b.Fatal(err)
				}
				if index%512 == 0 { // the disk of a test machine is not endless
					if err := j.Release(index); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
		})
	}
}

// BenchmarkReplay verifies a journal of 512 MiB out of the page cache.
func BenchmarkReplay(b *testing.B) {
	opt := journal.Options{Disk: journal.Dir(b.TempDir())}
	j, _ := mustOpen(b, opt)
	full := body(1, 64<<10)
	for range 8192 {
		if _, err := j.Append(1, 1, 1, full); err != nil {
			b.Fatal(err)
		}
	}
	mustClose(b, j)
	b.SetBytes(8192 * int64(len(full)))
	for b.Loop() {
		if _, err := journal.Verify(opt, func(journal.Entry) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
