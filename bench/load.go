package bench

import (
	"errors"
	"fmt"
	mathrand "math/rand/v2"

	"muster/client"
	"muster/protocol"
)

// Load is the shape of a fleet's traffic. The keys are those of a workload file,
// docs/BENCH.md describes them.
type Load struct {
	Devices   int  `yaml:"devices" json:"devices"`         // in all, spread over the connections
	Conns     int  `yaml:"connections" json:"connections"` // TCP connections, or UDP sockets
	UDP       bool `yaml:"udp" json:"udp"`                 // each record is a datagram
	PerRecord int  `yaml:"per-record" json:"perRecord"`    // messages in a sealed record, at most
	// Depth is how many requests are outstanding on each connection; the next is
	// sent when one is answered. 0: they are sent on schedule, whether answers come
	// or not.
	Depth int `yaml:"depth" json:"depth"`
	// Mix is what devices do; empty: they report.
	Mix Mix `yaml:"mix" json:"mix"`
	// LateSlots is how many slots of use a device brings that was offline.
	LateSlots int `yaml:"late-slots" json:"lateSlots"`
	// Random takes devices at random instead of in turn.
	Random bool `yaml:"random" json:"random"`
	// Uses are what devices ask for at check-in, in turn.
	Uses []client.Use `yaml:"-" json:"-"`
	// Module is what their reports count.
	Module string `yaml:"-" json:"-"`
}

// Mix is how often devices do what, in parts of the sum.
type Mix struct {
	Report  float64 `yaml:"report" json:"report"`    // one use in the present slot
	CheckIn float64 `yaml:"check-in" json:"checkIn"` // again, for a new grant
	Late    float64 `yaml:"late" json:"late"`        // back from an offline spell: a report with the slots missed
	Release float64 `yaml:"release" json:"release"`  // gives its seat back, and checks in at its next turn
	New     float64 `yaml:"new" json:"new"`          // first contact of a device that was not there before
}

// act is what a device does at its turn.
type act int

const (
	actReport act = iota
	actCheckIn
	actLate
	actRelease
	actNew
)

func (m *Mix) weights() [5]float64 {
	return [...]float64{actReport: m.Report, actCheckIn: m.CheckIn, actLate: m.Late, actRelease: m.Release, actNew: m.New}
}

func (m *Mix) sum() (sum float64) {
	for _, w := range m.weights() {
		sum += w
	}
	return sum
}

// draw draws what to do; of an empty mix a report.
func (m *Mix) draw() act {
	if m.CheckIn+m.Late+m.Release+m.New == 0 {
		return actReport
	}
	at := mathrand.Float64() * m.sum()
	for a, w := range m.weights() {
		if at -= w; at < 0 {
			return act(a)
		}
	}
	return actReport
}

// Renewing is a mix of reports in which one of n requests is a check-in.
func Renewing(n int) Mix { return Mix{Report: float64(n - 1), CheckIn: 1} }

// check lists every fault of a load.
func (l *Load) check() error {
	var faults []error
	fault := func(bad bool, format string, a ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, a...))
		}
	}
	fault(l.Conns < 1 || l.Conns > 60_000, "%d connections: expected 1 to 60000", l.Conns)
	fault(l.Depth < 0 || l.Depth > openFlights, "depth %d: expected at most %d", l.Depth, openFlights)
	fault(l.PerRecord < 1 || l.PerRecord > 256, "%d messages a record: expected 1 to 256", l.PerRecord)
	fault(l.Depth > 0 && l.PerRecord > l.Depth, "%d messages a record: expected at most the depth, %d", l.PerRecord, l.Depth)
	fault(l.UDP && l.PerRecord > 8, "%d messages a record: a datagram has room for 8 reports", l.PerRecord)
	fault(l.Devices < l.Conns*max(l.Depth, 1), "%d devices: every connection (--connections %d) needs at least as many as its depth, %d in all", l.Devices, l.Conns, l.Conns*max(l.Depth, 1))
	fault(l.LateSlots < 0 || l.LateSlots > protocol.MaxReportLines, "%d late slots: expected at most %d", l.LateSlots, protocol.MaxReportLines)
	fault(l.UDP && l.PerRecord > 1 && l.Mix.CheckIn+l.Mix.New > 0, "%d messages a record: a datagram has room for one check-in", l.PerRecord)
	for _, w := range l.Mix.weights() {
		fault(w < 0, "mix of %v parts: expected 0 or more", w)
	}
	return errors.Join(faults...)
}
