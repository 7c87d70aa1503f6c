package server

import (
	"testing"
	"time"
)

// TestBackoff: devices without end that ask again as soon as they may; the wait
// grows until telling them so is a small part of the work, and comes down when
// they are gone.
func TestBackoff(t *testing.T) {
	const devices, capacity = 100_000, 10_000 // of devices that wait; requests a second
	var b backoff
	due := make([]float64, devices)
	second := func(now int64, waiting int) (busy int) {
		b.serve(now, capacity)
		for i := range due[:waiting] {
			for due[i] < float64(now+1) {
				wait := time.Duration(b.retryAfter(now)) * time.Millisecond
				if wait < busyMin || wait > 2*busyMax {
					t.Fatalf("a wait of %v", wait)
				}
				due[i] = max(due[i], float64(now)) + wait.Seconds()
				busy++
			}
		}
		return busy
	}
	first, last := second(1, devices), 0
	for now := int64(2); now < 60; now++ {
		last = second(now, devices)
	}
	if first < devices || last > capacity/2 {
		t.Errorf("%d busy answers in the first second, %d in the last, of %d that were served", first, last, capacity)
	}
	for now := int64(60); now < 80; now++ {
		second(now, 0)
	}
	if b.wait != busyMin {
		t.Errorf("without busy answers the wait is %v after 20 s, want %v", b.wait, busyMin)
	}
}
