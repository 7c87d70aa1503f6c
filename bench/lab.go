package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"muster/client"
)

// Lab measures several things in turn, round after round, so that a machine's
// moods fall on all of them alike: servers on one CPU, the load on another.
type Lab struct {
	Site    Site
	Self    string // this program: it runs the echo as "SELF echo REQUEST REPLY"
	Devices int
	Rounds  int
	Time    time.Duration // of one measurement
	Only    string        // measure only what has this in its name
	Profile string        // directory for the server's profiles; empty: none
	Out     io.Writer
}

// step is one of the measurements of a round.
type step struct {
	name    string
	measure func(context.Context) (Figures, error)
}

// run measures steps in rounds.
func (l *Lab) run(ctx context.Context, r *Report, steps []step) error {
	for round := range l.Rounds {
		for _, s := range steps {
			if !l.wants(s.name) {
				continue
			}
			f, err := s.measure(ctx)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			l.tell(r, round, s.name, f)
		}
	}
	return nil
}

// wants says whether what has this name is to be measured.
func (l *Lab) wants(name string) bool { return strings.Contains(name, l.Only) }

// tell adds a round's figures to a report and shows them.
func (l *Lab) tell(r *Report, round int, name string, f Figures) {
	r.add(name, f)
	fmt.Fprintf(l.Out, "round %d/%d  %-54s %9.0f/s  %7.3f µs  p50 %-9s p99 %s\n", round+1, l.Rounds, name,
		f.Rate(), f.PerRequest(), showMicros(f.Latency.P50), showMicros(f.Latency.P99))
}

// report begins a report of the lab.
func (l *Lab) report(command string) *Report {
	return NewReport(command, map[string]any{"devices": l.Devices, "rounds": l.Rounds, "seconds": l.Time.Seconds(), "only": l.Only})
}

// server starts a server with room for fleets of all rounds and steps.
func (l *Lab) server(ctx context.Context, args ...string) (*Server, error) {
	return l.Site.start(ctx, l.Out, append([]string{"--devices-max", fmt.Sprint(10 * l.Devices * (l.Rounds + 1))}, args...)...)
}

// load is a step that lets a new fleet of the lab's size work on a server.
func (l *Lab) load(name string, server *Server, load Load) step {
	load.Devices, load.Uses, load.Module = l.Devices, []client.Use{benchUse}, benchModule
	return step{name, func(ctx context.Context) (Figures, error) { return l.onFleet(ctx, server, load, l.closed) }}
}

// onFleet has a new fleet work, and audits that the server counted what it
// acknowledged.
func (l *Lab) onFleet(ctx context.Context, server *Server, load Load, work func(context.Context, *course) (Figures, error)) (f Figures, err error) {
	before, err := counts(ctx, server)
	if err != nil {
		return f, err
	}
	fleet, err := NewFleet(ctx, server.Key, load)
	if err != nil {
		return f, err
	}
	defer fleet.Close()
	if err := fleet.CheckIn(ctx); err != nil {
		return f, err
	}
	if f, err = work(ctx, newCourse(fleet, server.Child, nil)); err != nil {
		return f, err
	}
	a, err := audit(ctx, fleet, server, before)
	if err == nil && !a.Equal() {
		err = errors.New(a.String())
	}
	return f, err
}

// closed goes as fast as the load's depth allows.
func (l *Lab) closed(ctx context.Context, c *course) (Figures, error) {
	return only(c.run(ctx, func(ctx context.Context) error {
		hold, cancel := context.WithTimeout(ctx, l.Time)
		defer cancel()
		return c.fleet.Run(hold)
	}, whole(l.Time)))
}

// atRate goes on schedule.
func (l *Lab) atRate(ctx context.Context, c *course, rate float64) (Figures, error) {
	stage := []Stage{{Rate: rate, Ramp: time.Second, Hold: l.Time}}
	return only(c.run(ctx, func(ctx context.Context) error { return c.fleet.RunStages(ctx, stage...) }, stages(stage)))
}

// only is the figures of a course that makes one set of them.
func only(figures []Figures, err error) (Figures, error) {
	if err != nil || len(figures) == 0 {
		return Figures{}, err
	}
	return figures[0], nil
}

// clock runs loads on a child beside each other for the time of one measurement.
// The first error ends it.
func (l *Lab) clock(ctx context.Context, child *Child, loads int, load func(run context.Context, i int, h *Histogram) (uint64, error)) (Figures, error) {
	run, cancel := context.WithTimeout(ctx, l.Time)
	defer cancel()
	cpu, began := child.CPU(), time.Now()
	h := NewHistogram()
	var n atomic.Uint64
	var wg sync.WaitGroup
	faults := make([]error, loads)
	for i := range loads {
		wg.Go(func() {
			done, err := load(run, i, h)
			if n.Add(done); err != nil {
				faults[i] = err
				cancel()
			}
		})
	}
	wg.Wait()
	return Figures{
		Requests: n.Load(), Seconds: time.Since(began).Seconds(),
		CPUSeconds: (child.CPU() - cpu).Seconds(), Memory: child.RSS(), Latency: h.summary(),
	}, firstError(faults...)
}
