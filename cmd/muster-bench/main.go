// Command muster-bench measures a muster server: without arguments, the
// canonical workload of docs/PERFORMANCE.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"muster/bench"
	"muster/bench/peer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "muster-bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 3 && args[0] == "echo":
		return echo(args[1], args[2])
	case len(args) == 2 && args[0] == "udp-echo":
		return udpEcho(args[1])
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := bench.Canonical{Self: self, Out: os.Stdout}
	f := flag.NewFlagSet("muster-bench", flag.ContinueOnError)
	f.StringVar(&c.Muster, "muster", filepath.Join(filepath.Dir(self), "muster"), "the muster program to measure")
	f.StringVar(&c.Dir, "dir", "", "directory for the server's data, on the disk to measure; empty: a temporary one")
	f.IntVar(&c.Devices, "devices", 10_000, "devices of a fleet")
	f.IntVar(&c.Rounds, "rounds", 5, "rounds; medians are printed")
	f.StringVar(&c.Profile, "profile", "", "directory for profiles of the server; empty: none")
	f.StringVar(&c.Only, "only", "", "measure only the loads whose name has this in it")
	f.DurationVar(&c.Time, "time", 5*time.Second, "time of one measurement")
	if err := f.Parse(args); err != nil {
		os.Exit(2)
	}
	if c.Rounds < 1 || c.Time <= 0 {
		return fmt.Errorf("--rounds and --time must be above 0")
	}
	if c.Dir == "" {
		if c.Dir, err = os.MkdirTemp("", "muster-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(c.Dir)
	}
	return c.Run(ctx)
}

// echo runs the bare echo as a process of its own.
func echo(request, reply string) error {
	in, err := recordSize(request)
	if err != nil {
		return err
	}
	out, err := recordSize(reply)
	if err != nil {
		return err
	}
	return (&peer.Echo{Request: in, Reply: out, Up: os.Stdout}).Run()
}

func udpEcho(reply string) error {
	out, err := recordSize(reply)
	if err != nil {
		return err
	}
	return (&peer.UDPEcho{Reply: out, Up: os.Stdout}).Run()
}

func recordSize(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("echo: record size %q", text)
	}
	return n, nil
}
