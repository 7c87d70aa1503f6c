package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"muster/admin"
)

func (a *apiFlags) keyCommand() *cobra.Command {
	return a.command("key PROJECT", "Print a project's license key", cobra.ExactArgs(1), func(s *session, args []string) error {
		var k admin.LicenseKey
		if err := s.call(http.MethodGet, apiPath("projects", args[0], "key"), nil, &k); err != nil {
			return err
		}
		s.notices(k.Warnings)
		return s.show(func(t *table) { t.line("%s", k.LicenseKey) })
	})
}

func (a *apiFlags) statusCommand() *cobra.Command {
	return a.command("status", "Show the server: identity, state, addresses", cobra.NoArgs, func(s *session, _ []string) error {
		var v admin.Server
		if err := s.call(http.MethodGet, apiPath("server"), nil, &v); err != nil {
			return err
		}
		s.notices(v.Addresses.Warnings)
		s.notices(clockWarnings(v.Clock))
		if v.DiskLow {
			s.notices([]string{"the disk is nearly full: devices are not served until there is room again; free space on the disk of the data directory"})
		}
		if v.Moved {
			s.notices([]string{"the server woke on another machine: licenses bound to its old UUID are suspended until the vendor rebinds them"})
		}
		return s.show(func(t *table) { showServer(t, &v) })
	})
}

// clockWarnings say that the machine's clock is not followed.
func clockWarnings(c admin.Clock) []string {
	if c.OffsetSeconds == 0 {
		return nil
	}
	return []string{fmt.Sprintf("the machine's clock jumped to %v and is not followed; set it right, or, if it is right now, run \"muster clock accept\"",
		c.Time.Add(time.Duration(c.OffsetSeconds)*time.Second).Format(time.DateTime))}
}

func (a *apiFlags) clockCommands() *cobra.Command {
	accept := a.command("accept", "Follow the machine's clock again after it jumped by more than an hour", cobra.NoArgs, func(s *session, _ []string) error {
		var c admin.Clock
		if err := s.call(http.MethodPost, apiPath("server", "clock"), nil, &c); err != nil {
			return err
		}
		s.notices(clockWarnings(c))
		return s.show(func(t *table) { t.row("time", c.Time) })
	})
	return group("clock", "The server's time", accept)
}

func showServer(t *table, v *admin.Server) {
	t.row("server UUID", v.UUID)
	t.row("binding", v.Binding)
	t.row("state", v.State)
	t.row("version", v.Version)
	t.row("started", v.Started)
	t.row("time", v.Clock.Time)
	t.row("devices at", v.DeviceAddress)
	t.row("addresses in keys", v.Addresses.Addresses)
	t.row("handshake key", v.HandshakeKey)
	if n := v.Counts; n != nil {
		t.row("license files", n.LicenseFiles)
		t.row("items", n.Items)
		t.row("projects", n.Projects)
		t.row("devices", n.Devices)
		t.row("device streams", n.Streams)
	}
}

func (a *apiFlags) ticketCommands() *cobra.Command {
	var in admin.TicketRotation
	rotate := a.command("rotate", "Make a new key for devices' sessions at once (it is made anew every day by itself)", cobra.NoArgs, func(s *session, _ []string) error {
		var k admin.TicketKey
		if err := s.call(http.MethodPost, apiPath("server", "ticket-keys"), &in, &k); err != nil {
			return err
		}
		return s.show(func(t *table) { t.row("ticket key", k.Epoch) })
	})
	rotate.Flags().BoolVar(&in.EndSessions, "end-sessions", false, "forget the older keys: every device has to make a new handshake")
	return group("ticket", "The keys of devices' sessions", rotate)
}

func (a *apiFlags) addressCommands() *cobra.Command {
	list := a.command("list", "List the addresses that go into license keys", cobra.NoArgs, func(s *session, _ []string) error {
		var v admin.Server
		if err := s.call(http.MethodGet, apiPath("server"), nil, &v); err != nil {
			return err
		}
		return s.showAddresses(&v.Addresses)
	})
	put := func(s *session, addresses []string) error {
		var v admin.Addresses
		if err := s.call(http.MethodPut, apiPath("server", "addresses"), &admin.NewAddresses{Addresses: addresses}, &v); err != nil {
			return err
		}
		return s.showAddresses(&v)
	}
	set := a.command("set tcp://HOST:PORT… udp://HOST:PORT…", "Set the addresses by which devices reach the server", cobra.MinimumNArgs(1), put)
	back := a.command("clear", "Go back to the default address", cobra.NoArgs, func(s *session, _ []string) error {
		return put(s, []string{})
	})
	return group("address", "Look at and set the addresses in license keys", list, set, back)
}

func (s *session) showAddresses(v *admin.Addresses) error {
	s.notices(v.Warnings)
	if v.Default {
		fmt.Fprintln(s.notice, "no address is set: this is the one by which the admin API was reached")
	}
	return s.show(func(t *table) {
		for _, address := range v.Addresses {
			t.line("%s", address)
		}
	})
}
