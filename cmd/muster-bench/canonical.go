package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"muster/bench"
)

func (p *program) canonicalCommand() *cobra.Command {
	var l lab
	cmd := &cobra.Command{
		Use: "muster-bench", Args: cobra.NoArgs,
		Short: "Measure a muster server",
		Long: `Measures what a request costs a muster server: a server of its own on one CPU,
durable, on the real disk; the load on another; beside bare echoes of the same
record sizes, in turn. docs/PERFORMANCE.md shows what comes out.`,
		PreRunE: func(*cobra.Command, []string) error { return l.check() },
		RunE:    p.inLab(&l, (*bench.Lab).Canonical),
	}
	l.flags(cmd.Flags(), 10_000)
	cmd.Flags().StringVar(&l.profile, "profile", "", "directory for profiles of the server; empty: none")
	return cmd
}

// labCommands are other measurements in a lab.
func (p *program) labCommands() (list []*cobra.Command) {
	for _, c := range []struct {
		use, short string
		devices    int
		measure    func(*bench.Lab, context.Context) (*bench.Report, error)
	}{
		{"peers", "Measure a server beside bare echoes and beside Redis with a script that does the same", 10_000, (*bench.Lab).Peers},
		{"growth", "Measure what many devices cost, and a checkpoint under way", 10_000_000, (*bench.Lab).Growth},
		{"admin", "Measure what it costs devices that a server is looked at", 10_000, (*bench.Lab).Admin},
		{"overload", "Measure what is left when a server is asked for more than it can do", 200_000, (*bench.Lab).Overload},
		{"loops", "Measure what a second event loop costs", 10_000, (*bench.Lab).Loops},
	} {
		l := &lab{}
		cmd := &cobra.Command{
			Use: c.use, Short: c.short, Args: cobra.NoArgs,
			PreRunE: func(*cobra.Command, []string) error { return l.check() },
			RunE:    p.inLab(l, c.measure),
		}
		l.flags(cmd.Flags(), c.devices)
		list = append(list, cmd)
	}
	return list
}

// lab are the flags of everything that is measured in a lab.
type lab struct {
	site
	rounds
	output
	devices int
	profile string
}

func (l *lab) flags(f *pflag.FlagSet, devices int) {
	l.site.flags(f)
	l.rounds.flags(f)
	l.output.flags(f)
	f.IntVar(&l.devices, "devices", devices, "devices of a fleet")
}

// inLab makes a command's work of a measurement.
func (p *program) inLab(l *lab, measure func(*bench.Lab, context.Context) (*bench.Report, error)) func(*cobra.Command, []string) error {
	return p.does(func(ctx context.Context, _ []string) error {
		remove, err := l.prepare()
		if err != nil {
			return err
		}
		defer remove()
		l.Pin = true
		report, err := measure(&bench.Lab{
			Site: l.Site, Self: l.self, Devices: l.devices, Rounds: l.rounds.rounds, Time: l.time, Only: l.only, Profile: l.profile, Out: p.out,
		}, ctx)
		if err != nil {
			return err
		}
		if len(report.Measures) == 0 {
			return fmt.Errorf("nothing that is measured here has %q in its name: without --only you see all names", l.only)
		}
		return p.write(report, &l.output)
	})
}
