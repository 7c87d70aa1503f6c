package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"muster/bench"
	"muster/client"
)

// loadFlags are those of a workload: what is given on the command line goes over
// the file.
type loadFlags struct {
	file     string
	given    bench.Plan // as the flags say
	stage    bench.Stage
	find     bench.Find
	use      client.Use
	run      bench.Run
	tokens   string // file
	ca       string // file
	unpinned bool
}

func (p *program) loadCommand() *cobra.Command {
	l := &loadFlags{given: bench.DefaultPlan()}
	var s site
	var o output
	cmd := &cobra.Command{
		Use: "load", Args: cobra.NoArgs,
		Short: "Put a server under a workload: a fleet of devices, by depth, at a rate, or up to what it bears",
		Example: `  muster-bench load --devices 1000000
  muster-bench load --rate 50000 --ramp 10s --hold 60s --html report.html
  muster-bench load --depth 128 --connections 50 --per-record 16
  muster-bench load --find-p99 10ms
  muster-bench load --file workload.yaml --key @project.key --product Scanner --module QR \
    --admin http://license.example:48080 --token-file admin.token`,
	}
	f := cmd.Flags()
	l.flags(f)
	s.flags(f)
	o.flags(f)
	cmd.PreRunE = func(*cobra.Command, []string) error { return l.plan(f) }
	cmd.RunE = p.does(func(ctx context.Context, _ []string) error {
		if l.run.Key == "" {
			remove, err := s.prepare()
			if err != nil {
				return err
			}
			defer remove()
		}
		s.Pin = !l.unpinned
		l.run.Site, l.run.Command = s.Site, "load"
		l.run.Out, l.run.Live = p.live()
		report, err := l.run.Do(ctx)
		if report == nil {
			return err
		}
		return errors.Join(p.write(report, &o), err)
	})
	return cmd
}

func (l *loadFlags) flags(f *pflag.FlagSet) {
	g := &l.given
	f.StringVar(&l.file, "file", "", "workload file (YAML, see docs/BENCH.md); flags go over it")
	f.IntVar(&g.Devices, "devices", g.Devices, "devices")
	f.IntVar(&g.Conns, "connections", g.Conns, "TCP connections, or UDP sockets, that they share")
	f.BoolVar(&g.UDP, "udp", false, "report by datagram")
	f.IntVar(&g.PerRecord, "per-record", g.PerRecord, "messages in a sealed record, at most")
	f.Float64Var(&g.Mix.Report, "mix-report", g.Mix.Report, "parts of reports")
	f.Float64Var(&g.Mix.CheckIn, "mix-check-in", g.Mix.CheckIn, "parts of check-ins")
	f.Float64Var(&g.Mix.Late, "mix-late", g.Mix.Late, "parts of late batches, after an offline spell")
	f.Float64Var(&g.Mix.Release, "mix-release", g.Mix.Release, "parts of releases")
	f.Float64Var(&g.Mix.New, "mix-new", g.Mix.New, "parts of first contacts of new devices")
	f.IntVar(&g.LateSlots, "late-slots", g.LateSlots, "slots in a late batch")
	f.BoolVar(&g.Random, "random", false, "take devices at random instead of in turn")
	f.IntVar(&g.Depth, "depth", 0, "requests outstanding on each connection, the next when one is answered")
	f.Float64Var(&l.stage.Rate, "rate", 0, "requests a second, on schedule; without it and without --depth every device sends one in a slot")
	f.DurationVar(&l.stage.Ramp, "ramp", 0, "time in which the rate comes up")
	f.DurationVar(&g.Hold, "hold", 30*time.Second, "time of the load, after the ramp; with --find-p99 5s of each rate")
	f.DurationVar(&l.find.P99, "find-p99", 0, "find the highest rate whose p99 stays under this")
	f.Float64Var(&l.find.From, "find-from", 1000, "the first rate tried")
	f.BoolVar(&l.unpinned, "unpinned", false, "leave it to the system which CPUs server and load run on")
	f.StringVar(&l.run.Key, "key", "", "license key of a running server's project, or @FILE; empty: start a server")
	f.StringVar(&l.run.Admin, "admin", "", "with --key: the server's admin API, http://host:port, for the audit")
	f.StringVar(&l.tokens, "token-file", "", "with --admin: file with a token for it")
	f.StringVar(&l.ca, "ca", "", "with --admin: certificate that it is trusted by, PEM; empty: the system's")
	f.StringVar(&l.use.Product, "product", "", "with --key: product that the devices ask for")
	f.Uint32Var(&l.use.Version, "product-version", 1, "with --key: its version")
	f.StringVar(&l.use.Edition, "edition", "", "with --key: its edition")
	f.StringVar(&l.run.Module, "module", "", "with --key: module that reports count")
}

// plan makes the plan of file and flags.
func (l *loadFlags) plan(f *pflag.FlagSet) error {
	plan := l.given
	if l.file != "" {
		var err error
		if plan, err = bench.ReadPlan(l.file); err != nil {
			return err
		}
		l.over(&plan, f)
	}
	switch {
	case f.Changed("find-p99"):
		plan.Find, plan.Stages = &l.find, nil
		if f.Changed("hold") {
			plan.Find.Hold = plan.Hold
		}
	case f.Changed("rate"):
		l.stage.Hold = plan.Hold
		plan.Stages, plan.Find = []bench.Stage{l.stage}, nil
	}
	if err := plan.Check(); err != nil {
		return err
	}
	l.run.Plan, l.run.Use = plan, l.use
	return l.target()
}

// over lays the flags that were given over what a file says.
func (l *loadFlags) over(plan *bench.Plan, f *pflag.FlagSet) {
	to := &loadFlags{given: *plan}
	file := pflag.NewFlagSet("", pflag.ContinueOnError)
	to.flags(file) // each flag's default is what the file says
	f.Visit(func(given *pflag.Flag) {
		if there := file.Lookup(given.Name); there != nil && given.Name != "file" {
			_ = there.Value.Set(given.Value.String()) // it was read from the same text
		}
	})
	*plan = to.given
}

// target reads what belongs to a server that runs already.
func (l *loadFlags) target() error {
	r := &l.run
	if r.Key == "" {
		return nil
	}
	if r.Use.Product == "" || r.Module == "" {
		return errors.New("--key: say with --product and --module what the devices ask for and count")
	}
	if name, ok := strings.CutPrefix(r.Key, "@"); ok {
		text, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("--key: %w", err)
		}
		r.Key = strings.TrimSpace(string(text))
	}
	if r.Admin == "" {
		return nil
	}
	if u, err := url.Parse(r.Admin); err != nil || u.Host == "" {
		return fmt.Errorf("--admin: %q: expected http://host:port", r.Admin)
	}
	if l.tokens == "" {
		return errors.New("--admin: give a token for it with --token-file (muster token create --name bench --scope read)")
	}
	text, err := os.ReadFile(l.tokens)
	r.Token = strings.TrimSpace(string(text))
	if err == nil && l.ca != "" {
		r.CA, err = os.ReadFile(l.ca)
	}
	return err
}

// live shows the course of a load: on a terminal in one line, else in a line
// every ten seconds. What is written to out meanwhile goes over that line.
func (p *program) live() (out io.Writer, live func(bench.Interval)) {
	if f, ok := p.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		over := overLine{p.out}
		return over, func(i bench.Interval) { fmt.Fprint(over, i.Line()) }
	}
	n := 0
	return p.out, func(i bench.Interval) {
		if n++; n%10 == 1 {
			fmt.Fprintln(p.out, i.Line())
		}
	}
}

// overLine writes over the line that a terminal's cursor stands in.
type overLine struct{ io.Writer }

func (w overLine) Write(text []byte) (int, error) {
	_, err := w.Writer.Write(append([]byte("\r\033[K"), text...))
	return len(text), err
}

func (p *program) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use: "diff A.json B.json", Args: cobra.ExactArgs(2),
		Short: "Compare two reports that --json wrote",
		RunE: p.does(func(_ context.Context, args []string) error {
			a, err := bench.ReadReport(args[0])
			if err != nil {
				return err
			}
			b, err := bench.ReadReport(args[1])
			if err != nil {
				return err
			}
			bench.Diff(p.out, a, b)
			return nil
		}),
	}
}
