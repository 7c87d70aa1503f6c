// Command muster-bench measures a muster server: without arguments, the
// canonical workload of docs/PERFORMANCE.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"muster/bench"
	"muster/bench/attack"
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
		return echo(args[1], args[2], "127.0.0.1")
	case len(args) == 4 && args[0] == "echo":
		return echo(args[1], args[2], args[3])
	case len(args) == 2 && args[0] == "udp-echo":
		return udpEcho(args[1])
	case len(args) == 2 && args[0] == "attacker":
		return attack.Attack(args[1], os.Stdin, os.Stdout)
	case len(args) > 0 && args[0] == "attack":
		return attacks(ctx, args[1:])
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := bench.Canonical{Self: self, Out: os.Stdout}
	f := newFlags("muster-bench", self, &c.Muster, &c.Dir, &c.Only, &c.Rounds, &c.Time)
	f.IntVar(&c.Devices, "devices", 10_000, "devices of a fleet")
	f.StringVar(&c.Profile, "profile", "", "directory for profiles of the server; empty: none")
	remove, err := f.parse(args)
	if err != nil {
		return err
	}
	defer remove()
	return c.Run(ctx)
}

// flags are those of every measurement.
type flags struct {
	*flag.FlagSet
	dir    *string
	rounds *int
	time   *time.Duration
}

func newFlags(name, self string, muster, dir, only *string, rounds *int, length *time.Duration) *flags {
	f := &flags{flag.NewFlagSet(name, flag.ContinueOnError), dir, rounds, length}
	f.StringVar(muster, "muster", filepath.Join(filepath.Dir(self), "muster"), "the muster program to measure")
	f.StringVar(dir, "dir", "", "directory for the server's data, on the disk to measure; empty: a temporary one")
	f.IntVar(rounds, "rounds", 5, "rounds; medians are printed")
	f.StringVar(only, "only", "", "measure only those whose name has this in it")
	f.DurationVar(length, "time", 5*time.Second, "time of one measurement")
	return f
}

// parse reads and checks the flags. remove takes a temporary directory away.
func (f *flags) parse(args []string) (remove func(), err error) {
	if err := f.Parse(args); err != nil {
		os.Exit(2)
	}
	if *f.rounds < 1 || *f.time <= 0 {
		return nil, errors.New("--rounds and --time must be above 0")
	}
	if *f.dir != "" {
		return func() {}, nil
	}
	*f.dir, err = os.MkdirTemp("", "muster-bench-")
	return func() { os.RemoveAll(*f.dir) }, err
}

// attacks measures what honest devices notice of hostile traffic. It runs itself
// again inside the network that it makes, with the names of its namespaces.
func attacks(ctx context.Context, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r := attack.Run{Self: self, Out: os.Stdout}
	f := newFlags("muster-bench attack", self, &r.Muster, &r.Dir, &r.Only, &r.Rounds, &r.Time)
	remove, err := f.parse(args)
	if err != nil {
		return err
	}
	defer remove()
	if f.NArg() == 2 {
		return r.In(ctx, f.Arg(0), f.Arg(1))
	}
	return attack.Prepare(ctx, self, append([]string{"attack"}, args...))
}

// echo runs the bare echo as a process of its own.
func echo(request, reply, host string) error {
	in, err := recordSize(request)
	if err != nil {
		return err
	}
	out, err := recordSize(reply)
	if err != nil {
		return err
	}
	return (&peer.Echo{Request: in, Reply: out, Host: host, Up: os.Stdout}).Run()
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
