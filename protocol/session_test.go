package protocol

import (
	"bytes"
	"errors"
	"testing"
)

// exampleTicketKey is the ticket key of the examples, exampleTicket a ticket under it.
var (
	exampleTicketKey = [32]byte([]byte("ticket key of 32 bytes, epoch 3."))
	exampleTicket    = MakeTicket(&exampleTicketKey, 3, 1_767_916_800, 2, 5, [8]byte{0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7})
	exampleNonce     = [NonceBytes]byte{0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb}
)

func exampleSessions() (client, server *Session) {
	keys := DeriveKeys(&exampleTicketKey, &exampleTicket)
	return NewClientSession(exampleTicket, keys), NewServerSession(exampleTicket, keys)
}

func sealRequest(s *Session, messages []byte) []byte {
	return s.FinishRequest(append(BeginRequest(nil), messages...), 0, &exampleNonce)
}

func sealReply(s *Session, messages []byte) []byte {
	return s.FinishReply(append(BeginReply(nil), messages...), 0, &exampleNonce)
}

func TestSealAndOpen(t *testing.T) {
	client, server := exampleSessions()
	for _, size := range []int{0, 1, 15, 16, 17, 1000, MaxRecord - RequestOverhead} {
		messages := bytes.Repeat([]byte{0x5a}, size)
		request := sealRequest(client, messages)
		if kind, n, err := Header(request); kind != TypeRequest || n != len(request) || n != size+RequestOverhead || err != nil {
			t.Fatalf("%d bytes: type %d, size %d of %d, %v", size, kind, n, len(request), err)
		}
		if *RequestTicket(request) != exampleTicket {
			t.Errorf("the record shows ticket %x", *RequestTicket(request))
		}
		got, err := server.OpenRequest([]byte("before"), request)
		if err != nil || !bytes.Equal(got, append([]byte("before"), messages...)) {
			t.Errorf("request of %d bytes: %v", size, err)
		}
		reply := sealReply(server, messages)
		if kind, n, err := Header(reply); kind != TypeReply || n != len(reply) || n != size+ReplyOverhead || err != nil {
			t.Fatalf("%d bytes: type %d, size %d of %d, %v", size, kind, n, len(reply), err)
		}
		if got, err = client.OpenReply(nil, reply); err != nil || !bytes.Equal(got, messages) {
			t.Errorf("reply of %d bytes: %v", size, err)
		}
	}
}

// Sealing in place, with room for the tag or without, behind other records or
// not, makes the same bytes.
func TestSealInPlace(t *testing.T) {
	client, server := exampleSessions()
	messages := reportRecord()
	request, reply := sealRequest(client, messages), sealReply(server, messages)
	for _, spare := range []int{0, 1, TagBytes - 1, TagBytes, 4096} {
		out := append(make([]byte, 0, 3+RequestOverhead-TagBytes+len(messages)+spare), "abc"...)
		out = client.FinishRequest(append(BeginRequest(out), messages...), 3, &exampleNonce)
		if !bytes.Equal(out, append([]byte("abc"), request...)) {
			t.Errorf("request with %d bytes to spare differs", spare)
		}
		out = append(make([]byte, 0, 3+ReplyOverhead-TagBytes+len(messages)+spare), "abc"...)
		out = server.FinishReply(append(BeginReply(out), messages...), 3, &exampleNonce)
		if !bytes.Equal(out, append([]byte("abc"), reply...)) {
			t.Errorf("reply with %d bytes to spare differs", spare)
		}
	}
}

// No changed bit of a request passes: header, ticket, nonce, body, tag.
func TestAlteredRequest(t *testing.T) {
	client, server := exampleSessions()
	record := sealRequest(client, reportRecord()[:40])
	for i := range record {
		for bit := range 8 {
			altered := bytes.Clone(record)
			altered[i] ^= 1 << bit
			got, err := server.OpenRequest([]byte("kept"), altered)
			if !errors.Is(err, ErrSealed) {
				t.Fatalf("bit %d of byte %d altered: %v, want ErrSealed", bit, i, err)
			}
			if string(got) != "kept" {
				t.Fatalf("a record that does not open leaves %q", got)
			}
		}
	}
	if _, err := server.OpenRequest(nil, record); err != nil {
		t.Errorf("opening altered the record it borrowed: %v", err)
	}
}

func TestAlteredReply(t *testing.T) {
	client, server := exampleSessions()
	record := sealReply(server, AppendAnswer(nil, &exampleAnswers()[2].message))
	for i := range record {
		altered := bytes.Clone(record)
		altered[i] ^= 0x10
		if _, err := client.OpenReply(nil, altered); !errors.Is(err, ErrSealed) {
			t.Fatalf("byte %d altered: %v, want ErrSealed", i, err)
		}
	}
}

// Keys of another ticket, another epoch or the other direction do not open, and
// a request can't be sent back as a reply.
func TestOtherKeysDoNotOpen(t *testing.T) {
	client, server := exampleSessions()
	record := sealRequest(client, reportRecord())
	otherTicket := exampleTicket
	otherTicket[23]++
	otherKey := exampleTicketKey
	otherKey[0]++
	for name, other := range map[string]*Session{
		"another ticket's keys": NewServerSession(exampleTicket, DeriveKeys(&exampleTicketKey, &otherTicket)),
		"another epoch's keys":  NewServerSession(exampleTicket, DeriveKeys(&otherKey, &exampleTicket)),
		"the other direction":   client,
	} {
		if _, err := other.OpenRequest(nil, record); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %v, want ErrSealed", name, err)
		}
	}
	if _, err := client.OpenReply(nil, record); !errors.Is(err, ErrSealed) {
		t.Errorf("a request as a reply: %v, want ErrSealed", err)
	}
	if _, err := server.OpenRequest(nil, sealReply(server, reportRecord())); !errors.Is(err, ErrSealed) {
		t.Errorf("a reply as a request: %v, want ErrSealed", err)
	}
}

// A ticket serves for so many records; then a new handshake is due.
func TestTicketIsSpent(t *testing.T) {
	client, server := exampleSessions()
	record := sealRequest(client, reportRecord())
	server.requests = MaxTicketRecords - 1
	altered := bytes.Clone(record)
	altered[len(altered)-1] ^= 1
	for i, want := range []error{ErrSealed, nil, ErrTicketSpent, ErrTicketSpent} { // what does not open is not counted
		rec := record
		if i == 0 {
			rec = altered
		}
		if plain, err := server.OpenRequest(nil, rec); !errors.Is(err, want) || (err == nil) != (len(plain) > 0) {
			t.Errorf("record %d: %v, want %v", i, err, want)
		}
	}
}
