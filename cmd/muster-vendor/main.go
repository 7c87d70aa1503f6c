// Command muster-vendor is the vendor's tool: it makes signing keys, and drafts, activates, revises, inspects and verifies
// license files [FILE-4]. It needs no network and is meant for a machine that has none.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the operation failed
	exitUsage  = 2 // the command line is wrong
)

func main() {
	os.Exit(Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Run is the whole program: it returns the exit code. License texts without -o go to stdout, and then all that is said to
// the person goes to stderr.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr}
	root := p.command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteC()
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "muster-vendor: %v\n", err)
	if usage := (usageError{}); p.started && !errors.As(err, &usage) {
		return exitFailed
	}
	fmt.Fprintf(stderr, "Run %q for how it is used.\n", command.CommandPath()+" --help")
	return exitUsage
}

// program is one run of the tool.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	started        bool // the command line was right so far, and an operation began
}

// usageError is a mistake in the command line that is found after an operation began.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "muster-vendor",
		Short: "Issue license files for muster servers",
		Long: `muster-vendor makes signing keys and issues license files for muster servers.

From nothing to a license that a customer can import:

  muster-vendor keygen --vendor "Acme Inc" --out acme.key
  muster-vendor draft --key acme.key --organization 100200300 --product barcode-reader \
      --charge-way device-monthly --quota 50 --expiry 2027-12-31 -o draft.lic
  muster-vendor activate --key acme.key --uuid SERVER-UUID draft.lic -o license.lic`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(*cobra.Command, []string) error { return errors.New("say what to do") },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(p.keygen(), p.draft(), p.activate(), p.revise(), p.trial(), p.inspect(), p.verify())
	return root
}

// operation marks where the command line ends and the work begins.
func (p *program) operation(work func(args []string) error) func(*cobra.Command, []string) error {
	return func(_ *cobra.Command, args []string) error {
		p.started = true
		return work(args)
	}
}

// clock is the moment to write into files: what --at says, or else now.
func clock(at string) (int64, error) {
	if at == "" {
		return time.Now().Unix(), nil
	}
	return timeFlag("at", at, false)
}
