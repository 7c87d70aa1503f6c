package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"muster/bench"
)

// brakeCommand takes most of its time from another process. It is a process of
// its own, for the load has no time to spare.
func (p *program) brakeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "brake PID PARTS", Hidden: true, Args: cobra.ExactArgs(2),
		RunE: p.does(func(ctx context.Context, args []string) error {
			pid, err := strconv.Atoi(args[0])
			if err != nil || pid < 1 {
				return fmt.Errorf("brake: process id %q", args[0])
			}
			parts, err := strconv.Atoi(args[1])
			if err != nil || parts < 2 {
				return fmt.Errorf("brake: %q parts: expected 2 or more", args[1])
			}
			fmt.Fprintln(p.out, "ready brake")
			return bench.Brake(ctx, pid, parts)
		}),
	}
}
