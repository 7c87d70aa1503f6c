package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"muster/bench/attack"
)

// attackCommand measures what honest devices notice of hostile traffic. It runs
// itself again inside the network that it makes, with the names of its namespaces.
func (p *program) attackCommand() *cobra.Command {
	var s site
	var r rounds
	cmd := &cobra.Command{
		Use: "attack", Args: cobra.MaximumNArgs(2), // the second time
		Short:   "Measure what honest devices notice of hostile traffic; Linux, as root",
		PreRunE: func(*cobra.Command, []string) error { return r.check() },
		RunE: p.does(func(ctx context.Context, namespaces []string) error {
			if len(namespaces) < 2 {
				return attack.Prepare(ctx, s.self, os.Args[1:])
			}
			remove, err := s.prepare()
			if err != nil {
				return err
			}
			defer remove()
			a := attack.Run{Muster: s.Muster, Self: s.self, Dir: s.Dir, Rounds: r.rounds, Time: r.time, Only: r.only, Out: p.out}
			return a.In(ctx, namespaces[0], namespaces[1])
		}),
	}
	s.flags(cmd.Flags())
	r.flags(cmd.Flags())
	return cmd
}

// attackerCommand is the hostile side, a process of its own.
func (p *program) attackerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "attacker NAME", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: p.does(func(_ context.Context, args []string) error { return attack.Attack(args[0], os.Stdin, os.Stdout) }),
	}
}
