package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"muster/engine"
	"muster/storage"
)

// offline are the flags of commands that work on a data directory without a server.
type offline struct{ serveConfig }

func (o *offline) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&o.VendorKeys, "vendor-key", nil, "file with a vendor's public key to trust, as for serve; may be given several times")
}

func (o *offline) options() (storage.Options, error) {
	ring, err := o.keyRing()
	if err != nil {
		return storage.Options{}, codedError{err, exitUsage}
	}
	return storage.Options{Core: engine.Config{Trusted: ring}, Log: slog.New(slog.DiscardHandler)}, nil
}

func verifyCommand() *cobra.Command {
	var o offline
	cmd := &cobra.Command{
		Use: "verify DIR", Short: "Check a data directory without changing it, and say what it adds up to",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			opt, err := o.options()
			if err != nil {
				return err
			}
			return verify(cmd.OutOrStdout(), args[0], opt)
		},
	}
	o.flags(cmd)
	return cmd
}

// verify prints what is found in a data directory; the error says what is damaged.
func verify(w io.Writer, path string, opt storage.Options) error {
	found, err := storage.Verify(path, opt)
	if errors.Is(err, storage.ErrLocked) {
		return codedError{fmt.Errorf("%w; or take a backup of it and verify that", err), exitLocked}
	}
	if errors.Is(err, fs.ErrNotExist) && found.Journal.Segments == 0 && found.Pages == 0 {
		return err
	}
	t := &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	if found.Checkpoint > 0 {
		t.row("checkpoint", fmt.Sprintf("at entry %d: %d pages, %d catalog objects", found.Checkpoint, found.Pages, found.Objects))
	}
	j := found.Journal
	t.row("journal", fmt.Sprintf("%d segments, entries %d to %d", j.Segments, j.FirstIndex, j.LastIndex))
	switch {
	case j.Torn.Bytes > 0:
		t.row("end", fmt.Sprintf("an entry that was never acknowledged, %s at %d, as after a kill: a start drops it", j.Torn.File, j.Torn.Offset))
	case j.Sealed:
		t.row("end", "sealed by a clean stop")
	case err == nil:
		t.row("end", "not sealed: the server did not stop by itself")
	}
	if found.Core != nil {
		addsUp(t, found.Core)
	}
	if flushed := t.w.Flush(); flushed != nil {
		return flushed
	}
	if err != nil {
		return fmt.Errorf("damaged: %w", err)
	}
	fmt.Fprintln(w, "all of it is intact")
	return nil
}

func addsUp(t *table, core *engine.Core) {
	t.row("device streams", core.Devices())
	t.line("")
	t.row("ITEM", "HELD", "USES", "AUTHORIZATIONS", "REPORTS")
	for _, item := range core.Catalog().Items {
		if item != nil {
			u := item.Usage
			t.row(item.Name(), u.Held.Load(), u.Uses.Load(), u.Authorizations.Load(), u.Reports.Load())
		}
	}
	t.line("")
}

func restoreCommand() *cobra.Command {
	var o offline
	var data string
	var replace bool
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Make a data directory of a backup, after verifying all of it",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			opt, err := o.options()
			if err != nil {
				return err
			}
			path := data
			if env := os.Getenv("MUSTER_DATA"); !cmd.Flags().Changed("data") {
				path = cmp.Or(env, data)
			}
			return restore(cmd, args[0], path, replace, opt)
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&data, "data", "./muster-data", "directory to make (MUSTER_DATA)")
	cmd.Flags().BoolVar(&replace, "replace", false, "put it in the place of a data directory, which is kept beside it")
	return cmd
}

func restore(cmd *cobra.Command, file, data string, replace bool, opt storage.Options) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	out := cmd.OutOrStdout()
	before, err := storage.Restore(f, data, replace, opt, func(unpacked string) error { return verify(out, unpacked, opt) })
	if errors.Is(err, storage.ErrLocked) {
		return codedError{err, exitLocked}
	}
	if err != nil {
		return fmt.Errorf("nothing was restored: %s: %w", file, err)
	}
	if before != "" {
		fmt.Fprintf(out, "what was in %s is in %s now\n", data, before)
	}
	fmt.Fprintf(out, "%s is restored in %s; start it with \"muster serve --data %s\"\n", file, data, data)
	return nil
}
