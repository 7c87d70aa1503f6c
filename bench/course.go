package bench

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// Interval is what a load did in a stretch of about a second.
type Interval struct {
	At      float64 `json:"at"` // seconds since the beginning, of its end
	Seconds float64 `json:"seconds"`
	Offered float64 `json:"offered,omitempty"` // by the schedule, a second
	Served  float64 `json:"served"`            // answered as asked for, a second
	Refused float64 `json:"refused"`
	Busy    float64 `json:"busy"`
	Latency Latency `json:"latency"`
	CPUs    float64 `json:"cpus,omitempty"` // of the server, in use
	Memory  int64   `json:"memory,omitempty"`
}

// course follows a fleet while it works.
type course struct {
	fleet  *Fleet
	server *Child         // nil: not ours to look at
	live   func(Interval) // nil: nobody watches

	began   time.Time
	series  []Interval
	last    mark
	kept    *Histogram // since from
	from    mark
	held    []int64 // the server's memory at the end of each interval since from
	figures []Figures
}

// mark is where the counters stood at a moment.
type mark struct {
	at                            time.Time
	answered, served, busy, other uint64
	refused, missed               uint64
	codes                         map[string]uint64
	cpu                           time.Duration
}

// cut ends an interval at a moment of a course; what was measured between one
// that begins and one that ends makes figures.
type cut struct {
	at          time.Duration
	begin, ends bool
	offered     func(at time.Duration) float64
}

func newCourse(fleet *Fleet, server *Child, live func(Interval)) *course {
	if live == nil {
		live = func(Interval) {}
	}
	return &course{fleet: fleet, server: server, live: live, began: time.Now(), kept: NewHistogram()}
}

func (c *course) mark() mark {
	t := &c.fleet.Told
	m := mark{
		at: time.Now(), answered: t.Answered(), busy: t.Busy.Load(), other: t.Other.Load(),
		refused: t.Refused.Load(), missed: t.Missed.Load(), codes: map[string]uint64{},
	}
	m.served = m.answered - m.refused - m.other
	for code, n := range t.Codes() {
		m.codes[code.String()] = n
	}
	if c.server != nil {
		m.cpu = c.server.CPU()
	}
	return m
}

// stages are the cuts of stages: their holds make figures.
func stages(list []Stage) (cuts []cut) {
	var at time.Duration
	before := 0.0
	for _, s := range list {
		ramp := cut{at: at + s.Ramp, begin: s.Hold > 0, offered: between(at, s.Ramp, before, s.Rate)}
		cuts = append(cuts, ramp, cut{at: at + s.Length(), ends: s.Hold > 0, offered: between(0, 0, s.Rate, s.Rate)})
		at, before = at+s.Length(), s.Rate
	}
	return cuts
}

// between is the rate on the way from one to another.
func between(start, length time.Duration, from, to float64) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		if length == 0 {
			return to
		}
		return from + (to-from)*float64(at-start)/float64(length)
	}
}

// whole are the cuts of a load that is measured as a whole.
func whole(length time.Duration) []cut {
	none := func(time.Duration) float64 { return 0 }
	return []cut{{begin: true, offered: none}, {at: length, ends: true, offered: none}}
}

// run lets work go on and takes intervals of it, one a second and at every cut.
func (c *course) run(ctx context.Context, work func(context.Context) error, cuts []cut) ([]Figures, error) {
	ended := make(chan error, 1)
	go func() { ended <- work(ctx) }()
	began := time.Now()
	c.fleet.Latency() // of what was before
	c.last, c.figures = c.mark(), nil
	next := cuts
	for {
		until, atCut := time.Second, false
		if len(next) > 0 {
			if left := time.Until(began.Add(next[0].at)); left < until {
				until, atCut = max(left, 0), true
			}
		}
		select {
		case <-time.After(until):
		case err := <-ended:
			if len(next) > 0 { // it ends a moment before its last cut
				c.interval(next[0].offered(time.Since(began)))
				c.take(&next[0], began)
			}
			return c.figures, err
		}
		if len(next) == 0 {
			c.interval(0)
			continue
		}
		c.interval(next[0].offered(time.Since(began) - until/2))
		if atCut {
			c.take(&next[0], began)
			next = next[1:]
		}
	}
}

// interval ends one.
func (c *course) interval(offered float64) {
	h, now := c.fleet.Latency(), c.mark()
	c.kept.Add(h)
	seconds := now.at.Sub(c.last.at).Seconds()
	if seconds < 1e-3 {
		return // two cuts at one moment
	}
	per := func(now, before uint64) float64 { return float64(now-before) / seconds }
	i := Interval{
		At: now.at.Sub(c.began).Seconds(), Seconds: seconds, Offered: offered,
		Served: per(now.served, c.last.served), Refused: per(now.refused, c.last.refused), Busy: per(now.busy, c.last.busy),
		Latency: h.summary(),
	}
	if c.server != nil {
		i.CPUs, i.Memory = (now.cpu-c.last.cpu).Seconds()/seconds, c.server.RSS()
	}
	c.last = now
	c.held = append(c.held, i.Memory)
	c.series = append(c.series, i)
	c.live(i)
}

// take begins or ends what makes figures.
func (c *course) take(at *cut, began time.Time) {
	switch {
	case at.begin:
		c.from = c.mark()
		c.kept, c.held = NewHistogram(), nil
	case at.ends:
		c.kept.Add(c.fleet.Latency())
		c.figures = append(c.figures, c.since(c.from))
	}
}

// since are the figures since a mark.
func (c *course) since(from mark) Figures {
	now := c.mark()
	f := Figures{
		Requests: now.answered - from.answered, Seconds: now.at.Sub(from.at).Seconds(), Latency: c.kept.summary(),
		Refused: maps.Clone(now.codes), Busy: now.busy - from.busy, Missed: now.missed - from.missed, Other: now.other - from.other,
	}
	for code, n := range from.codes {
		if f.Refused[code] -= n; f.Refused[code] == 0 {
			delete(f.Refused, code)
		}
	}
	if c.server != nil {
		f.CPUSeconds, f.Memory = (now.cpu - from.cpu).Seconds(), median(c.held)
	}
	return f
}

// Line shows the interval in a line of a terminal.
func (i *Interval) Line() string {
	text := fmt.Sprintf("%5.0f s  ", i.At)
	if i.Offered > 0 {
		text += fmt.Sprintf("%9.0f/s offered  ", i.Offered)
	}
	text += fmt.Sprintf("%9.0f/s served  p50 %-8s p99 %-8s", i.Served, showMicros(i.Latency.P50), showMicros(i.Latency.P99))
	if i.Memory > 0 {
		text += fmt.Sprintf("  server %.2f CPUs, %d MiB", i.CPUs, i.Memory>>20)
	}
	if i.Refused > 0 {
		text += fmt.Sprintf("  refused %.0f/s", i.Refused)
	}
	if i.Busy > 0 {
		text += fmt.Sprintf("  busy %.0f/s", i.Busy)
	}
	return text
}
