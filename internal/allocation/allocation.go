// Package allocation helps tests hold a decoder to the memory it may take.
package allocation

import (
	"runtime"
	"testing"
)

// Within runs f and fails when it allocates more than limit bytes. What other
// goroutines allocate meanwhile counts too, so f is run again before that is
// believed: it must do the same each time.
func Within(t testing.TB, limit int, f func()) {
	t.Helper()
	const tries = 5
	var least uint64
	for i := range tries {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		got := after.TotalAlloc - before.TotalAlloc
		if got <= uint64(limit) {
			return
		}
		if i == 0 || got < least {
			least = got
		}
	}
	t.Fatalf("%d bytes were allocated, at most %d are allowed", least, limit)
}
