package main

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"muster/admin"
)

// queryOf are the flags that were given, as parameters of the same names.
func queryOf(cmd *cobra.Command, names ...string) string {
	q := url.Values{}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		for _, name := range names {
			if f.Name == name {
				q.Set(name, f.Value.String())
			}
		}
	})
	return "?" + q.Encode()
}

// statisticsCommand prints a measure over time [STAT-1], as CSV if wanted [STAT-2].
func (a *apiFlags) statisticsCommand() *cobra.Command {
	names := []string{"measure", "grain", "project", "item", "days", "from", "to", "accumulated", "format"}
	cmd := a.command("statistics", "Show what was used, over time", cobra.NoArgs, func(s *session, _ []string) error {
		path := apiPath("statistics") + queryOf(s.cmd, names...)
		if format, _ := s.cmd.Flags().GetString("format"); format == "csv" {
			return s.printed(path)
		}
		var v admin.Statistics
		if err := s.call(http.MethodGet, path, nil, &v); err != nil {
			return err
		}
		return s.show(func(t *table) { showStatistics(t, &v) })
	})
	f := cmd.Flags()
	f.String("measure", "uses", "uses (scans or pages), devices, new-devices, concurrency, authorizations or denials")
	f.String("grain", "day", "day, hour or slot (three minutes)")
	f.String("project", "", "of this project alone, by its id")
	f.String("item", "", "of this item alone, LicenseId/ItemId")
	f.String("days", "", "so many days up to today, or all (default 30)")
	f.String("from", "", "first day, such as 2026-11-01")
	f.String("to", "", "last day")
	f.Bool("accumulated", false, "add up from the first day on")
	f.String("format", "", "csv for a spreadsheet")
	return cmd
}

func showStatistics(t *table, v *admin.Statistics) {
	head := []any{"TIME"}
	total := []any{"total"}
	for _, line := range v.Series {
		head, total = append(head, line.Name), append(total, line.Total)
	}
	t.row(head...)
	for i, at := range v.Times {
		moment := time.Unix(at, 0).UTC()
		cells := []any{any(moment)}
		if v.Grain == "day" {
			cells[0] = moment.Format(time.DateOnly)
		}
		for _, line := range v.Series {
			cells = append(cells, line.Values[i])
		}
		t.row(cells...)
	}
	t.row(total...)
}

// printed prints an answer as it comes.
func (s *session) printed(path string) error {
	if err := s.call(http.MethodGet, path, nil, nil); err != nil {
		return err
	}
	_, err := s.out.Write(s.raw)
	return err
}

// recordsCommand prints the latest reports, authorizations or denials [STAT-4].
func (a *apiFlags) recordsCommand() *cobra.Command {
	cmd := a.command("records PROJECT reports|authorizations|denials", "Show the latest reports, authorizations or denials of a day", cobra.ExactArgs(2), func(s *session, args []string) error {
		path := apiPath("projects", args[0], "records", args[1]) + queryOf(s.cmd, "day", "item", "limit", "format")
		if format, _ := s.cmd.Flags().GetString("format"); format == "csv" {
			return s.printed(path)
		}
		return s.records(path)
	})
	f := cmd.Flags()
	f.String("day", "", "such as 2026-11-24 (default: today, UTC)")
	f.String("item", "", "of this item alone, LicenseId/ItemId")
	f.Uint64("limit", 100, "how many at most; about 1,000 of a day are kept")
	f.String("format", "", "csv for a spreadsheet")
	return cmd
}

func (s *session) records(path string) error {
	var list admin.RecordList
	if err := s.call(http.MethodGet, path, nil, &list); err != nil {
		return err
	}
	return s.show(func(t *table) {
		t.row("TIME", "WHAT", "PROJECT", "DEVICE", "ITEM", "COUNT", "MODULE", "CODE")
		for _, r := range list.Records {
			code := ""
			if r.Code != 0 {
				code = strconv.Itoa(r.Code) + " " + r.Text
			}
			t.row(r.Time, r.Kind, r.Project, r.Device, r.Item, r.Count, r.Module, code)
		}
	})
}

// findDevicesCommand finds devices by what is known of them [OPS-1].
func (a *apiFlags) findDevicesCommand() *cobra.Command {
	cmd := a.command("find", "Find devices", cobra.NoArgs, func(s *session, _ []string) error {
		var page admin.DevicePage
		if err := s.call(http.MethodGet, apiPath("devices")+queryOf(s.cmd, "search", "project", "item", "state", "after", "limit"), nil, &page); err != nil {
			return err
		}
		return s.show(func(t *table) {
			t.row("DEVICE", "BLOCKED", "APPLICATIONS", "SEATS ON")
			for _, d := range page.Devices {
				var held []string
				for _, seat := range d.Seats {
					if seat.Held {
						held = append(held, seat.Item)
					}
				}
				t.row(d.UUID, d.Blocked, len(d.Streams), held)
			}
			if page.Next > 0 {
				t.line("more: --after %d", page.Next)
			}
		})
	})
	cmd.Aliases = []string{"list"}
	f := cmd.Flags()
	f.String("search", "", "how the client UUID begins")
	f.String("project", "", "that came through this project")
	f.String("item", "", "that have or had a seat on this item, LicenseId/ItemId")
	f.String("state", "", "held (a seat, now), blocked or clone")
	f.Uint32("after", 0, "where the list before ended")
	f.Uint64("limit", 50, "how many at most")
	return cmd
}
