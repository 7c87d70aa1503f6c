package bench

import (
	"math"
	"testing"
	"time"
)

// TestPace counts arrivals second by second: up a ramp, on the level, down again.
func TestPace(t *testing.T) {
	began := time.Unix(1000, 0)
	p := newPace(began, Stage{Rate: 100, Ramp: 4 * time.Second, Hold: 2 * time.Second}, Stage{Rate: 20, Ramp: 2 * time.Second}, Stage{Rate: 20, Hold: time.Second})
	// The rate's mean of each second, which is how many arrive in it.
	want := []float64{12.5, 37.5, 62.5, 87.5, 100, 100, 80, 40, 20}
	got := make([]float64, len(want))
	var last time.Time
	n := 0
	for ; ; n++ {
		due, ok := p.due(float64(n))
		if !ok {
			break
		}
		if due.Before(last) {
			t.Fatalf("arrival %d is due %v before the one before it", n, last.Sub(due))
		}
		last = due
		got[int(due.Sub(began)/time.Second)]++
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1 {
			t.Errorf("%v arrivals in second %d, want %v", got[i], i, want[i])
		}
	}
	if n != 540 {
		t.Errorf("%d arrivals, want 540", n)
	}
}

func TestSteadyPaceHasNoEnd(t *testing.T) {
	began := time.Unix(1000, 0)
	if due, ok := steady(began, 10).due(36_000); !ok || due.Sub(began) != time.Hour {
		t.Errorf("arrival 36,000 at ten a second is due after %v (%v), want an hour", due.Sub(began), ok)
	}
}
