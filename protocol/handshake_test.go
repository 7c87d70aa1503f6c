package protocol

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exampleHandshakeKey is the server's key of the examples.
func exampleHandshakeKey(t testing.TB) *HandshakeKey {
	t.Helper()
	key, err := NewHandshakeKey(bytes.Repeat([]byte{0x42}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func exampleHello() *Hello {
	return &Hello{Project: "100200300-1", Organization: "100200300", Password: "correct horse", UUID: exampleUUID[:]}
}

func exampleHelloReply() *HelloReply {
	keys := DeriveKeys(&exampleTicketKey, &exampleTicket)
	return &HelloReply{Ticket: exampleTicket[:], Up: keys.Up[:], Down: keys.Down[:], Time: 1_767_312_000_123}
}

func helloRecord(t testing.TB, h *Hello) (*HandshakeKey, []byte) {
	t.Helper()
	key := exampleHandshakeKey(t)
	record, _, err := AppendHello(nil, key.Public(), h)
	if err != nil {
		t.Fatal(err)
	}
	return key, record
}

// greetFault is what the server finds wrong with a hello.
func greetFault(t testing.TB, h *Hello) error {
	t.Helper()
	_, err := OpenHello(helloRecord(t, h))
	return err
}

// shake makes a whole handshake and returns what both sides have of it.
func shake(t testing.TB, hello *Hello, reply *HelloReply) (pending *PendingHello, helloRecord, replyRecord []byte) {
	t.Helper()
	key := exampleHandshakeKey(t)
	helloRecord, pending, err := AppendHello(nil, key.Public(), hello)
	if err != nil {
		t.Fatal(err)
	}
	answered, err := OpenHello(key, helloRecord)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*hello, answered.Hello, sameText); diff != "" {
		t.Errorf("hello (-sent +read):\n%s", diff)
	}
	if replyRecord, err = answered.AppendReply(nil, reply); err != nil {
		t.Fatal(err)
	}
	return pending, helloRecord, replyRecord
}

func TestHandshake(t *testing.T) { // [PRJ-3]
	for name, hello := range map[string]*Hello{
		"all fields":    exampleHello(),
		"no uuid":       {Project: "100200300-1"},
		"default":       {Organization: "100200300"},
		"nothing given": {},
	} {
		reply := exampleHelloReply()
		pending, helloRecord, replyRecord := shake(t, hello, reply)
		for kind, record := range map[byte][]byte{TypeHello: helloRecord, TypeHelloReply: replyRecord} {
			if got, size, err := Header(record); got != kind || size != len(record) || err != nil {
				t.Errorf("%s: type %d, size %d of %d, %v", name, got, size, len(record), err)
			}
		}
		got, err := pending.OpenReply(replyRecord)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(reply, got); diff != "" {
			t.Errorf("%s, reply (-sent +read):\n%s", name, diff)
		}
	}
}

// The session that the client makes of a reply is the server's.
func TestHandshakeSession(t *testing.T) {
	pending, _, record := shake(t, exampleHello(), exampleHelloReply())
	reply, err := pending.OpenReply(record)
	if err != nil {
		t.Fatal(err)
	}
	_, server := exampleSessions()
	messages := reportRecord()
	got, err := server.OpenRequest(nil, sealRequest(reply.Session(), messages))
	if err != nil || !bytes.Equal(got, messages) {
		t.Errorf("a record of the new session: %v", err)
	}
}

// A refusal carries its code and neither ticket nor keys.
func TestHandshakeRefused(t *testing.T) {
	want := &HelloReply{Code: WrongPassword, Time: 5}
	pending, _, record := shake(t, exampleHello(), want)
	got, err := pending.OpenReply(record)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameText); diff != "" {
		t.Errorf("reply (-sent +read):\n%s", diff)
	}
}

// Only the server that the license key names can read a hello.
func TestHandshakeWithOtherServer(t *testing.T) {
	_, record := helloRecord(t, exampleHello())
	other, err := NewHandshakeKey(bytes.Repeat([]byte{0x43}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenHello(other, record); !errors.Is(err, ErrHello) {
		t.Errorf("another server opens it: %v, want ErrHello", err)
	}
	if bytes.Contains(record, []byte(exampleHello().Password)) {
		t.Error("the session password travels in clear")
	}
}

func TestAlteredHello(t *testing.T) {
	key, record := helloRecord(t, exampleHello())
	for i := HeaderBytes; i < len(record); i++ {
		altered := bytes.Clone(record)
		altered[i] ^= 1
		if _, err := OpenHello(key, altered); !errors.Is(err, ErrHello) {
			t.Fatalf("byte %d altered: %v, want ErrHello", i, err)
		}
	}
	shortest := append(record[:HeaderBytes:HeaderBytes], make([]byte, helloEncBytes+TagBytes)...)
	if _, err := OpenHello(key, shortest); !errors.Is(err, ErrHello) {
		t.Errorf("a hello of zeros: %v, want ErrHello", err)
	}
}

// Nobody else can answer: no altered reply passes, and none made for another hello.
func TestAlteredHelloReply(t *testing.T) {
	pending, _, record := shake(t, exampleHello(), exampleHelloReply())
	for i := HeaderBytes; i < len(record); i++ {
		altered := bytes.Clone(record)
		altered[i] ^= 1
		if _, err := pending.OpenReply(altered); !errors.Is(err, ErrHello) {
			t.Fatalf("byte %d altered: %v, want ErrHello", i, err)
		}
	}
	_, _, other := shake(t, exampleHello(), exampleHelloReply())
	if _, err := pending.OpenReply(other); !errors.Is(err, ErrHello) {
		t.Errorf("the reply to another hello: %v, want ErrHello", err)
	}
}

// Bytes that are no key are refused where they come in.
func TestHandshakeKeyFaults(t *testing.T) {
	if _, err := NewHandshakeKey(make([]byte, 31)); err == nil {
		t.Error("31 bytes pass for a private key")
	}
	if _, _, err := AppendHello(nil, [32]byte{}, exampleHello()); err == nil {
		t.Error("a license key with a handshake key of zeros makes a hello")
	}
}

var (
	helloFields      = []string{"project", "organization", "password", "client uuid"}
	helloReplyFields = []string{"code", "ticket", "up key", "down key", "time"}
)

// Every field of a handshake that is at fault is named; what a newer side
// appends is passed over.
func TestMalformedHandshake(t *testing.T) {
	decode := func(fields []any) error { return decodeHello(encode(t, fields), &Hello{}) }
	decodeReply := func(fields []any) error { _, err := decodeHelloReply(encode(t, fields)); return err }
	for _, test := range []struct {
		message any
		decode  func([]any) error
		names   []string
		whole   string
	}{
		{exampleHello(), decode, helloFields, "hello"},
		{exampleHelloReply(), decodeReply, helloReplyFields, "hello reply"},
	} {
		plain, err := marshal(test.message)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range test.names {
			fields := values(t, plain)
			fields[i] = -1
			wantFault(t, test.decode(fields), name)
		}
		fields := values(t, plain)
		wantFault(t, test.decode(fields[:len(fields)-1]), test.names[len(fields)-1])
		if err := test.decode(append(fields, newer...)); err != nil {
			t.Errorf("a newer %s: %v", test.whole, err)
		}
	}
}

func TestHandshakeFieldSizes(t *testing.T) {
	wantFault(t, greetFault(t, &Hello{UUID: make([]byte, 15)}), "client uuid")
	wantFault(t, greetFault(t, &Hello{UUID: make([]byte, 17)}), "client uuid")
	for field, spoil := range map[string]func(*HelloReply){
		"ticket":   func(r *HelloReply) { r.Ticket = r.Ticket[1:] },
		"up key":   func(r *HelloReply) { r.Up = nil },
		"down key": func(r *HelloReply) { r.Down = append(r.Down, 0) },
	} {
		reply := exampleHelloReply()
		spoil(reply)
		pending, _, record := shake(t, exampleHello(), reply)
		_, err := pending.OpenReply(record)
		wantFault(t, err, field)
	}
	wantFault(t, decodeHello([]byte{0x94, 0xa0, 0xa0, 0xa0, 0xc0, 0}, &Hello{}), "hello")
	_, err := decodeHelloReply(append([]byte{0x95, 0xce, 0, 1, 0, 0}, bytes.Repeat([]byte{0xc0}, 4)...))
	wantFault(t, err, "code") // 65536, which is not 0
}

// The numbers by which RFC 9180 names the suite; other implementations need them.
func TestSuite(t *testing.T) {
	kdf, aead := suite()
	if kem := hpke.DHKEM(ecdh.X25519()).ID(); kem != 0x0020 || kdf.ID() != 0x0001 || aead.ID() != 0x0001 {
		t.Errorf("KEM %#04x, KDF %#04x, AEAD %#04x", kem, kdf.ID(), aead.ID())
	}
}

// BenchmarkHandshake is the server's part of a handshake.
func BenchmarkHandshake(b *testing.B) {
	key, record := helloRecord(b, exampleHello())
	reply := exampleHelloReply()
	b.ReportAllocs()
	for b.Loop() {
		answered, err := OpenHello(key, record)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := answered.AppendReply(nil, reply); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkResume is what a ticket costs that was not seen before: it is checked,
// its keys are derived, and a record is opened under it.
func BenchmarkResume(b *testing.B) {
	client, _ := exampleSessions()
	record := sealRequest(client, reportRecord())
	var plain []byte
	b.ReportAllocs()
	for b.Loop() {
		if !exampleTicket.Genuine(&exampleTicketKey) {
			b.Fatal("not genuine")
		}
		var err error
		server := NewServerSession(exampleTicket, DeriveKeys(&exampleTicketKey, &exampleTicket))
		if plain, err = server.OpenRequest(plain[:0], record); err != nil {
			b.Fatal(err)
		}
	}
}
