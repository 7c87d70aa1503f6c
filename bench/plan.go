package bench

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"go.yaml.in/yaml/v3"

	"muster/protocol"
)

// Plan is a workload: a fleet, and how fast it goes.
type Plan struct {
	Load `yaml:",inline"`
	// Hold is how long a load of a given depth lasts.
	Hold time.Duration `yaml:"hold" json:"hold,omitempty"`
	// Stages are the course of a load on schedule.
	Stages []Stage `yaml:"stages" json:"stages,omitempty"`
	// Find looks for the highest rate instead.
	Find *Find `yaml:"find" json:"find,omitempty"`
}

// Find looks for the highest rate at which the latency stays under a bound.
type Find struct {
	P99  time.Duration `yaml:"p99" json:"p99"`   // the bound
	From float64       `yaml:"from" json:"from"` // the first rate tried
	Hold time.Duration `yaml:"hold" json:"hold"` // of each rate
}

// DefaultPlan is a realistic fleet: a device is on a working day of eight hours,
// reports in each of its 160 slots, checks in twice, is offline on one day of two
// for an hour, and gives its seat back every other evening; one in a hundred is new.
func DefaultPlan() Plan {
	return Plan{
		Load: Load{
			Devices: 100_000, Conns: 200, PerRecord: 1, LateSlots: 20,
			Mix: Mix{Report: 160, CheckIn: 2, Late: 0.5, Release: 0.5, New: 0.01},
		},
	}
}

// ReadPlan reads a workload file over the defaults.
func ReadPlan(name string) (Plan, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return Plan{}, err
	}
	p := DefaultPlan()
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("workload %s: %w", name, err)
	}
	return p, nil
}

// Check lists every fault of the plan, and fills in what is not given.
func (p *Plan) Check() error {
	var faults []error
	fault := func(bad bool, format string, a ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, a...))
		}
	}
	ways := 0
	for _, given := range []bool{p.Depth > 0, len(p.Stages) > 0, p.Find != nil} {
		if given {
			ways++
		}
	}
	fault(ways > 1, "a depth, rates and a rate to find exclude each other: give one of them")
	if ways == 0 { // as the devices would by themselves
		p.Stages = []Stage{{Rate: p.natural(), Hold: cmp.Or(p.Hold, 30*time.Second)}}
	}
	if len(p.Stages) == 0 {
		p.Hold = cmp.Or(p.Hold, 30*time.Second)
	}
	for i := range p.Stages {
		s := &p.Stages[i]
		fault(s.Rate < 0 || s.Ramp < 0 || s.Hold < 0 || s.Length() == 0, "stage %d: expected a rate, and a time of ramp or hold above 0", i+1)
		fault(s.Rate == 0 && i == 0, "stage 1: expected a rate above 0")
	}
	if f := p.Find; f != nil {
		f.P99, f.From, f.Hold = cmp.Or(f.P99, 10*time.Millisecond), cmp.Or(f.From, 1000), cmp.Or(f.Hold, 5*time.Second)
		fault(f.P99 < 0 || f.From < 0 || f.Hold < time.Second, "find: expected a p99 and a rate above 0, and a second or more at each rate")
	}
	faults = append(faults, p.Load.check())
	return errors.Join(faults...)
}

// natural is the rate at which every device has its turn once a slot.
func (p *Plan) natural() float64 { return float64(p.Devices) / protocol.SlotSeconds }
