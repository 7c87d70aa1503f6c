package client_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

// The rules of this file are those of docs/PROTOCOL.md section 11.

// waits collects what a client would wait, and ends the call after so many.
func waits(c *client.Client, most int) *[]time.Duration {
	var all []time.Duration
	c.SetSleep(func(_ context.Context, d time.Duration) error {
		all = append(all, d)
		if len(all) == most {
			return errors.New("enough")
		}
		return nil
	})
	return &all
}

// jittered says whether a wait is as long as planned, with a random part of up to half.
func jittered(wait, planned time.Duration) bool {
	return wait >= planned && wait < planned+planned/2+20*time.Millisecond
}

// TestRoundsBackOff: a second at first, twice as long each time up to some
// minutes, plus a random part.
func TestRoundsBackOff(t *testing.T) {
	s := noServer()
	c := clientWith(t, s, client.Options{Timeout: time.Hour}, closedPort(t))
	all := waits(c, 16)
	if _, err := c.CheckIn(context.Background(), scan); err == nil {
		t.Fatal("granted by nobody")
	}
	planned := client.WaitFirst
	for i, wait := range *all {
		if !jittered(wait, planned) {
			t.Errorf("wait %d is %v, planned %v", i+1, wait, planned)
		}
		planned = min(2*planned, client.WaitMax)
	}
	if n := len(slices.Compact((*all)[10:])); n < 2 {
		t.Error("the waits of all clients would be the same")
	}
}

// queued is the state of a device that has a report to send again.
func queued() client.State {
	report := client.Change{Kind: protocol.KindReport, Item: 1, Lines: []protocol.Line{{Count: 3}}, Tag: 77, Seq: 5, Sent: true}
	return client.State{UUID: license.UUID{1}, Stream: 9, Token: 8, Seq: 4, Queue: []client.Change{report}}
}

// TestBusyIsAskedAgain: the same number and tag, at the same server, after the
// time that it says plus a random part. [CLI-3]
func TestBusyIsAskedAgain(t *testing.T) {
	s := noServer()
	var asked []protocol.Request
	busy := stubPort(t, answering(func(r *protocol.Request) protocol.Answer {
		asked = append(asked, protocol.Request{ID: r.ID, Stream: r.Stream, Token: r.Token, Seq: r.Seq, Tag: r.Tag, Item: r.Item})
		if len(asked) < 4 {
			return protocol.Answer{Kind: protocol.KindBusy, RetryAfter: 250}
		}
		return protocol.Answer{Kind: protocol.KindAccepted, Seq: r.Seq}
	}))
	var elsewhere atomic.Int32
	other := stubPort(t, counted(&elsewhere, rejecting(protocol.RejectBusy)))
	c := clientWith(t, s, client.Options{State: queued(), Timeout: time.Hour}, busy, standby(other))
	all := waits(c, 9)
	if err := c.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(asked) != 4 || len(*all) != 3 {
		t.Fatalf("asked %d times with %d waits, want 4 and 3", len(asked), len(*all))
	}
	for i, wait := range *all {
		if !jittered(wait, 250*time.Millisecond) {
			t.Errorf("wait %d is %v, the server said 250 ms", i+1, wait)
		}
	}
	want := protocol.Request{ID: asked[0].ID, Stream: 9, Token: 8, Seq: 5, Tag: 77, Item: 1}
	for i := range asked {
		if a := asked[i]; a.ID != want.ID || a.Stream != 9 || a.Token != 8 || a.Seq != 5 || a.Tag != 77 || a.Item != 1 {
			t.Errorf("request %d was %+v, want %+v", i+1, a, want)
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("the standby was asked although the main serves")
	}
}

// TestNoWaitBeyondTheTimeout: the error comes instead of the wait.
func TestNoWaitBeyondTheTimeout(t *testing.T) {
	s := noServer()
	busy := stubPort(t, answering(func(*protocol.Request) protocol.Answer {
		return protocol.Answer{Kind: protocol.KindBusy, RetryAfter: 3_600_000}
	}))
	c := clientWith(t, s, client.Options{State: queued(), Timeout: 30 * time.Minute}, busy)
	neverWaits(t, c)
	if err := c.Flush(context.Background()); !errors.Is(err, client.ErrServerBusy) || !strings.Contains(err.Error(), busy.HostPort) {
		t.Errorf("error %v, want busy with the address", err)
	}

	c = clientWith(t, s, client.Options{State: queued(), Timeout: client.WaitFirst}, closedPort(t))
	neverWaits(t, c)
	if err := c.Flush(context.Background()); err == nil {
		t.Error("acknowledged by nobody")
	}

	c = clientWith(t, s, client.Options{State: queued(), Timeout: time.Hour}, closedPort(t))
	neverWaits(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), client.WaitFirst)
	defer cancel()
	if err := c.Flush(ctx); err == nil {
		t.Error("acknowledged by nobody")
	}
}

// TestUnreadableIsNotRepeated: to a Reject 2 the same bytes are no answer
// (docs/PROTOCOL.md section 2).
func TestUnreadableIsNotRepeated(t *testing.T) {
	s := noServer()
	c := clientWith(t, s, client.Options{Timeout: time.Hour}, stubPort(t, rejecting(protocol.RejectMalformed)))
	neverWaits(t, c)
	if _, err := c.CheckIn(context.Background(), scan); err == nil || !strings.Contains(err.Error(), "could not read") {
		t.Errorf("error %v", err)
	}
}
