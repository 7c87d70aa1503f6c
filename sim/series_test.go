package sim_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"muster/engine"
)

var measures = map[string]engine.Measure{
	"uses": engine.Uses, "authorizations": engine.Authorizations, "devices": engine.Devices, "new-devices": engine.NewDevices,
	"concurrency": engine.Concurrency, "peak": engine.Concurrency, "denials": engine.Denials,
}

// expectSeries compares numbers of one slot, hour or day.
func (r *runner) expectSeries(s scope, when, numbers string) error {
	grain, at, err := r.interval(when)
	if err != nil {
		return err
	}
	return phrases(numbers, number("uses|authorizations|devices|new-devices|concurrency|peak|denials",
		func(name, module, code string) (sum uint64, err error) {
			only := uint16(0)
			if module != "" {
				only, err = s.module(module)
			}
			for _, line := range s.core.Series(s.Scope, measures[name], grain, at, at) {
				if (module == "" || line.Module == only) && (code == "" || code == fmt.Sprint(uint16(line.Code))) {
					sum += line.Values[0]
				}
			}
			return sum, err
		}))
}

// interval is a slot, hour or day in the words of a scenario.
func (r *runner) interval(when string) (grain engine.Grain, at uint32, err error) {
	names := map[string]engine.Grain{"slot": engine.Slot, "hour": engine.Hour, "day": engine.Day}
	if date, ok := strings.CutPrefix(when, "on "); ok {
		day, err := time.Parse(time.DateOnly, date)
		return engine.Day, engine.Day.At(day.Unix()), err
	}
	back := 0
	switch when {
	case "today":
		grain = engine.Day
	case "yesterday":
		grain, back = engine.Day, 1
	case "this slot", "this hour":
		grain = names[when[len("this "):]]
	default:
		words := strings.Fields(when)
		if len(words) != 3 {
			return 0, 0, errors.New("when?")
		}
		grain = names[strings.TrimSuffix(words[1], "s")]
		if back, err = strconv.Atoi(words[0]); err != nil {
			return 0, 0, err
		}
	}
	return grain, grain.At(r.now.Unix()) - uint32(back), nil
}
