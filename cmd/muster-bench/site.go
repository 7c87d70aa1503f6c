package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"muster/bench"
)

// site are the flags of every command that starts a server of its own.
type site struct {
	bench.Site
	self string // this program
}

func (s *site) flags(f *pflag.FlagSet) {
	s.self, _ = os.Executable() // an error: --muster has to be given
	f.StringVar(&s.Muster, "muster", filepath.Join(filepath.Dir(s.self), "muster"), "the muster program to measure")
	f.StringVar(&s.Dir, "dir", "", "directory for the server's data, on the disk to measure; empty: a temporary one")
	f.StringArrayVar(&s.Args, "serve-flag", nil, "a flag for muster serve, such as --serve-flag=--loops=2; may be repeated")
}

// prepare makes the directory. remove takes a temporary one away.
func (s *site) prepare() (remove func(), err error) {
	if s.Dir != "" {
		return func() {}, os.MkdirAll(s.Dir, 0o700)
	}
	s.Dir, err = os.MkdirTemp("", "muster-bench-")
	return func() { os.RemoveAll(s.Dir) }, err
}

// rounds are the flags of everything that is measured in rounds.
type rounds struct {
	rounds int
	time   time.Duration
	only   string
}

func (r *rounds) flags(f *pflag.FlagSet) {
	f.IntVar(&r.rounds, "rounds", 5, "rounds; medians are printed")
	f.StringVar(&r.only, "only", "", "measure only those whose name has this in it")
	f.DurationVar(&r.time, "time", 5*time.Second, "time of one measurement")
}

func (r *rounds) check() error {
	if r.rounds < 1 || r.time <= 0 {
		return errors.New("--rounds and --time must be above 0")
	}
	return nil
}

// output are the flags for where a report goes.
type output struct{ json, html string }

func (o *output) flags(f *pflag.FlagSet) {
	f.StringVar(&o.json, "json", "", "write the report to this file, for muster-bench diff")
	f.StringVar(&o.html, "html", "", "write the report to this file, as a page with charts")
}

// write prints a report and writes it where it is wanted.
func (p *program) write(r *bench.Report, o *output) error {
	fmt.Fprintln(p.out)
	r.Print(p.out)
	if o.json != "" {
		if err := r.WriteFile(o.json); err != nil {
			return err
		}
	}
	if o.html == "" {
		return nil
	}
	f, err := os.Create(o.html)
	if err != nil {
		return err
	}
	return errors.Join(r.WritePage(f), f.Close())
}
