package main

import (
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"muster/admin"
	"muster/license"
)

func (a *apiFlags) deviceCommands() *cobra.Command {
	show := a.command("show UUID", "Show a device: its applications and seats", cobra.ExactArgs(1), func(s *session, args []string) error {
		return s.device(http.MethodGet, args[0], "", nil)
	})
	free := a.command("free-seat UUID LICENSE/ITEM", "Free a device's seat by hand, as often as the item allows", cobra.ExactArgs(2), func(s *session, args []string) error {
		return s.device(http.MethodPost, args[0], "free-seat", &admin.SeatToFree{Item: args[1]})
	})
	history := a.command("history UUID", "Show what the latest records say of a device", cobra.ExactArgs(1), func(s *session, args []string) error {
		return s.records(apiPath("devices", args[0], "history"))
	})
	return group("device", "Look at and act on single devices, by client UUID", a.findDevicesCommand(), show, history,
		a.deviceCommand("block", "Refuse a device (error 161), such as a stolen laptop"),
		a.deviceCommand("unblock", "Serve a blocked device again"),
		a.deviceCommand("clear-clone", "Serve a device again that was found to be a clone (error 151)"),
		free)
}

// deviceCommand is a command that needs nothing but the device.
func (a *apiFlags) deviceCommand(name, short string) *cobra.Command {
	return a.command(name+" UUID", short, cobra.ExactArgs(1), func(s *session, args []string) error {
		return s.device(http.MethodPost, args[0], name, nil)
	})
}

// device makes a request of a device, of what is below it if sub is given, and
// prints what the device is after it.
func (s *session) device(method, id, sub string, in any) error {
	uuid, err := license.ParseUUID(strings.TrimSpace(id))
	if err != nil {
		return usageError("client UUID %w", err)
	}
	path := apiPath("devices", uuid.String())
	if sub != "" {
		path = apiPath("devices", uuid.String(), sub)
	}
	var d admin.Device
	if err := s.call(method, path, in, &d); err != nil {
		return err
	}
	return s.show(func(t *table) { showDevice(t, &d) })
}

func showDevice(t *table, d *admin.Device) {
	t.row("device", d.UUID)
	t.row("blocked", d.Blocked)
	t.line("")
	t.row("STREAM", "PROJECT", "FIRST SEEN", "LAST SEEN", "CHANGES", "STATE")
	for _, s := range d.Streams {
		t.row(s.Number, s.Project, s.FirstSeen.UTC().Format(time.DateOnly), s.LastSeen, s.Changes, streamState(&s))
	}
	t.line("")
	t.row("SEAT ON", "STATE", "PROJECT", "ACTIVE UNTIL", "LAST USE")
	for _, s := range d.Seats {
		t.row(s.Item, seatState(&s), s.Project, s.ActiveUntil, s.LastUse)
	}
}

func streamState(s *admin.Stream) []string {
	var state []string
	for _, word := range []struct {
		is   bool
		text string
	}{{s.Clone, "clone"}, {s.Forgiven, "restored once"}, {s.Retired, "retired"}} {
		if word.is {
			state = append(state, word.text)
		}
	}
	return state
}

func seatState(s *admin.Seat) string {
	switch {
	case s.Held:
		return "held"
	case s.Freed:
		return "freed by hand"
	case s.Released:
		return "given back"
	}
	return "ended"
}
