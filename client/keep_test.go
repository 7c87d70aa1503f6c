package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

// TestKeptBeforeItGoesOut: what the server gets stands in what was kept last, with
// stream, number and tag, and after an error of Keep it gets nothing. [CLI-3]
func TestKeptBeforeItGoesOut(t *testing.T) {
	var kept client.State
	var sent int
	port := stubPort(t, answering(func(r *protocol.Request) protocol.Answer {
		sent++
		if len(kept.Queue) == 0 {
			t.Errorf("request %d is not in what was kept", sent)
		} else if ch := kept.Queue[0]; !ch.Sent || ch.Seq != r.Seq || ch.Tag != r.Tag || ch.Kind != r.Kind || kept.Stream != r.Stream {
			t.Errorf("request %+v, kept %+v", r, ch)
		}
		switch {
		case r.Kind == protocol.KindReport && sent == 2: // it has to ask for its place
			return protocol.Answer{Kind: protocol.KindNoStream}
		case r.Kind == protocol.KindReport:
			return protocol.Answer{Kind: protocol.KindAccepted, Seq: r.Seq}
		}
		return protocol.Answer{Kind: protocol.KindRefused, Code: protocol.LimitExceeded, Stream: 9, Token: 8, Seq: max(4, r.Seq)}
	}))
	state := queued()
	var full error
	c := clientWith(t, noServer(), client.Options{State: state, Keep: func(s client.State) error {
		if full == nil {
			kept = s
		}
		return full
	}}, port)
	if _, err := c.CheckIn(context.Background(), scan); client.CodeOf(err) != protocol.LimitExceeded {
		t.Fatalf("error %v, want 120", err)
	}
	if kept.Seq != 6 || len(kept.Queue) != 0 {
		t.Errorf("after the call number %d was kept, and %+v", kept.Seq, kept.Queue)
	}
	sent, full = 0, errors.New("disk full")
	if err := c.ReportLines(context.Background(), 1, []protocol.Line{{Count: 1}}); !errors.Is(err, full) || !errors.Is(err, client.ErrNotKept) {
		t.Errorf("error %v, want that of Keep", err)
	}
	if sent != 0 {
		t.Errorf("%d requests went out that were not kept", sent)
	}
	full, sent = nil, 10
	if err := c.Flush(context.Background()); err != nil || sent != 11 || len(kept.Queue) != 0 {
		t.Errorf("error %v, %d requests, kept %+v", err, sent-10, kept.Queue)
	}
}

// TestKilledAtEveryKeep ends a device at each moment at which something was kept,
// before and after what came next went out, and goes on from there: as a new
// device, and as one restored from a backup. Of such a one it can't be known whether
// a report counted whose number met no answer; then it does not count twice.
// [CLI-3] [CLI-5]
func TestKilledAtEveryKeep(t *testing.T) {
	s := startServer()
	defer s.Close()
	ctx := context.Background()
	for _, restored := range []bool{false, true} {
		for _, out := range []bool{false, true} { // whether what was kept goes out too
			for kill := 1; ; kill++ {
				first := newClient(t, s, client.State{})
				must(first.CheckIn(ctx, scan))
				state := first.State()
				if restored {
					mustReport(t, first)
					mustReport(t, first)
				}
				before := s.uses(2)
				kept, keeps := killed(t, s, state, !restored, kill, out)
				if keeps < kill {
					if keeps < 4 {
						t.Errorf("only %d states were kept", keeps)
					}
					break
				}
				want := s.uses(2) - before // a report that is not kept any more was counted, or never went out
				if slices.ContainsFunc(kept.Queue, func(ch client.Change) bool { return ch.Kind == protocol.KindReport }) {
					want = 7
				}
				if restored && kill == 1 { // no answer was heard: as if it had been sent before the backup
					want = 0
				}
				if err := newClient(t, s, kept).Flush(ctx); err != nil {
					t.Errorf("restored %v, killed at state %d: %v", restored, kill, err)
				}
				if n := s.uses(2) - before; n != want {
					t.Errorf("restored %v, killed at state %d, sent %v: %d scans counted, want %d", restored, kill, out, n, want)
				}
			}
		}
	}
}

// killed checks in, if it is to, and reports 7 scans, until the state was kept for the n-th
// time. It returns that state as it comes back from a disk, and how many there were.
func killed(t *testing.T, s *testServer, state client.State, checkIn bool, n int, out bool) (kept client.State, keeps int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := must(client.New(client.Options{LicenseKey: s.Key, Vendor: s.Ring, State: state, Keep: func(state client.State) error {
		if keeps++; keeps > n {
			return errors.New("killed")
		}
		if len(state.Queue) > 0 && state.Queue[0].Kind == protocol.KindReport && state.Queue[0].Fresh {
			t.Errorf("report %d is still taken for one that has another's number", state.Queue[0].Seq)
		}
		kept = client.State{}
		check(json.Unmarshal(must(json.Marshal(state)), &kept))
		if keeps == n && !out {
			cancel()
		}
		return nil
	}}))
	defer c.Close()
	if checkIn {
		_, _ = c.CheckIn(ctx, scan)
	}
	if g := c.Grant(); g != nil {
		_ = c.ReportLines(ctx, g.Item, []protocol.Line{{Slot: uint32(c.Now().Unix() / protocol.SlotSeconds), Count: 7}})
	}
	return kept, min(keeps, n)
}

// TestReleasedGrantIsNotKept: a process that is killed while a release is under
// way does not find the grant again. [CLI-6]
func TestReleasedGrantIsNotKept(t *testing.T) {
	s := startServer()
	defer s.Close()
	var kept []client.State
	c := must(client.New(client.Options{LicenseKey: s.Key, Vendor: s.Ring, Keep: func(state client.State) error {
		kept = append(kept, state)
		return nil
	}}))
	defer c.Close()
	must(c.CheckIn(context.Background(), client.Use{Product: "Reader", ChargeWay: license.DeviceYearly}))
	if last := kept[len(kept)-1]; len(last.Grant) == 0 {
		t.Fatal("the grant was not kept")
	}
	kept = nil
	check(c.Release(context.Background()))
	for i, state := range kept {
		if len(state.Grant) > 0 {
			t.Errorf("state %d of the release has the grant", i+1)
		}
	}
}
