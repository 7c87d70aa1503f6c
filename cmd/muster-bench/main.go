// Command muster-bench measures a muster server: without arguments, by the
// canonical workload of docs/PERFORMANCE.md; see its help for the others.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"muster/internal/build"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the measurement did not come to an end, or the audit failed
	exitUsage  = 2 // the command line is wrong
)

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := &program{out: stdout, err: stderr}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "muster-bench:", err)
	if p.began {
		return exitFailed
	}
	fmt.Fprintf(stderr, "Run %q for how it is used.\n", command.CommandPath()+" --help")
	return exitUsage
}

// program is one run of the tool.
type program struct {
	out, err io.Writer
	began    bool // the command line was right
}

// does makes a command's work of a function: what it returns is no fault of the
// command line.
func (p *program) does(work func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p.began = true
		return work(cmd.Context(), args)
	}
}

func (p *program) root() *cobra.Command {
	root := p.canonicalCommand()
	root.Version = build.Version()
	root.SetVersionTemplate(build.Text("muster-bench"))
	root.SilenceErrors, root.SilenceUsage = true, true
	root.AddCommand(p.loadCommand(), p.diffCommand(), p.attackCommand())
	root.AddCommand(p.labCommands()...)
	root.AddCommand(p.echoCommand(), p.udpEchoCommand(), p.brakeCommand(), p.attackerCommand())
	return root
}
