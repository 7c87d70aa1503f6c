package client_test

import (
	"context"
	"testing"
	"time"

	"muster/client"
	"muster/engine/server"
	"muster/protocol"
)

// agedClient is one whose clock the test sets, after its first handshake and report.
func agedClient(t *testing.T, s *testServer, c *client.Client) *time.Time {
	now := time.Now()
	c.SetClock(func() time.Time { return now })
	neverWaits(t, c)
	mustWork(t, c)
	mustShake(t, s, 1)
	return &now
}

func mustShake(t *testing.T, s *testServer, want uint64) {
	t.Helper()
	if n := s.Main.Stats.Handshakes.Load(); n != want {
		t.Fatalf("%d handshakes, want %d", n, want)
	}
}

// TestTicketIsReplacedInTime: not before the moment that was drawn, once, and
// before it expires (docs/PROTOCOL.md section 4).
func TestTicketIsReplacedInTime(t *testing.T) {
	s := startServer()
	defer s.Close()
	c := newClient(t, s, client.State{})
	now := agedClient(t, s, c)
	due := c.TicketRenewal()
	if life := due.Sub(*now); life < server.TicketLife*7/8-time.Minute || life > server.TicketLife-client.TicketMargin {
		t.Fatalf("the ticket is to be replaced %v after it came", life)
	}
	*now = due.Add(-time.Second)
	mustReport(t, c)
	mustShake(t, s, 1)
	*now = due
	mustReport(t, c)
	mustReport(t, c)
	mustShake(t, s, 2)
	if n := s.Main.Stats.Accepted.Load(); n != 2 {
		t.Errorf("%d connections were made, want 2", n)
	}
	if s.uses(2) != 4 {
		t.Errorf("%d scans counted, want 4", s.uses(2))
	}
}

// TestTicketIsReplacedUnderDatagrams: the handshake goes by TCP, and what comes
// after it by datagram again, under the new ticket.
func TestTicketIsReplacedUnderDatagrams(t *testing.T) {
	s := startServer()
	defer s.Close()
	main := s.Address(s.Main)
	c := clientFor(t, s, main, byUDP(main, main.HostPort))
	now := agedClient(t, s, c)
	*now = c.TicketRenewal()
	mustReport(t, c)
	mustShake(t, s, 2)
	if c.Transport() != "udp" || s.uses(2) != 2 {
		t.Errorf("the last answer came by %s, %d scans; want udp and 2", c.Transport(), s.uses(2))
	}
}

// TestOldTicketServesWhileItMay: the handshake is refused, and what is reported
// goes out under the old ticket; the next try comes after a while. [CLI-3]
func TestOldTicketServesWhileItMay(t *testing.T) {
	s := startServer()
	defer s.Close()
	c := newClient(t, s, client.State{})
	now := agedClient(t, s, c)
	s.rotate("another")
	*now = c.TicketRenewal()
	for range 3 {
		mustReport(t, c)
	}
	if n := s.Main.Stats.Accepted.Load(); n != 2 || s.uses(2) != 4 {
		t.Errorf("%d connections, %d scans; want 2 and 4", n, s.uses(2))
	}
	*now = now.Add(2 * client.TicketRetry)
	s.rotate("")
	mustReport(t, c)
	mustShake(t, s, 2)
}

// TestTicketIsSpent: after the last record that may be sealed under a ticket a new
// handshake is made, over TCP and under datagrams (docs/PROTOCOL.md section 5).
func TestTicketIsSpent(t *testing.T) {
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			s := startServer()
			defer s.Close()
			main := s.Address(s.Main)
			addr := byUDP(main, main.HostPort)
			addr.Transport = transport
			c := clientFor(t, s, main, addr)
			agedClient(t, s, c)
			c.SpendTicket(protocol.MaxTicketRecords - 3) // two are sent
			mustReport(t, c)                             // the last one
			mustShake(t, s, 1)
			mustReport(t, c)
			mustReport(t, c)
			mustShake(t, s, 2)
			if c.Transport() != transport || s.uses(2) != 4 {
				t.Errorf("the last answer came by %s, %d scans; want %s and 4", c.Transport(), s.uses(2), transport)
			}
		})
	}
}

// TestSpentTicketSealsNothing: on a connection that an application handles by itself.
func TestSpentTicketSealsNothing(t *testing.T) {
	s := startServer()
	defer s.Close()
	conn := must(client.Dial(context.Background(), s.key, protocol.UUID{}, client.Ticket{}))
	defer conn.Close()
	for range 2 {
		conn.Spend(protocol.MaxTicketRecords / 2)
	}
	if err := conn.Write(&protocol.Request{Kind: protocol.KindPing}); err == nil {
		t.Error("a record too many was sealed")
	}
	if conn.Ticket().Valid(time.Now()) {
		t.Error("a spent ticket resumes a session")
	}
}

// TestTicketRenewalIsSpread over the last eighth of its life, less a margin.
func TestTicketRenewalIsSpread(t *testing.T) {
	got := time.Unix(1_700_000_000, 0)
	for _, life := range []time.Duration{0, 1, time.Second, time.Minute, time.Hour, server.TicketLife} {
		expires := got.Add(life)
		first, last := expires, got
		for range 500 {
			at := client.TicketRenewal(got, expires)
			if at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
		}
		earliest, latest := expires.Add(-life/8), expires.Add(-min(client.TicketMargin, life/16))
		if first.Before(earliest) || last.After(latest) {
			t.Errorf("a ticket of %v: from %v to %v before its end", life, expires.Sub(first), expires.Sub(last))
		}
		if spread := latest.Sub(earliest); last.Sub(first) < spread*3/4 {
			t.Errorf("a ticket of %v: spread over %v, want nearly %v", life, last.Sub(first), spread)
		}
	}
	if at := client.TicketRenewal(got, got.Add(-time.Hour)); at.After(got) {
		t.Errorf("one that has expired is to be replaced at %v", at)
	}
}
