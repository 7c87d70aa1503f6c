package client_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

// clientFor makes a client whose license key holds other addresses than that of s.
func clientFor(t *testing.T, s *testServer, addresses ...license.Address) *client.Client {
	t.Helper()
	return clientWith(t, s, client.Options{}, addresses...)
}

func clientWith(t *testing.T, s *testServer, o client.Options, addresses ...license.Address) *client.Client {
	t.Helper()
	key := s.key
	key.Addresses = addresses
	o.LicenseKey, o.Vendor = key.String(), s.Ring
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func standby(a license.Address) license.Address {
	a.Standby = true
	return a
}

// neverWaits fails the test when the client waits before the next round.
func neverWaits(t *testing.T, c *client.Client) {
	c.SetSleep(func(context.Context, time.Duration) error {
		t.Error("it waited")
		return errors.New("no wait")
	})
}

// mustWork checks in and reports once.
func mustWork(t *testing.T, c *client.Client) {
	t.Helper()
	if _, err := c.CheckIn(context.Background(), scan); err != nil {
		t.Fatal(err)
	}
	mustReport(t, c)
}

func mustReport(t *testing.T, c *client.Client) {
	t.Helper()
	if err := c.Report(context.Background(), client.Count{Count: 1}); err != nil {
		t.Fatal(err)
	}
}

// TestStandbyServes: whatever is wrong with the main, the same call is served by
// the standby. [CLI-7]
func TestStandbyServes(t *testing.T) {
	s := startServer()
	defer s.Close()
	otherKey := s.Address(s.Main)
	otherKey.HandshakeKey = stubKey.Public()
	rows := []struct {
		name string
		main license.Address
	}{
		{"refuses connections", closedPort(t)},
		{"closes", stubPort(t, func(n net.Conn) { _, _ = record(n) })},
		{"answers nothing", silentPort(t)},
		{"rejects as busy", stubPort(t, rejecting(protocol.RejectBusy))},
		{"has another handshake key", otherKey},
		{"is another program", stubPort(t, func(n net.Conn) { _, _ = n.Write([]byte("SSH-2.0-OpenSSH_9.9\r\n")) })},
		{"is starting", s.Address(s.front())},
	}
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			second := s.Address(s.Main)
			c := clientWith(t, s, client.Options{Timeout: 3 * time.Second}, standby(second), row.main)
			neverWaits(t, c)
			mustWork(t, c)
			if c.Address() != second.HostPort {
				t.Errorf("connected to %q, want the standby %s", c.Address(), second.HostPort)
			}
			if s.uses(2) != uint64(i+1) {
				t.Errorf("%d scans counted, want %d", s.uses(2), i+1)
			}
		})
	}
}

// TestMainComesFirst: the order in the license key does not matter. [CLI-7]
func TestMainComesFirst(t *testing.T) {
	s := startServer()
	defer s.Close()
	second := s.front()
	s.Serve(second)
	c := clientFor(t, s, standby(s.Address(second)), s.Address(s.Main))
	mustWork(t, c)
	if c.Address() != s.Main.Addr().String() {
		t.Errorf("connected to %q, want the main", c.Address())
	}
}

// TestOpenConnectionFailsOver: the main goes away under an open connection, by
// answering 100 or by closing. The standby does not know the main's ticket, so a
// handshake is made there; the report counts once. [CLI-7] [CLI-3]
func TestOpenConnectionFailsOver(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(*testServer)
	}{
		{"it answers 100", func(s *testServer) { s.Main.Quiesce() }},
		{"it closes", func(s *testServer) { check(s.StopFront(s.Main)) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := startServer()
			defer s.Close()
			second := s.front()
			s.Serve(second)
			c := clientFor(t, s, s.Address(s.Main), standby(s.Address(second)))
			neverWaits(t, c)
			mustWork(t, c)
			row.end(s)
			mustReport(t, c)
			if c.Address() != second.Addr().String() || s.uses(2) != 2 {
				t.Errorf("connected to %q, %d scans counted; want the standby and 2", c.Address(), s.uses(2))
			}
			if second.Stats.UnknownTickets.Load() != 1 || second.Stats.Handshakes.Load() != 1 {
				t.Error("the standby was to refuse the main's ticket and to give its own")
			}
		})
	}
}

// TestReturnsToMain: after some time on the standby's connection, and whenever a
// connection is needed. [CLI-7]
func TestReturnsToMain(t *testing.T) {
	s := startServer()
	defer s.Close()
	first := s.front() // is starting
	c := clientFor(t, s, s.Address(first), standby(s.Address(s.Main)))
	now := time.Now()
	c.SetClock(func() time.Time { return now })
	mustWork(t, c)

	s.Serve(first)
	now = now.Add(client.MainRetry - 1)
	mustReport(t, c)
	if c.Address() != s.Main.Addr().String() {
		t.Errorf("connected to %q before the time, want the standby", c.Address())
	}
	now = now.Add(1)
	mustReport(t, c)
	if c.Address() != first.Addr().String() {
		t.Errorf("connected to %q, want the main", c.Address())
	}

	first.Quiesce()
	mustReport(t, c)
	s.Serve(first)
	check(c.Close())
	mustReport(t, c)
	if c.Address() != first.Addr().String() || s.uses(2) != 5 {
		t.Errorf("connected to %q, %d scans; want the main and 5", c.Address(), s.uses(2))
	}
}

// TestMainStillAway: the main is asked again once in the interval, and the
// standby's connection goes on. [CLI-7]
func TestMainStillAway(t *testing.T) {
	s := startServer()
	defer s.Close()
	var asked atomic.Int32
	away := stubPort(t, counted(&asked, rejecting(protocol.RejectBusy)))
	c := clientFor(t, s, away, standby(s.Address(s.Main)))
	neverWaits(t, c)
	now := time.Now()
	c.SetClock(func() time.Time { return now })
	mustWork(t, c)
	for i := range int32(3) {
		now = now.Add(client.MainRetry)
		mustReport(t, c)
		mustReport(t, c)
		if asked.Load() != i+2 {
			t.Errorf("the main was asked %d times, want %d", asked.Load(), i+2)
		}
	}
	if n := s.Main.Stats.Accepted.Load(); n != 1 {
		t.Errorf("%d connections to the standby, want 1", n)
	}
}

// TestAllAway: the error tells of every address, the report is kept, and counts
// once when a server is back. [CLI-7] [CLI-3]
func TestAllAway(t *testing.T) {
	s := startServer()
	defer s.Close()
	closed := closedPort(t)
	c := clientFor(t, s, closed, standby(s.Address(s.Main)))
	mustWork(t, c)
	s.Main.Quiesce()
	c.SetSleep(func(context.Context, time.Duration) error { return context.Canceled })
	err := c.Report(context.Background(), client.Count{Count: 1})
	if err == nil {
		t.Fatal("a report was acknowledged by nobody")
	}
	for _, part := range []string{closed.HostPort + ": dial", "connection refused", s.Main.Addr().String() + ": ", "not serving"} {
		if strings.Count(err.Error(), part) != 1 {
			t.Errorf("%q, want %q once", err, part)
		}
	}
	if client.CodeOf(err) != protocol.NotServing {
		t.Errorf("code %v, want 100", client.CodeOf(err))
	}
	if n := len(c.State().Queue); n != 1 {
		t.Errorf("%d reports kept, want 1", n)
	}
	c.SetSleep(func(context.Context, time.Duration) error { // while it waits, the server comes back
		s.Main.Resume()
		return nil
	})
	s.Main.Quiesce()
	mustReport(t, c)
	if s.uses(2) != 3 {
		t.Errorf("%d scans, want 3", s.uses(2))
	}
}

// TestRefusalIsFinal: a decision is not asked for again elsewhere. [CLI-7]
func TestRefusalIsFinal(t *testing.T) {
	s := startServer()
	defer s.Close()
	var asked atomic.Int32
	other := stubPort(t, counted(&asked, rejecting(protocol.RejectBusy)))
	s.key.Password = "not this one"
	c := clientFor(t, s, s.Address(s.Main), standby(other))
	neverWaits(t, c)
	if _, err := c.CheckIn(context.Background(), scan); client.CodeOf(err) != protocol.WrongPassword {
		t.Errorf("error %v, want 102", err)
	}
	if asked.Load() != 0 {
		t.Error("the standby was asked too")
	}
}

// TestDialFailsOver: connections that an application handles by itself. [CLI-7]
func TestDialFailsOver(t *testing.T) {
	s := startServer()
	defer s.Close()
	key := s.key
	key.Addresses = []license.Address{standby(s.Address(s.Main)), closedPort(t)}
	conn, err := client.Dial(context.Background(), key, protocol.UUID{}, client.Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	check(conn.Close())
	key.Addresses = key.Addresses[1:]
	if _, err := client.Dial(context.Background(), key, protocol.UUID{}, client.Ticket{}); err == nil || !strings.Contains(err.Error(), key.Addresses[0].HostPort) {
		t.Errorf("error %v, want one that names the address", err)
	}
	key.Addresses[0].Transport = "https"
	if _, err := client.New(client.Options{LicenseKey: key.String(), Vendor: s.Ring}); err == nil || !strings.Contains(err.Error(), "no TCP address") {
		t.Errorf("error %v for a license key without a TCP address", err)
	}
}
