package bench

import (
	"context"
	"fmt"
	"time"

	"muster/client"
)

// hogs are how many threads compete with the server for its CPU: what is left to
// it is little enough for the load to ask for ten times as much.
const hogs = 19

// Overload asks for twice and for ten times as much as the server can do, and
// then for half of it: what it can do it has to go on doing, and be as before soon
// afterwards. Devices wait for answers, so what more is asked for comes from ever
// more devices, until all of the fleet wait.
func (l *Lab) Overload(ctx context.Context) (*Report, error) {
	server, err := l.server(ctx)
	if err != nil {
		return nil, err
	}
	defer server.Kill()
	hog, _, err := StartEcho(serverCPU, l.Self, "hog", fmt.Sprint(hogs))
	if err != nil {
		return nil, err
	}
	defer hog.Kill()
	r := l.report("overload")
	const peak, half = "peak, depth 128", "half of the peak, before"
	times := []float64{2, 10}
	over := func(times float64) string { return fmt.Sprintf("%.0f × the peak", times) }
	for range l.Rounds {
		m, err := l.load(peak, server, Load{Conns: 50, Depth: 128, PerRecord: 16}).measure(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", peak, err)
		}
		l.tell(r, peak, m)
		calm := Stage{Rate: m.Rate() / 2, Hold: l.Time}
		if err := l.inStages(ctx, r, server, half, calm); err != nil {
			return nil, err
		}
		for _, n := range times {
			if err := l.inStages(ctx, r, server, over(n), Stage{Rate: n * m.Rate(), Hold: l.Time}, calm, calm); err != nil {
				return nil, err
			}
		}
	}
	for _, n := range times {
		r.note("%s: %.0f %% of its rate are served", over(n), 100*Ratio(r.measure(over(n)), r.measure(peak), (*Figures).Rate))
	}
	return r, server.Stop(20 * time.Second)
}

// inStages has a fleet go through stages, and takes figures of each.
func (l *Lab) inStages(ctx context.Context, r *Report, server *Server, name string, list ...Stage) error {
	load := Load{Devices: l.Devices, Conns: 50, PerRecord: 16, Uses: []client.Use{benchUse}, Module: benchModule}
	_, err := l.onFleet(ctx, server, load, func(ctx context.Context, c *course) (Figures, error) {
		figures, err := c.run(ctx, func(ctx context.Context) error { return c.fleet.RunStages(ctx, list...) }, stages(list))
		for i, f := range figures {
			of := name
			if i > 0 {
				of = fmt.Sprintf("%s, then half of it, %v to %v after", name, time.Duration(i-1)*l.Time, time.Duration(i)*l.Time)
			}
			l.tell(r, of, f)
		}
		return Figures{}, err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// tell adds figures to a report and shows them.
func (l *Lab) tell(r *Report, name string, f Figures) {
	r.add(name, f)
	fmt.Fprintf(l.Out, "%-54s %9.0f/s  p50 %-9s p99 %s\n", name, f.Rate(), showMicros(f.Latency.P50), showMicros(f.Latency.P99))
}
