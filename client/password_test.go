package client_test

import (
	"context"
	"testing"

	"muster/client"
	"muster/engine"
	"muster/protocol"
)

// rotate changes the project's session password; the old one ends at once.
func (s *testServer) rotate(password string) {
	s.do(func(c *engine.Core) error {
		_, err := c.EditProject(s.key.ProjectID, engine.ProjectEdit{Password: &password})
		return err
	})
}

// TestTicketOfAnOldPassword: the license key holds the present password, the
// ticket was given for one before it. One new handshake serves the check-in. [PRJ-3]
func TestTicketOfAnOldPassword(t *testing.T) {
	s := startServer()
	defer s.Close()
	c := newClient(t, s, client.State{})
	mustWork(t, c)
	s.rotate("for a day")
	s.rotate("")
	if _, err := c.CheckIn(context.Background(), scan); err != nil {
		t.Fatal(err)
	}
	mustReport(t, c)
	if n := s.Main.Stats.Handshakes.Load(); n != 2 {
		t.Errorf("%d handshakes, want 2", n)
	}
	if state := c.State(); state.Seq != 4 || len(state.Queue) != 0 { // two reports, two check-ins
		t.Errorf("%d changes taken, %d wait; want 4 and 0", state.Seq, len(state.Queue))
	}
}

// TestPasswordOfAnOldLicenseKey: only the refused handshake is final. The ticket
// stays, so that what is used under the last grant is still counted. [PRJ-3] [CLI-3]
func TestPasswordOfAnOldLicenseKey(t *testing.T) {
	s := startServer()
	defer s.Close()
	c := newClient(t, s, client.State{})
	mustWork(t, c)
	s.rotate("new")
	for range 2 {
		if _, err := c.CheckIn(context.Background(), scan); client.CodeOf(err) != protocol.WrongPassword {
			t.Fatalf("error %v, want 102", err)
		}
		mustReport(t, c)
	}
	if s.uses(2) != 3 || s.Main.Stats.Handshakes.Load() != 1 {
		t.Errorf("%d scans, %d handshakes; want 3 and 1", s.uses(2), s.Main.Stats.Handshakes.Load())
	}
}

// TestFreshTicketRefused: 102 after the new handshake too ends the call. [PRJ-3]
func TestFreshTicketRefused(t *testing.T) {
	var asked int
	refusing := stubPort(t, answering(func(r *protocol.Request) protocol.Answer {
		asked++
		return protocol.Answer{Kind: protocol.KindRefused, Code: protocol.WrongPassword}
	}))
	c := clientFor(t, noServer(), refusing)
	if _, err := c.CheckIn(context.Background(), scan); client.CodeOf(err) != protocol.WrongPassword {
		t.Errorf("error %v, want 102", err)
	}
	if asked != 2 || len(c.State().Queue) != 0 {
		t.Errorf("asked %d times, %d changes wait; want 2 and 0", asked, len(c.State().Queue))
	}
}

// TestNumberedChangesGoFirst: the check-in that is asked anew takes no number
// that a report of a former run has. [CLI-3]
func TestNumberedChangesGoFirst(t *testing.T) {
	var asked []protocol.Request
	port := stubPort(t, answering(func(r *protocol.Request) protocol.Answer {
		asked = append(asked, protocol.Request{Kind: r.Kind, Seq: r.Seq, Tag: r.Tag})
		if len(asked) == 1 {
			return protocol.Answer{Kind: protocol.KindRefused, Code: protocol.WrongPassword, Stream: r.Stream, Token: r.Token, Seq: r.Seq}
		}
		return protocol.Answer{Kind: protocol.KindAccepted, Seq: r.Seq}
	}))
	state := queued()
	checkIn := client.Change{Kind: protocol.KindCheckIn, Use: &scan, Tag: 66, Seq: 5, Sent: true}
	state.Queue[0].Seq = 6
	state.Queue = append([]client.Change{checkIn}, state.Queue...)
	c := clientWith(t, noServer(), client.Options{State: state}, port)
	_ = c.Flush(context.Background()) // the stub accepts check-ins until the client gives up
	if len(asked) < 3 || asked[1].Kind != protocol.KindReport || asked[1].Seq != 6 || asked[1].Tag != 77 || asked[2].Seq != 7 {
		t.Errorf("asked %+v, want the report as number 6 and then the check-in as 7", asked)
	}
}

// TestAskThatIsOverGoesLast: a check-in that asked for the place is answered
// Accepted, because its grant is over; the report behind it was sent as number 5
// and keeps it. [CLI-3]
func TestAskThatIsOverGoesLast(t *testing.T) {
	var asked []protocol.Request
	port := stubPort(t, answering(func(r *protocol.Request) protocol.Answer {
		asked = append(asked, protocol.Request{Kind: r.Kind, Seq: r.Seq, Tag: r.Tag})
		switch len(asked) {
		case 1:
			return protocol.Answer{Kind: protocol.KindAccepted, Seq: 4}
		case 2:
			return protocol.Answer{Kind: protocol.KindAccepted, Seq: r.Seq}
		}
		return protocol.Answer{Kind: protocol.KindRefused, Code: protocol.LimitExceeded, Stream: r.Stream, Token: r.Token, Seq: r.Seq}
	}))
	state := queued()
	ask := client.Change{Kind: protocol.KindCheckIn, Use: &scan, Tag: 66, Sent: true}
	state.Queue = append([]client.Change{ask}, state.Queue...)
	c := clientWith(t, noServer(), client.Options{State: state}, port)
	if err := c.Flush(context.Background()); client.CodeOf(err) != protocol.LimitExceeded {
		t.Errorf("error %v, want 120", err)
	}
	if len(asked) != 3 || asked[1].Seq != 5 || asked[1].Tag != 77 || asked[2].Kind != protocol.KindCheckIn || asked[2].Seq != 6 || asked[2].Tag == 66 {
		t.Errorf("asked %+v, want the report as number 5 and then a new check-in as 6", asked)
	}
}
