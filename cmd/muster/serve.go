package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"muster/storage"
)

func serveCommand() *cobra.Command {
	var config serveConfig
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the license server",
		Long: "Run the license server. Every flag may also stand in the environment as\n" +
			"MUSTER_NAME (MUSTER_LISTEN, MUSTER_VENDOR_KEY, …) or in a YAML file (--config).",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := config.complete(cmd.LocalNonPersistentFlags()); err != nil {
				return codedError{err, exitUsage}
			}
			return serve(cmd.Context(), config, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	config.flags(cmd.Flags())
	return cmd
}

// usageArgs makes wrong arguments a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return codedError{fmt.Errorf("%w; see \"%s --help\"", err, cmd.CommandPath()), exitUsage}
		}
		return nil
	}
}

// serve runs a server until ctx ends or it fails.
func serve(ctx context.Context, config serveConfig, stdout, stderr io.Writer) error {
	if os.Getenv("GOMAXPROCS") == "" {
		// One more than the loops for the decider, whose sync otherwise holds the
		// only processor, and one for the rest, on one CPU too.
		runtime.GOMAXPROCS(config.Loops + 2)
	}
	if os.Getenv("GOGC") == "" {
		// Requests leave no garbage, and most of the heap is the index of devices,
		// which would otherwise need its size twice.
		debug.SetGCPercent(25)
	}
	endProfile, err := profile(config.Profile)
	if err != nil {
		return err
	}
	p, err := start(config, config.logger(stderr))
	if errors.Is(err, storage.ErrLocked) {
		return codedError{err, exitLocked}
	}
	if err != nil {
		return err
	}
	p.announce(stdout)
	select {
	case <-ctx.Done():
		p.log.Info("stopping: draining, then a last checkpoint")
	case err := <-p.failed:
		p.abandon() // no seal and no checkpoint: the disk or the state can't be relied on
		return codedError{err, exitBroken}
	}
	return errors.Join(endProfile(), p.Close())
}

func (c *serveConfig) logger(w io.Writer) *slog.Logger {
	level, _ := c.level() // checked before
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
