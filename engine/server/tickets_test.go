package server

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"muster/protocol"
)

func write(path string, data []byte) error { return os.WriteFile(path, data, 0o600) }

// TestTicketsLiveThroughRotationAndRestart: a ticket opens until it expires,
// whatever happens to the key file meanwhile.
func TestTicketsLiveThroughRotationAndRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	now := time.Unix(1_800_000_000, 0)
	keys, err := OpenTicketKeys(path, now, write)
	if err != nil {
		t.Fatal(err)
	}
	ticket, session := keys.issue(now, 3, 2)
	if ticket.Project() != 3 || ticket.PasswordGeneration() != 2 {
		t.Errorf("ticket for project %d generation %d", ticket.Project(), ticket.PasswordGeneration())
	}
	for day := range 7 {
		at := now.Add(time.Duration(day) * ticketEpoch)
		if err := keys.RotateIfDue(at); err != nil {
			t.Fatal(err)
		}
		if keys, err = OpenTicketKeys(path, at, write); err != nil {
			t.Fatal(err)
		}
		if got, ok := keys.open(at.Unix(), &ticket); !ok || got != session {
			t.Fatalf("day %d: the ticket does not open", day)
		}
	}
	if _, ok := keys.open(now.Add(TicketLife).Unix(), &ticket); ok {
		t.Error("an expired ticket opens")
	}
	late := now.Add(TicketLife + 2*ticketEpoch + time.Second)
	if err := keys.RotateIfDue(late); err != nil {
		t.Fatal(err)
	}
	for _, k := range *keys.keys.Load() {
		if k.Epoch == ticket.Epoch() {
			t.Error("the key of expired tickets is kept")
		}
	}
}

// TestAlteredTicketIsRefused: without an allocation, so that strangers cost little.
func TestAlteredTicketIsRefused(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	keys, err := OpenTicketKeys(filepath.Join(t.TempDir(), "keys"), now, write)
	if err != nil {
		t.Fatal(err)
	}
	ticket, _ := keys.issue(now, 1, 1)
	for i := range ticket {
		bad := ticket
		bad[i] ^= 1
		allocations := testing.AllocsPerRun(10, func() {
			if _, ok := keys.open(now.Unix(), &bad); ok {
				t.Errorf("byte %d altered, and it opens", i)
			}
		})
		if allocations != 0 {
			t.Errorf("byte %d altered: %v allocations", i, allocations)
		}
	}
	if other, _ := keys.issue(now, 1, 1); other == ticket {
		t.Error("two tickets are the same")
	}
}

func TestTicketKeysThatCantBeKept(t *testing.T) {
	full := errors.New("no space")
	refuse := func(string, []byte) error { return full }
	path := filepath.Join(t.TempDir(), "keys")
	if _, err := OpenTicketKeys(path, time.Now(), refuse); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	for _, text := range []string{"nonsense", `[{"epoch":1,"key":"AAAA"}]`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenTicketKeys(path, time.Now(), write); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestHistogram(t *testing.T) {
	h := Histogram{lowest: -1}
	for _, v := range []float64{0.1, 0.5, 0.75, 2, 3, 1e6} {
		h.Observe(v)
	}
	lowest, counts, sum := h.Snapshot()
	want := make([]uint64, histogramBuckets)
	want[0], want[1], want[2], want[3], want[len(want)-1] = 2, 1, 1, 1, 1
	if lowest != -1 || !slices.Equal(counts, want) || sum != 1_000_006.35 {
		t.Errorf("lowest %d counts %v sum %v", lowest, counts, sum)
	}
}

// TestLimitsFit: what one batch may hold fits the memory that is planned for it.
func TestLimitsFit(t *testing.T) {
	if connUnanswered > batchRequests {
		t.Error("one connection may fill more than a batch")
	}
	if TicketLife < ticketEpoch {
		t.Error("tickets outlive their key's epoch only if they live longer than it")
	}
	if outboundMax < 4*protocol.MaxRecord {
		t.Error("a connection is closed before it could read a few records")
	}
}
