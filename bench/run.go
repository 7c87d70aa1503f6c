package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

// Run puts a server under a workload.
type Run struct {
	Plan Plan
	Site Site
	// Of a server that runs already.
	Key     string // license key of a project
	Admin   string // address of its admin API, for the audit; empty: none
	Token   string // for that API
	CA      []byte // its certificate, PEM; nil: the system knows it
	Use     client.Use
	Module  string // that reports count
	Command string // how it was called, for the report

	Live func(Interval) // told every second
	Out  io.Writer      // what goes on besides
}

// Site is where a server of one's own runs.
type Site struct {
	Muster string   // the muster program
	Dir    string   // where it keeps its data
	Pin    bool     // the server to one CPU, the load to another
	Args   []string // more flags of the server
}

const (
	serverCPU = 0
	loadCPU   = 1

	benchProduct = "Bench"
	benchModule  = "QR"
)

// benchUse is what devices ask the server of a site for.
var benchUse = client.Use{Product: benchProduct, Version: 1}

// start starts the server, with an item that all devices share.
func (s *Site) start(ctx context.Context, out io.Writer, args ...string) (*Server, error) {
	cpu := -1
	if s.Pin {
		cpu = serverCPU
		if err := PinSelf(loadCPU); err != nil {
			fmt.Fprintf(out, "not pinned: %v\n", err)
		}
	}
	now := time.Now()
	args = append([]string{
		"--source-connections", "1000000", "--source-connections-burst", "1000000", // all come from one address
		"--source-handshakes", "1000000", "--source-handshakes-burst", "1000000",
	}, args...)
	return StartServer(ctx, ServerOptions{
		Binary: s.Muster, Dir: s.Dir, CPU: cpu, Stderr: os.Stderr, Args: append(args, s.Args...),
		Items: [][]license.Field{{
			{Name: "ItemId", Value: "seats"}, {Name: "Product", Value: benchProduct}, {Name: "Modules", Value: benchModule},
			{Name: "ChargeWay", Value: "device-daily"}, {Name: "Quota", Value: "1000000000"},
			{Name: "Start", Value: now.AddDate(0, 0, -1).Format(time.DateOnly)}, {Name: "Expiry", Value: now.AddDate(1, 0, 0).Format(time.DateOnly)},
		}},
	})
}

// Do runs the workload and audits it. An error without a report means that it
// did not come to an end; one with a report, that the audit failed.
func (r *Run) Do(ctx context.Context) (*Report, error) {
	if err := r.Plan.Check(); err != nil {
		return nil, err
	}
	server, child, err := r.server(ctx)
	if err != nil {
		return nil, err
	}
	if child != nil {
		defer child.Kill()
	}
	load := r.Plan.Load
	load.Uses, load.Module = []client.Use{r.Use}, r.Module
	before, err := counts(ctx, server)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(r.Out, "connecting %d times, checking %d devices in\n", load.Conns, load.Devices)
	fleet, err := NewFleet(ctx, r.Key, load)
	if err != nil {
		return nil, err
	}
	defer fleet.Close()
	if err := fleet.CheckIn(ctx); err != nil {
		return nil, err
	}
	if n := fleet.Told.Refused.Load(); n > 0 {
		return nil, fmt.Errorf("of %d devices the server refused %d: %s", load.Devices, n, refusals(fleet.Told.Codes()))
	}
	report := NewReport(r.Command, r.Plan)
	c := newCourse(fleet, child, r.Live)
	if err := r.work(ctx, c, report); err != nil {
		return nil, err
	}
	report.Series = c.series
	report.note("%s", capacity(report))
	if server == nil {
		report.note("not audited: --admin and --token-file say where the server's own counters are")
		return report, nil
	}
	if report.Audit, err = audit(ctx, fleet, server, before); err != nil {
		return nil, err
	}
	report.note("%s", report.Audit)
	if !report.Audit.Equal() && child == nil {
		return report, errors.New("the server counts something else than it told these devices: do others use the same items?")
	}
	if !report.Audit.Equal() {
		return report, errors.New("the server counts something else than it told the devices")
	}
	if child != nil {
		err = child.Stop(time.Minute)
	}
	return report, err
}

// server is the one to measure, nil if its counters can't be seen; child, if it
// is our own.
func (r *Run) server(ctx context.Context) (server *Server, child *Child, err error) {
	if r.Key != "" {
		if r.Admin != "" {
			server, err = Remote(r.Admin, r.Token, r.CA)
		}
		return server, nil, err
	}
	server, err = r.Site.start(ctx, r.Out)
	if err != nil {
		return nil, nil, err
	}
	r.Key, r.Use, r.Module = server.Key, benchUse, benchModule
	return server, server.Child, nil
}

// work does what the plan says.
func (r *Run) work(ctx context.Context, c *course, report *Report) error {
	switch p := &r.Plan; {
	case p.Find != nil:
		return r.find(ctx, c, report)
	case p.Depth > 0:
		name := fmt.Sprintf("%d × depth %d", p.Conns, p.Depth)
		figures, err := c.run(ctx, func(ctx context.Context) error {
			hold, cancel := context.WithTimeout(ctx, p.Hold)
			defer cancel()
			return c.fleet.Run(hold)
		}, whole(p.Hold))
		for _, f := range figures {
			report.add(name, f)
		}
		return err
	default:
		figures, err := c.run(ctx, func(ctx context.Context) error { return c.fleet.RunStages(ctx, p.Stages...) }, stages(p.Stages))
		held := slices.DeleteFunc(slices.Clone(p.Stages), func(s Stage) bool { return s.Hold == 0 })
		for i, f := range figures {
			report.add(fmt.Sprintf("stage %d, %s", i+1, held[i].Name()), f)
		}
		return err
	}
}

// find looks for the highest rate whose p99 stays under the bound: half as much
// again each time, then between the last that held and the first that did not. A
// rate fails when it fails twice: a machine has its moments.
func (r *Run) find(ctx context.Context, c *course, report *Report) error {
	const grow, close = 1.5, 1.05
	f := r.Plan.Find
	try := func(rate float64) (good bool, err error) {
		for range 2 {
			stage := Stage{Rate: rate, Ramp: time.Second, Hold: f.Hold}
			figures, err := c.run(ctx, func(ctx context.Context) error { return c.fleet.RunStages(ctx, stage) }, stages([]Stage{stage}))
			if err == nil {
				err = ctx.Err()
			}
			if err != nil || len(figures) == 0 {
				return false, err
			}
			at := figures[0]
			report.add(stage.Name(), at)
			good = at.Latency.P99 <= us(f.P99) && at.Rate() > 0.98*rate
			verdict := "holds"
			if !good {
				verdict = "too much"
			}
			fmt.Fprintf(r.Out, "%s: p99 %s, %.0f/s answered: %s\n", stage.Name(), showMicros(at.Latency.P99), at.Rate(), verdict)
			if good {
				break
			}
		}
		return good, nil
	}
	low, high := 0.0, 0.0
	for rate := f.From; high == 0 || low == 0 || high/low > close; {
		good, err := try(rate)
		if err != nil {
			return err
		}
		if good {
			low = rate
		} else {
			high = rate
		}
		switch {
		case high == 0:
			rate *= grow
		case low == 0:
			if rate /= grow; rate < 1 {
				return fmt.Errorf("not even one request a second is answered within %v", f.P99)
			}
		default:
			rate = (low + high) / 2
		}
	}
	report.note("the highest rate with p99 under %v: %.0f/s (%.0f/s was too much)", f.P99, low, high)
	return nil
}

// capacity says how large a fleet the best rate is.
func capacity(r *Report) string {
	best := 0.0
	for _, m := range r.Measures {
		best = max(best, m.Median((*Figures).Rate))
	}
	return fmt.Sprintf("%.0f requests a second are those of %.0f devices that report once a slot, %d s", best, best*protocol.SlotSeconds, protocol.SlotSeconds)
}

// refusals lists codes and how often each came.
func refusals(codes map[protocol.Code]uint64) string {
	var list []string
	for code, n := range codes {
		list = append(list, fmt.Sprintf("%d × %v", n, code))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// Audit sets what devices were told beside what the server counts, over the
// items they were granted.
type Audit struct {
	ToldUses        uint64 `json:"toldUses"`
	CountedUses     uint64 `json:"countedUses"`
	ToldCheckIns    uint64 `json:"toldCheckIns"`
	CountedCheckIns uint64 `json:"countedCheckIns"`
	Open            int    `json:"open"` // requests without an answer, which may be counted or not
}

// Equal says whether both sides agree to the last use.
func (a *Audit) Equal() bool {
	within := func(told, counted uint64) bool { return counted >= told && counted <= told+uint64(a.Open) }
	return within(a.ToldUses, a.CountedUses) && within(a.ToldCheckIns, a.CountedCheckIns)
}

// String tells it to a person.
func (a *Audit) String() string {
	verdict := "both sides agree to the last use"
	switch {
	case !a.Equal():
		verdict = "they DIFFER"
	case a.Open > 0:
		verdict = fmt.Sprintf("%d requests have no answer", a.Open)
	}
	return fmt.Sprintf("audit: %d uses and %d check-ins acknowledged, %d and %d counted: %s",
		a.ToldUses, a.ToldCheckIns, a.CountedUses, a.CountedCheckIns, verdict)
}

func counts(ctx context.Context, server *Server) (map[string]Counted, error) {
	if server == nil {
		return nil, nil
	}
	list, err := server.Counts(ctx)
	byName := map[string]Counted{}
	for _, c := range list {
		byName[c.Name] = c
	}
	return byName, err
}

func audit(ctx context.Context, fleet *Fleet, server *Server, before map[string]Counted) (*Audit, error) {
	after, err := counts(ctx, server)
	if err != nil {
		return nil, err
	}
	a := &Audit{Open: fleet.Outstanding()}
	for name, told := range fleet.Told.Items() {
		a.ToldUses += told.Uses
		a.ToldCheckIns += told.Granted
		a.CountedUses += after[name].Usage.Uses - before[name].Usage.Uses
		a.CountedCheckIns += after[name].Usage.Authorizations - before[name].Usage.Authorizations
	}
	return a, nil
}
