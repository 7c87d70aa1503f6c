package client_test

import (
	"context"
	"testing"
	"time"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

// TestReadersDoNotWait: while a report waits for a server that never answers,
// what the application asks of the client alone is answered at once.
func TestReadersDoNotWait(t *testing.T) {
	asked, over := make(chan struct{}, 1), make(chan struct{})
	silent := stubPort(t, answering(func(*protocol.Request) protocol.Answer {
		asked <- struct{}{}
		<-over
		return protocol.Answer{Kind: protocol.KindBusy}
	}))
	defer close(over)
	s := noServer()
	// The time-out only makes the test fail instead of hang.
	c := clientWith(t, s, client.Options{State: queued(), Timeout: 5 * time.Second}, silent)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	returned := make(chan error, 1)
	go func() { returned <- c.Flush(ctx) }()
	<-asked
	for name, read := range map[string]func(){
		"Valid": func() { c.Valid() }, "Grant": func() { c.Grant() }, "Now": func() { c.Now() }, "RenewAt": func() { c.RenewAt() },
		"State": func() {
			if queue := c.State().Queue; len(queue) != 1 || queue[0].Seq != 5 || !queue[0].Sent {
				t.Errorf("the state of a call under way has queue %+v, want report 5 as sent", queue)
			}
		},
	} {
		read()
		select {
		case err := <-returned:
			t.Fatalf("%s returned only after the call under way: %v", name, err)
		default:
		}
	}
}

// TestReadersSeeWholeStates reads while calls change what is read; the race
// detector is the judge.
func TestReadersSeeWholeStates(t *testing.T) {
	s := startServer()
	defer s.Close()
	c := newClient(t, s, client.State{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		for range 5 {
			if _, err := c.CheckIn(context.Background(), client.Use{Product: "Reader", ChargeWay: license.DeviceYearly}); err != nil {
				t.Error(err)
			}
			if err := c.Report(context.Background(), client.Count{Count: 1}); err != nil {
				t.Error(err)
			}
			if err := c.Release(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}()
	for {
		select {
		case <-over:
			return
		default:
			c.Valid()
			c.RenewAt()
			if state := c.State(); len(state.Grant) > 0 && len(state.Proof) == 0 {
				t.Error("a grant without its proof")
			}
		}
	}
}
