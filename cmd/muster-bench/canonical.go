package main

import (
	"context"

	"github.com/spf13/cobra"

	"muster/bench"
)

func (p *program) canonicalCommand() *cobra.Command {
	c := bench.Canonical{Out: p.out}
	var s site
	var r rounds
	var o output
	cmd := &cobra.Command{
		Use: "muster-bench", Args: cobra.NoArgs,
		Short: "Measure a muster server",
		Long: `Measures what a request costs a muster server: a server of its own on one CPU,
durable, on the real disk; the load on another; beside bare echoes of the same
record sizes, in turn. docs/PERFORMANCE.md shows what comes out.`,
		PreRunE: func(*cobra.Command, []string) error { return r.check() },
		RunE: p.does(func(ctx context.Context, _ []string) error {
			remove, err := s.prepare()
			if err != nil {
				return err
			}
			defer remove()
			s.Pin = true
			c.Site, c.Self, c.Rounds, c.Time, c.Only = s.Site, s.self, r.rounds, r.time, r.only
			report, err := c.Run(ctx)
			if err != nil {
				return err
			}
			return p.write(report, &o)
		}),
	}
	f := cmd.Flags()
	s.flags(f)
	r.flags(f)
	o.flags(f)
	f.IntVar(&c.Devices, "devices", 10_000, "devices of a fleet")
	f.StringVar(&c.Profile, "profile", "", "directory for profiles of the server; empty: none")
	return cmd
}
