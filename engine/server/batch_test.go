package server

import (
	"net/netip"
	"testing"

	"muster/protocol"
)

// TestNothingStaysOfWhatIsNotDecided: a batch without decisions is not handed
// over, so records that leave none must not make it grow.
func TestNothingStaysOfWhatIsNotDecided(t *testing.T) {
	report := protocol.AppendRequest(nil, &protocol.Request{Kind: protocol.KindReport, Lines: make([]protocol.Line, 3)})
	checkIn := protocol.AppendRequest(nil, &protocol.Request{Kind: protocol.KindCheckIn, CheckIn: &protocol.CheckIn{
		Product: []byte("DLS"), Version: 11, Modules: [][]byte{[]byte("1D"), []byte("2D")},
	}})
	ping := protocol.AppendRequest(nil, &protocol.Request{Kind: protocol.KindPing})
	for name, row := range map[string]struct {
		serving bool
		room    int
		record  []byte
	}{
		"pings":                {true, 1, append(ping, ping...)},
		"not serving":          {false, 2, append(report[:len(report):len(report)], checkIn...)},
		"no room":              {true, 0, append(report[:len(report):len(report)], checkIn...)},
		"not a message":        {true, 1, []byte{0xc1}},
		"a report cut short":   {true, 1, report[:len(report)-1]},
		"a check-in cut short": {true, 1, checkIn[:len(checkIn)-1]},
	} {
		s := Server{now: func() int64 { return 0 }}
		s.ready.Store(row.serving)
		var ticket protocol.Ticket
		b := newBatch(nil, new(backoff), 256)
		for range 2 { // after nothing, and after something
			start := b.end()
			b.plain = append(b.plain, row.record...)
			taken, _, _ := s.gather(b, start, &ticket, netip.Addr{}, row.room, nil)
			if end := b.end(); taken != 0 || end != start {
				t.Errorf("%s: %d taken, the batch ends at %+v instead of %+v", name, taken, end, start)
			}
			s.ready.Store(true)
			b.plain = append(b.plain, report...)
			if taken, _, err := s.gather(b, start, &ticket, netip.Addr{}, 1, nil); taken != 1 || err != nil {
				t.Fatal(name, taken, err)
			}
			s.ready.Store(row.serving)
		}
	}
}

// TestBatchHasItsMemory: a batch takes as many reports as it has memory for without
// more, from the first time on.
func TestBatchHasItsMemory(t *testing.T) {
	var s Server
	s.ready.Store(true)
	most := protocol.Request{
		Kind: protocol.KindReport, ID: 1 << 31, Stream: 1 << 31, Token: 1 << 63, Seq: 1 << 31, Tag: 1 << 31, Item: 1 << 7,
		Lines: []protocol.Line{{Slot: 1 << 31, Module: 1 << 7, Count: 1 << 15}},
	}
	message := protocol.AppendRequest(nil, &most)
	record := make([]byte, 0, len(message)*protocol.MaxMessages)
	for range protocol.MaxMessages {
		record = append(record, message...)
	}
	var ticket protocol.Ticket
	s.config.Loops = 1
	l := loop{server: &s}
	batches := []*batch{l.newBatch(), l.newBatch()} // the first one's run is not counted
	if n := testing.AllocsPerRun(1, func() {
		b := batches[0]
		batches = batches[1:]
		for len(b.decisions) < batchMemory {
			end := b.end()
			b.plain = append(b.plain, record...)
			if _, _, err := s.gather(b, end, &ticket, netip.Addr{}, batchRequests, nil); err != nil {
				t.Fatal(err)
			}
			b.owners = append(b.owners, make([]owner, protocol.MaxMessages)...)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
