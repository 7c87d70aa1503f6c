package protocol

import "testing"

// The hot path allocates nothing: this is asserted, not hoped for.
func wantNoAllocation(t *testing.T, what string, f func()) {
	t.Helper()
	f()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%s allocates %v times", what, n)
	}
}

func TestDecodingReportsAllocatesNothing(t *testing.T) {
	messages := reportRecord()
	var d Decoder
	var requests [16]Request
	wantNoAllocation(t, "decoding a record of 16 reports", func() {
		d.Reset()
		rest := messages
		for i := range requests {
			var err error
			if rest, err = d.Request(rest, &requests[i]); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestDecodingEveryMessageAllocatesNothing(t *testing.T) {
	var d Decoder
	var r Request
	var a Answer
	for _, e := range exampleRequests() {
		message := AppendRequest(nil, &e.message)
		wantNoAllocation(t, "decoding "+e.name, func() {
			d.Reset()
			if _, err := d.Request(message, &r); err != nil {
				t.Fatal(err)
			}
		})
	}
	for _, e := range exampleAnswers() {
		message := AppendAnswer(nil, &e.message)
		wantNoAllocation(t, "decoding "+e.name, func() {
			if _, err := DecodeAnswer(message, &a); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	out := make([]byte, 0, 4096)
	for _, e := range exampleAnswers() {
		wantNoAllocation(t, "encoding "+e.name, func() { AppendAnswer(out, &e.message) })
	}
	for _, e := range exampleRequests() {
		wantNoAllocation(t, "encoding "+e.name, func() { AppendRequest(out, &e.message) })
	}
}

func TestSealingAllocatesNothing(t *testing.T) {
	client, server := exampleSessions()
	messages := reportRecord()
	record := sealRequest(client, messages)
	plain := make([]byte, 0, len(messages))
	wantNoAllocation(t, "opening a request", func() {
		if _, err := server.OpenRequest(plain, record); err != nil {
			t.Fatal(err)
		}
	})
	out := make([]byte, 0, 4096)
	nonce := exampleNonce
	wantNoAllocation(t, "sealing a reply", func() {
		server.FinishReply(append(BeginReply(out), messages...), 0, &nonce)
	})
	wantNoAllocation(t, "sealing a request", func() {
		client.FinishRequest(append(BeginRequest(out), messages...), 0, &nonce)
	})
}

// A stranger's record costs a header, a derivation and a failure, and no memory.
func TestStrangersCostNoMemory(t *testing.T) {
	client, server := exampleSessions()
	record := sealRequest(client, reportRecord())
	record[len(record)-1]++
	plain := make([]byte, 0, 4096)
	var keys Keys
	wantNoAllocation(t, "refusing a record", func() {
		if _, _, err := Header(record); err != nil {
			t.Fatal(err)
		}
		keys = DeriveKeys(&exampleTicketKey, RequestTicket(record))
		if _, err := server.OpenRequest(plain, record); err == nil {
			t.Fatal("an altered record opens")
		}
	})
	_ = keys
}

// TestOpeningCopiesLittle: a batch of many records grows as a slice does, not
// anew with every record.
func TestOpeningCopiesLittle(t *testing.T) {
	ticket, keys := Ticket{}, Keys{}
	rec := BeginRequest(nil)
	rec = AppendRequest(rec, &Request{Kind: KindPing, ID: 1})
	rec = NewClientSession(ticket, keys).FinishRequest(rec, 0, new([NonceBytes]byte))
	server := NewServerSession(ticket, keys)
	var plain []byte
	grown := 0
	for range 10_000 {
		before := cap(plain)
		var err error
		if plain, err = server.OpenRequest(plain, rec); err != nil {
			t.Fatal(err)
		}
		if cap(plain) != before {
			grown++
		}
	}
	if grown > 100 {
		t.Errorf("10,000 records made room %d times", grown)
	}
}

// BenchmarkRecord is what each of 16 reports in a record costs in this package, step
// by step: the floor of a server's layers.
func BenchmarkRecord(b *testing.B) {
	client, server := exampleSessions()
	messages := reportRecord()
	record := sealRequest(client, messages)
	plain, out, nonce := make([]byte, 0, len(messages)), make([]byte, 0, 4096), exampleNonce
	var d Decoder
	var requests [16]Request
	answer := Answer{Kind: KindAccepted}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"open", func() { _, _ = server.OpenRequest(plain, record) }},
		{"decode", func() {
			d.Reset()
			rest := messages
			for i := range requests {
				rest, _ = d.Request(rest, &requests[i])
			}
		}},
		{"encode and seal", func() {
			reply := BeginReply(out)
			for i := range requests {
				answer.ID = requests[i].ID
				reply = AppendAnswer(reply, &answer)
			}
			server.FinishReply(reply, 0, &nonce)
		}},
	} {
		b.Run(step.name, func(b *testing.B) {
			for b.Loop() {
				step.do()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(requests)), "ns/report")
		})
	}
}
