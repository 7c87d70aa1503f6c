// Command muster is the operator's binary: it runs the license server and talks
// to a running one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"muster/internal/build"
)

// Exit codes, documented in docs/OPERATING.md.
const (
	exitOK     = 0
	exitFailed = 1 // the operation failed or was refused
	exitUsage  = 2 // wrong flags or arguments, nothing was done
	exitLocked = 3 // another process serves the data directory
	exitBroken = 4 // the server ended because its disk or state failed
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print version, commit and platform", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), build.Text("muster"))
			return err
		},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "muster:", err)
	return exitCode(err)
}

// codedError is an error that ends the process with a code of its own.
type codedError struct {
	error
	code int
}

func (e codedError) Unwrap() error { return e.error }

func exitCode(err error) int {
	if coded := (codedError{}); errors.As(err, &coded) {
		return coded.code
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "muster",
		Short:         "A self-hosted license server",
		Long:          "muster serves software licenses inside your own network: import a license file,\nhand out license keys, watch usage. Start with \"muster demo\" or \"muster serve\".",
		Version:       build.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return codedError{fmt.Errorf("%w; see --help", err), exitUsage}
	})
	root.SetVersionTemplate(build.Text("muster"))
	root.AddCommand(serveCommand(), demoCommand(), versionCommand(), restoreCommand(), verifyCommand())
	addAPICommands(root)
	return root
}
