package server

import (
	"net/netip"
	"testing"

	"muster/protocol"
)

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
			start := len(b.plain)
			b.plain = append(b.plain, record...)
			if _, _, err := s.gather(b, &ticket, netip.Addr{}, b.plain[start:], batchRequests, nil); err != nil {
				t.Fatal(err)
			}
			b.owners = append(b.owners, make([]owner, protocol.MaxMessages)...)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
