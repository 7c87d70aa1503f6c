package alerts

import (
	"errors"
	"slices"
	"testing"
)

// told runs the values of one measure through the rules, one after the other, and
// returns what was told at each; 0 stands for nothing.
func told(t *testing.T, m Measure, values ...uint64) (list []uint64) {
	t.Helper()
	state := State{}
	for _, v := range values {
		m.Value = v
		var alerts []Alert
		state, alerts = Evaluate(Defaults(), 0, []Measure{m}, state)
		switch {
		case len(alerts) > 1:
			t.Fatalf("value %d: %d alerts", v, len(alerts))
		case len(alerts) == 1:
			list = append(list, alerts[0].Threshold)
		default:
			list = append(list, 0)
		}
	}
	return list
}

// Every threshold of section 8, up, down and up again: once a crossing, and again
// only when the value was 5 points below.
func TestThresholds(t *testing.T) { // [ALRT-1] [ALRT-2] [ALRT-3] [ALRT-4] [ALRT-6]
	of := func(r Rule) Measure { return Measure{Rule: r, Subject: "1/i", Of: 1000, Devices: 20} }
	for _, c := range []struct {
		rule         Rule
		values, want []uint64
	}{
		{Seats, []uint64{599, 600, 601, 799, 800, 999, 1000, 1099, 1100, 2000}, []uint64{0, 60, 0, 0, 80, 0, 100, 0, 110, 0}},
		{Seats, []uint64{1100, 1051, 1100, 1050, 1100, 949, 1000}, []uint64{110, 0, 0, 0, 110, 0, 100}},
		{Seats, []uint64{600, 551, 600, 550, 600, 0, 850, 751, 800, 750, 800}, []uint64{60, 0, 0, 0, 60, 0, 80, 0, 0, 0, 80}},
		{DailySeats, []uint64{600, 999, 1000, 0, 1000, 1100}, []uint64{0, 0, 100, 0, 100, 110}},
		{Uses, []uint64{599, 600, 800, 1000, 1049, 1050, 9999}, []uint64{0, 60, 80, 100, 0, 105, 0}},
		{Overuse, []uint64{599, 600, 800, 1000, 5000}, []uint64{0, 60, 80, 100, 0}},
		{Failures, []uint64{99, 100, 200, 400, 600, 800, 1000, 51, 100, 50, 100}, []uint64{0, 10, 20, 40, 60, 80, 100, 0, 0, 0, 10}},
	} {
		if got := told(t, of(c.rule), c.values...); !slices.Equal(got, c.want) {
			t.Errorf("%s at %v told %v, want %v", c.rule, c.values, got, c.want)
		}
	}
}

// Of a small quota, a threshold and 5 points below it are the same number.
func TestSmallQuota(t *testing.T) {
	if got := told(t, Measure{Rule: Seats, Subject: "1/i", Of: 3}, 2, 2, 2); !slices.Equal(got[1:], []uint64{0, 0}) {
		t.Errorf("told %v", got)
	}
	if got := told(t, Measure{Rule: Seats, Subject: "1/i"}, 0, 5); !slices.Equal(got, []uint64{0, 0}) {
		t.Errorf("without a quota, told %v", got)
	}
}

func TestFewDevices(t *testing.T) { // [ALRT-4]
	if got := told(t, Measure{Rule: Failures, Subject: "p", Of: 100, Devices: 19}, 100); got[0] != 0 {
		t.Errorf("of 19 devices, told %v", got)
	}
}

func TestExpiry(t *testing.T) { // [ALRT-5]
	const expiry = 100 * daySeconds
	m := Measure{Rule: Expiry, Subject: "1/i", Expiry: expiry, End: expiry + 7*daySeconds}
	state := State{}
	at := func(now int64) (list []uint64) {
		var alerts []Alert
		state, alerts = Evaluate(Defaults(), now, []Measure{m}, state)
		for _, a := range alerts {
			list = append(list, a.Threshold)
		}
		return list
	}
	for _, c := range []struct {
		now  int64
		want []uint64
	}{
		{70*daySeconds - 1, nil},
		{70 * daySeconds, []uint64{30}},
		{70*daySeconds + 600, nil},
		{93 * daySeconds, []uint64{7}},
		{99 * daySeconds, []uint64{1}},
		{expiry - 1, nil},
		{expiry, []uint64{0}},
		{expiry + 30*daySeconds, nil},
	} {
		if got := at(c.now); !slices.Equal(got, c.want) {
			t.Errorf("at day %d: told %v, want %v", c.now/daySeconds, got, c.want)
		}
	}
	m.Expiry += 365 * daySeconds // renewed
	if got := at(expiry); got != nil || len(state) > 0 {
		t.Errorf("renewed: told %v, state %v", got, state)
	}
	if got := at(m.Expiry - 6*daySeconds); !slices.Equal(got, []uint64{7}) {
		t.Errorf("7 days before the new expiry: told %v", got)
	}
}

// What is paused is neither told nor forgotten; what is gone is forgotten.
func TestPausedAndGone(t *testing.T) {
	m := Measure{Rule: Seats, Subject: "1/i", Of: 100, Value: 85}
	state, alerts := Evaluate(Defaults(), 0, []Measure{m}, nil)
	if len(alerts) != 1 || alerts[0].Threshold != 80 || !slices.Equal(state["seats 1/i"], []uint64{60, 80}) {
		t.Fatalf("%v, state %v", alerts, state)
	}
	m.Paused, m.Value = true, 0
	if state, alerts = Evaluate(Defaults(), 0, []Measure{m}, state); len(alerts) > 0 || len(state["seats 1/i"]) != 2 {
		t.Errorf("paused: %v, state %v", alerts, state)
	}
	m.Paused, m.Value = false, 85
	if state, alerts = Evaluate(Defaults(), 0, []Measure{m}, state); len(alerts) > 0 {
		t.Errorf("again: %v", alerts)
	}
	if state, _ = Evaluate(Defaults(), 0, nil, state); len(state) > 0 {
		t.Errorf("gone: state %v", state)
	}
}

func TestThresholdFaults(t *testing.T) {
	good := Defaults()
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for field, edit := range map[string]func(*Thresholds){
		"seats":      func(t *Thresholds) { t.Seats = []uint64{0} },
		"dailySeats": func(t *Thresholds) { t.DailySeats = []uint64{percentMax + 1} },
		"uses":       func(t *Thresholds) { t.Uses = []uint64{80, 60, 80} },
		"overuse":    func(t *Thresholds) { t.Overuse = make([]uint64, thresholdsMax+1) },
		"failures":   func(t *Thresholds) { t.Failures = []uint64{101} },
		"expiryDays": func(t *Thresholds) { t.ExpiryDays = []uint64{daysMax + 1} },
	} {
		bad := Defaults()
		edit(&bad)
		var f *Fault
		if err := bad.Check(); !errors.As(err, &f) || f.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
