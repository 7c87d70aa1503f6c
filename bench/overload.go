package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"muster/client"
)

// brakeParts is into how many parts the server's time is cut, of which it is left
// one: little enough for one CPU to ask for ten times as much as it can do, and
// enough to do beside it what a server does anyway, such as a checkpoint.
const brakeParts = 4

// Overload asks for twice and for ten times as much as the server can do, and
// then for half of it: what it can do it has to go on doing, and be as before soon
// afterwards. Devices wait for their answers, so more is asked for by ever more
// of them, until the whole fleet waits.
func (l *Lab) Overload(ctx context.Context) (*Report, error) {
	server, err := l.server(ctx)
	if err != nil {
		return nil, err
	}
	defer server.Kill()
	r := l.report("overload")
	for round := range l.Rounds {
		for _, load := range []Load{
			{Conns: 50, Depth: max(16, min(2048, l.Devices/100)), PerRecord: 16},
			{Conns: 50, Depth: 16, PerRecord: 1, UDP: true},
		} {
			if err := l.overload(ctx, r, round, server, load); err != nil {
				return nil, err
			}
		}
	}
	for _, of := range []string{"TCP", "UDP"} {
		for _, times := range overloads {
			r.compare(overName(of, times), of+", peak")
		}
	}
	return r, server.Stop(20 * time.Second)
}

// overloads are how many times the peak is asked for.
var overloads = []int{2, 10}

func overName(of string, times int) string { return fmt.Sprintf("%s, %d × the peak", of, times) }

// overload finds the peak of a load, and then asks for more.
func (l *Lab) overload(ctx context.Context, r *Report, round int, server *Server, load Load) error {
	name := "TCP"
	if load.UDP {
		name = "UDP"
	}
	peak, half := name+", peak", name+", half of the peak"
	names := []string{peak, half}
	for _, times := range overloads {
		names = append(names, overName(name, times))
	}
	if !slices.ContainsFunc(names, l.wants) {
		return nil
	}
	m, err := l.braked(ctx, server, load, l.closed)
	if err != nil {
		return fmt.Errorf("%s: %w", peak, err)
	}
	l.tell(r, round, peak, m)
	load.Depth = 0
	calm := Stage{Rate: m.Rate() / 2, Hold: l.Time}
	if l.wants(half) {
		if err := l.inStages(ctx, r, round, server, load, half, calm); err != nil {
			return err
		}
	}
	for _, times := range overloads {
		if !l.wants(overName(name, times)) {
			continue
		}
		over := Stage{Rate: float64(times) * m.Rate(), Hold: l.Time}
		if err := l.inStages(ctx, r, round, server, load, overName(name, times), over, calm, calm); err != nil {
			return err
		}
	}
	return nil
}

// braked has a fleet whose devices have reported today work on a server that is
// left a part of its time.
func (l *Lab) braked(ctx context.Context, server *Server, load Load, work func(context.Context, *course) (Figures, error)) (Figures, error) {
	load.Devices, load.Uses, load.Module = l.Devices, []client.Use{benchUse}, benchModule
	if load.UDP { // it can do less: who waits is served in a few seconds all the same
		load.Devices /= 4
	}
	return l.onFleet(ctx, server, load, func(ctx context.Context, c *course) (Figures, error) {
		if err := c.fleet.Report(ctx); err != nil {
			return Figures{}, err
		}
		brake, _, err := StartReady(serverCPU, l.Self, "brake", fmt.Sprint(server.PID()), fmt.Sprint(brakeParts))
		if err != nil {
			return Figures{}, err
		}
		f, err := work(ctx, c)
		return f, firstError(err, brake.Stop(time.Second))
	})
}

// inStages has a fleet go through stages, and takes figures of each.
func (l *Lab) inStages(ctx context.Context, r *Report, round int, server *Server, load Load, name string, list ...Stage) error {
	_, err := l.braked(ctx, server, load, func(ctx context.Context, c *course) (Figures, error) {
		figures, err := c.run(ctx, func(ctx context.Context) error { return c.fleet.RunStages(ctx, list...) }, stages(list))
		for i, f := range figures {
			of := name
			if i > 0 {
				of = fmt.Sprintf("%s, then half of it, %v to %v after", name, time.Duration(i-1)*l.Time, time.Duration(i)*l.Time)
			}
			l.tell(r, round, of, f)
		}
		return Figures{}, err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
