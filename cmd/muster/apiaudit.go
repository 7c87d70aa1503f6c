package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"muster/admin"
)

// auditMax bounds an exported audit that is read for verification, bytes.
const auditMax = 1 << 30

func (a *apiFlags) auditCommands() *cobra.Command {
	list := a.command("list", "Show who changed what, newest first", cobra.NoArgs, func(s *session, _ []string) error {
		var page admin.AuditPage
		if err := s.call(http.MethodGet, apiPath("audit")+queryOf(s.cmd, "before", "limit"), nil, &page); err != nil {
			return err
		}
		return s.show(func(t *table) {
			t.row("NUMBER", "TIME", "WHO", "WHAT", "TARGET", "CHANGE")
			for _, e := range page.Entries {
				t.row(e.Number, e.Time, e.Who, e.What, e.Target, auditChange(&e))
			}
			if page.Next > 0 {
				t.line("older ones: --before %d", page.Next)
			}
		})
	})
	list.Flags().Uint64("before", 0, "only entries below this number")
	list.Flags().Uint64("limit", 100, "how many at most")
	export := a.command("export", "Print the whole audit, oldest first, one entry a line", cobra.NoArgs, func(s *session, _ []string) error {
		return s.printed(apiPath("audit", "export"))
	})
	return group("audit", "Look at, export and verify who changed what", list, export, auditVerifyCommand())
}

func auditChange(e *admin.AuditEntry) string {
	return fmt.Sprintf("%s -> %s", orNothing(e.Before), orNothing(e.After))
}

func orNothing(data []byte) string {
	if len(data) == 0 {
		return "nothing"
	}
	var out bytes.Buffer
	if json.Compact(&out, data) != nil {
		return string(data)
	}
	return out.String()
}

// auditVerifyCommand checks an export; it needs no server.
func auditVerifyCommand() *cobra.Command {
	var head string
	cmd := &cobra.Command{
		Use: "verify FILE|-", Short: "Check that an exported audit is whole and unaltered", Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s := &session{in: cmd.InOrStdin()}
			data, err := s.readInput(args[0], auditMax)
			if err != nil {
				return err
			}
			v, err := admin.VerifyAudit(data)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if head != "" && head != v.Head {
				return fmt.Errorf("%s: its last entry has the hash %s, not %s: entries are missing at its end, or the last one was altered", args[0], v.Head, head)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d entries, %d to %d, are whole and in order; the last one has the hash %s\n", v.Entries, v.First, v.Last, v.Head)
			return nil
		},
	}
	cmd.Flags().StringVar(&head, "head", "", "hash that the last entry must have, as it was written down elsewhere")
	return cmd
}
