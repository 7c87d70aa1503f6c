package storage

import (
	"path/filepath"
	"syscall"
	"testing"

	"muster/engine"
)

// BenchmarkCheckpoint writes the pages of ten million devices, 640 MiB, as one
// checkpoint after another does, in transactions as a pass makes them, and lets
// Badger settle. The first has nothing to replace: take several, -benchtime=5x.
func BenchmarkCheckpoint(b *testing.B) {
	const pages = 640 << 20 / engine.PageBytes
	path := filepath.Join(b.TempDir(), "state")
	db := must(openBadger(path, quiet()))
	list := make([]KeyValue, engine.CheckpointPages)
	for i := range list {
		list[i].Value = make([]byte, engine.PageBytes)
	}
	before := cpuTime(b)
	for b.Loop() {
		for page := uint32(0); page < pages; page += engine.CheckpointPages {
			for i := range list {
				list[i].Key = pageKey(engine.PageID{Table: 1, Number: page + uint32(i)})
				list[i].Value[page%engine.PageBytes]++
			}
			if err := db.Put(list); err != nil {
				b.Fatal(err)
			}
		}
		if err := db.Settle(); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric((cpuTime(b)-before)/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(bytesIn(b, path)>>20), "MiB-on-disk")
}

// cpuTime is the processor time of this process in seconds.
func cpuTime(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
