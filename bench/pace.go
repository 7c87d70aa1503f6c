package bench

import (
	"fmt"
	"math"
	"time"
)

// Stage is a stretch of an open loop: the rate moves evenly from that of the
// stage before (0 at the beginning) to its own, and stays.
type Stage struct {
	Rate float64       `yaml:"rate" json:"rate"` // requests a second
	Ramp time.Duration `yaml:"ramp" json:"ramp"`
	Hold time.Duration `yaml:"hold" json:"hold"`
}

// Name is how measurements of the stage are called.
func (s *Stage) Name() string { return fmt.Sprintf("%.0f/s", s.Rate) }

// Length is how long it takes.
func (s *Stage) Length() time.Duration { return s.Ramp + s.Hold }

// pace is when the arrivals of an open loop are due.
type pace struct {
	began time.Time
	parts []part
}

// part is a stretch in which the rate moves evenly.
type part struct {
	start    time.Duration // since the beginning
	length   float64       // seconds; may be infinite
	from, to float64       // requests a second
	before   float64       // arrivals before it
}

// newPace makes the pace of stages.
func newPace(began time.Time, stages ...Stage) *pace {
	p := &pace{began: began}
	rate := 0.0
	for _, s := range stages {
		p.add(s.Ramp.Seconds(), rate, s.Rate)
		p.add(s.Hold.Seconds(), s.Rate, s.Rate)
		rate = s.Rate
	}
	return p
}

// steady is one rate without end.
func steady(began time.Time, rate float64) *pace {
	p := &pace{began: began}
	p.add(math.Inf(1), rate, rate)
	return p
}

func (p *pace) add(length, from, to float64) {
	if length == 0 {
		return
	}
	next := part{length: length, from: from, to: to}
	if n := len(p.parts); n > 0 {
		last := p.parts[n-1]
		next.start = last.start + time.Duration(last.length*float64(time.Second))
		next.before = last.before + last.arrivals()
	}
	p.parts = append(p.parts, next)
}

func (p *part) arrivals() float64 { return p.length * (p.from + p.to) / 2 }

// end is when the last part ends; ok is false when it does not.
func (p *pace) end() (end time.Time, ok bool) {
	last := p.parts[len(p.parts)-1]
	if math.IsInf(last.length, 1) {
		return time.Time{}, false
	}
	return p.began.Add(last.start + time.Duration(last.length*float64(time.Second))), true
}

// due is when the nth arrival is, counted from 0; ok is false after the last one.
func (p *pace) due(n float64) (due time.Time, ok bool) {
	for i := range p.parts {
		if part := &p.parts[i]; n < part.before+part.arrivals() {
			return p.began.Add(part.start + time.Duration(part.until(n-part.before)*float64(time.Second))), true
		}
	}
	return time.Time{}, false
}

// until is how many seconds into the part n arrivals have come: the rate moves
// evenly, so they are from·t + (to-from)/(2·length)·t².
func (p *part) until(n float64) float64 {
	if p.from == p.to {
		return n / p.from
	}
	slope := (p.to - p.from) / p.length
	return (math.Sqrt(max(p.from*p.from+2*slope*n, 0)) - p.from) / slope
}

// sendTick is how exactly a load sends: what is due in one goes out at its end.
// All connections have the same ticks, so one wake-up of the process serves many.
const sendTick = 250 * time.Microsecond

// wait returns at the end of the tick that next is in, or of the present one if
// that is over, or when the alarm's context ends.
func (p *pace) wait(a *alarm, next time.Time) {
	now := time.Now()
	if next.Before(now) {
		next = now
	}
	end := p.began.Add(next.Sub(p.began).Truncate(sendTick) + sendTick)
	a.wait(end.Sub(now))
}
