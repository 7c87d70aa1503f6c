package bench

import (
	"context"
	"fmt"
	"os"
	"time"

	"muster/client"
)

// growthSmall is the fleet that others are set beside.
const growthSmall = 10_000

// Growth measures what a report costs with few devices and with many, taken at
// random, and while a checkpoint is being written.
func (l *Lab) Growth(ctx context.Context) (*Report, error) {
	small, err := l.population(ctx, growthSmall)
	if err != nil {
		return nil, err
	}
	defer small.close()
	large, err := l.population(ctx, l.Devices)
	if err != nil {
		return nil, err
	}
	defer large.close()
	r := l.report("growth")
	const few = "report, 10,000 devices at random"
	many, quiet, busy := fmt.Sprintf("report, %d devices at random", l.Devices), "no checkpoint under way", "checkpoint under way"
	err = l.run(ctx, r, []step{
		{few, func(ctx context.Context) (Figures, error) {
			if err := large.rests(ctx); err != nil {
				return Figures{}, err
			}
			return l.closed(ctx, small.course())
		}},
		{many, func(ctx context.Context) (Figures, error) { return l.closed(ctx, large.course()) }},
	})
	rss := float64(large.server.RSS()) // after full load
	if err == nil && (l.wants(quiet) || l.wants(busy)) {
		err = l.checkpoints(ctx, r, large, quiet, busy)
	}
	if err == nil {
		err = l.run(ctx, r, l.restarts(large))
	}
	if err != nil {
		return nil, err
	}
	r.compare(many, few)
	r.compare(busy, quiet)
	if l.wants(many) {
		r.note("memory: %.0f MiB with %d devices: %.1f bytes a device in all, %.1f more than with 10,000",
			rss/(1<<20), l.Devices, rss/float64(l.Devices), (rss-float64(small.server.RSS()))/float64(l.Devices-growthSmall))
	}
	return r, firstError(small.audit(ctx), large.audit(ctx))
}

// population is a server and its fleet, which has checked in and reported once:
// in a day of a device's life that is one report of many.
type population struct {
	server *Server
	fleet  *Fleet
	dir    string
}

func (l *Lab) population(ctx context.Context, devices int) (p *population, err error) {
	fmt.Fprintf(l.Out, "checking %d devices in\n", devices)
	site := l.Site
	if site.Dir, err = os.MkdirTemp(l.Site.Dir, "population-"); err != nil {
		return nil, err
	}
	p = &population{dir: site.Dir}
	if p.server, err = site.start(ctx, l.Out); err != nil {
		return nil, err
	}
	p.fleet, err = NewFleet(ctx, p.server.Key, Load{
		Devices: devices, Conns: 50, Depth: 128, PerRecord: 16, Random: true, Uses: []client.Use{benchUse}, Module: benchModule,
	})
	if err == nil {
		err = p.fleet.CheckIn(ctx)
	}
	if err == nil {
		err = p.fleet.Report(ctx)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *population) course() *course { return newCourse(p.fleet, p.server.Child, nil) }

func (p *population) audit(ctx context.Context) error {
	a, err := audit(ctx, p.fleet, p.server, nil)
	if err == nil && !a.Equal() {
		err = fmt.Errorf("%s", a)
	}
	return err
}

func (p *population) close() {
	if p.fleet != nil {
		p.fleet.Close()
	}
	p.server.Kill()
	os.RemoveAll(p.dir)
}

// checkpointGlance is how often it is looked whether a checkpoint is under way.
const checkpointGlance = 250 * time.Millisecond

// checkpoints lets a fleet report on schedule, slowly enough for the time between
// two checkpoints to be seen, and tells the moments with one under way from those
// without.
func (l *Lab) checkpoints(ctx context.Context, r *Report, p *population, quiet, busy string) error {
	const rate = 300_000
	length := time.Duration(l.Rounds) * 4 * l.Time
	ended := make(chan error, 1)
	run, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	go func() { ended <- p.fleet.RunAt(run, rate) }()
	sums := map[string]*Figures{quiet: {}, busy: {}}
	latency := map[string]*Histogram{quiet: NewHistogram(), busy: NewHistogram()}
	tick := time.NewTicker(checkpointGlance)
	defer tick.Stop()
	under, err := p.checkpointing(ctx)
	if err != nil {
		return err
	}
	p.fleet.Latency()
	last := p.course().mark()
	for {
		select {
		case err := <-ended:
			for _, name := range []string{quiet, busy} {
				f := sums[name]
				if f.Latency = latency[name].summary(); f.Requests > 0 {
					f.Memory = p.server.RSS()
					r.add(name, *f)
				}
			}
			return err
		case <-tick.C:
		}
		c := p.course()
		now, h := c.mark(), p.fleet.Latency()
		still, err := p.checkpointing(ctx)
		if err != nil {
			return err
		}
		if still == under { // else it began or ended meanwhile
			name := quiet
			if under {
				name = busy
			}
			f := sums[name]
			f.Requests += now.answered - last.answered
			f.Seconds += now.at.Sub(last.at).Seconds()
			f.CPUSeconds += (now.cpu - last.cpu).Seconds()
			latency[name].Add(h)
		}
		under, last = still, c.mark()
		p.fleet.Latency()
	}
}

// checkpointing says whether a checkpoint is under way.
func (p *population) checkpointing(ctx context.Context) (bool, error) {
	m, err := p.server.Metrics(ctx)
	return m["muster_checkpoints_begun_total"] > m["muster_checkpoints_total"], err
}

// rests waits for the end of a checkpoint: it takes CPU from the other server.
func (p *population) rests(ctx context.Context) error {
	for {
		under, err := p.checkpointing(ctx)
		if err != nil || !under {
			return err
		}
		time.Sleep(checkpointGlance)
	}
}

// Loops measures what a report costs with one event loop and with two. Server
// and load share all CPUs: what counts is the CPU time of each.
func (l *Lab) Loops(ctx context.Context) (*Report, error) {
	l.Site.Pin = false
	r := l.report("loops")
	var steps []step
	var names []string
	for _, loops := range []string{"1", "2"} {
		site := l.Site
		var err error
		if site.Dir, err = os.MkdirTemp(l.Site.Dir, "loops-"); err != nil {
			return nil, err
		}
		site.Args = append([]string{"--loops", loops}, site.Args...)
		server, err := site.start(ctx, l.Out, "--devices-max", fmt.Sprint(10*l.Devices*(l.Rounds+1)))
		if err != nil {
			return nil, err
		}
		defer server.Kill()
		names = append(names, "report, 16 a record, event loops: "+loops)
		steps = append(steps, l.load(names[len(names)-1], server, Load{Conns: 50, Depth: 128, PerRecord: 16}))
	}
	if err := l.run(ctx, r, steps); err != nil {
		return nil, err
	}
	r.compare(names[1], names[0])
	return r, nil
}
