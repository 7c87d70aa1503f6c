package server

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// machineClocks are a machine's two clocks, and the clock over them.
type machineClocks struct {
	wall  time.Time
	boot  time.Duration
	log   strings.Builder
	clock *Clock
}

func newMachineClocks() *machineClocks {
	m := &machineClocks{wall: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), boot: 5 * time.Hour}
	m.restart()
	return m
}

func (m *machineClocks) restart() {
	m.clock = NewClock(func() int64 { return m.wall.UnixNano() }, func() time.Duration { return m.boot }, slog.New(slog.NewTextHandler(&m.log, nil)))
}

// pass lets time pass, with the wall clock jumping meanwhile.
func (m *machineClocks) pass(d, jump time.Duration) {
	m.boot += d
	m.wall = m.wall.Add(d + jump)
}

func (m *machineClocks) want(t *testing.T, when string, now time.Time, offset time.Duration) {
	t.Helper()
	if got := time.Unix(0, m.clock.Now()).UTC(); !got.Equal(now) {
		t.Errorf("%s: the time is %v, want %v", when, got, now)
	}
	if got := m.clock.Offset(); got != offset {
		t.Errorf("%s: offset %v, want %v", when, got, offset)
	}
}

func TestClock(t *testing.T) {
	const day = 24 * time.Hour
	for _, jump := range []time.Duration{-time.Hour - time.Second, -day, -365 * day, time.Hour + time.Second, day, 365 * day} {
		m := newMachineClocks()
		began := m.wall
		m.pass(time.Minute, 0)
		m.want(t, "undisturbed", began.Add(time.Minute), 0)
		m.pass(time.Minute, 30*time.Minute)
		m.want(t, "set right by half an hour", began.Add(32*time.Minute), 0)
		m.pass(time.Minute, -30*time.Minute)
		m.want(t, "and back", began.Add(3*time.Minute), 0)

		m.pass(time.Minute, jump)
		m.want(t, "jumped", began.Add(4*time.Minute), jump)
		m.pass(day, 0)
		m.want(t, "a day later", began.Add(4*time.Minute+day), jump)
		m.pass(time.Minute, -jump)
		m.want(t, "jumped back", began.Add(5*time.Minute+day), 0)

		m.pass(time.Minute, jump)
		m.want(t, "jumped again", began.Add(6*time.Minute+day), jump)
		if got := time.Unix(0, m.clock.Accept()).UTC(); !got.Equal(m.wall) {
			t.Errorf("accepted %v, want %v", got, m.wall)
		}
		m.pass(time.Minute, 0)
		m.want(t, "accepted", m.wall, 0)
		if n := strings.Count(m.log.String(), "not followed"); n != 2 {
			t.Errorf("%d complaints in the log for two jumps:\n%s", n, m.log.String())
		}
	}
}

// A server that starts with a clock further back than what it decided by last
// goes on from there; one that was off for a year believes the clock.
func TestClockAtStart(t *testing.T) {
	m := newMachineClocks()
	last := m.wall
	m.pass(365*24*time.Hour, 0)
	m.restart()
	m.clock.Start(last.UnixNano())
	m.want(t, "a year later", m.wall, 0)

	last = m.wall
	m.pass(time.Minute, -24*time.Hour)
	m.restart()
	m.clock.Start(last.UnixNano())
	m.want(t, "a day back", last, -24*time.Hour+time.Minute)
	m.pass(time.Minute, 0)
	m.want(t, "a minute later", last.Add(time.Minute), -24*time.Hour+time.Minute)

	m.restart()
	m.clock.Start(m.wall.Add(30 * time.Minute).UnixNano())
	m.want(t, "half an hour back", m.wall, 0) // the core lets time stand still for that
}
