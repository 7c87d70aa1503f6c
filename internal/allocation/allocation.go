// Package allocation helps tests hold a decoder to the memory it may take.
package allocation

import (
	"runtime"
	"testing"
)

// Within runs f and fails when it allocates more than limit bytes. Other
// goroutines of the test count too.
func Within(t testing.TB, limit int, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(limit) {
		t.Fatalf("%d bytes were allocated, at most %d are allowed", got, limit)
	}
}
