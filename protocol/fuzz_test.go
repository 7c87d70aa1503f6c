package protocol

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/internal/allocation"
)

// The saved seeds are made of the examples; -update writes them anew. What a
// fuzzing run finds is added beside them under the name that it gives.
func TestSeeds(t *testing.T) {
	client, server := exampleSessions()
	seed := func(target, name string, value []byte, more ...any) {
		text := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", value)
		for _, v := range more {
			text += fmt.Sprintf("%T(%v)\n", v, v)
		}
		golden(t, filepath.Join("testdata", "fuzz", target, named(name)), []byte(text))
	}
	for _, e := range exampleRequests() {
		message := AppendRequest(nil, &e.message)
		seed("FuzzDecodeRequest", e.name, message)
		seed("FuzzOpenRequest", e.name, sealRequest(client, message), uint16(40))
		seed("FuzzHeader", e.name, sealRequest(client, message)[:HeaderBytes])
		seed("FuzzDecodeRequest", "newer, "+e.name, encode(t, append(values(t, message), newer[:8]...)))
	}
	for _, e := range exampleAnswers() {
		message := AppendAnswer(nil, &e.message)
		seed("FuzzDecodeAnswer", e.name, message)
		seed("FuzzDecodeAnswer", "newer, "+e.name, encode(t, append(values(t, message), newer[:8]...)))
	}
	seed("FuzzDecodeRequest", "hostile length", []byte{0x93, KindPing, 1, 0xdd, 0xff, 0xff, 0xff, 0xff, 1})
	seed("FuzzDecodeAnswer", "hostile length", []byte{0x99, KindGranted, 1, 0, 0, 0, 0, 1, 0xc5, 0xff, 0xff, 1, 0xc0})
	seed("FuzzOpenRequest", "a reply", sealReply(server, reportRecord()), uint16(8))
	seed("FuzzHeader", "reject", AppendReject(nil, RejectBusy))
	seed("FuzzHeader", "another protocol", []byte("GET / HTTP/1.1\r\n"))
	seed("FuzzHello", "hello", mustMarshal(t, exampleHello()))
	seed("FuzzHello", "without uuid", mustMarshal(t, &Hello{Organization: "100200300"}))
	seed("FuzzHelloReply", "ticket", mustMarshal(t, exampleHelloReply()))
	seed("FuzzHelloReply", "refused", mustMarshal(t, &HelloReply{Code: WrongPassword}))
	seed("FuzzTicket", "ticket", append(exampleTicketKey[:], exampleTicket[:]...))
}

// arenaBytes is what a decoder's arenas cost at most for a first message, which
// is bounded by MaxModules and MaxReportLines, not by what a length prefix says.
const arenaBytes = 8 << 10

// bounded runs f, a decoder that was given n bytes, and fails when it allocates
// more than four times as much and the arenas of one message.
func bounded(t *testing.T, n int, f func()) {
	t.Helper()
	allocation.Within(t, 4*n+arenaBytes, f)
}

// A header that is read gives a size within the limits, and every prefix of it
// says less or the same, never another thing.
func FuzzHeader(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, size, err := Header(data)
		switch {
		case err != nil && (kind != 0 || size != 0):
			t.Fatalf("type %d and size %d beside %v", kind, size, err)
		case err == nil && (size == 0) != (len(data) < HeaderBytes):
			t.Fatalf("size %d of %d bytes", size, len(data))
		case size != 0 && (size < HeaderBytes+minimum[kind] || size > MaxRecord):
			t.Fatalf("type %d of size %d", kind, size)
		}
		for n := range data[:min(len(data), HeaderBytes)] {
			_, early, prefixErr := Header(data[:n])
			if early != 0 || prefixErr != nil && (err == nil || prefixErr.Error() != err.Error()) {
				t.Fatalf("%d bytes give size %d, %v; all give %v", n, early, prefixErr, err)
			}
		}
	})
}

// A record opens only as it was sealed; a message sealed and then altered
// anywhere does not.
func FuzzOpenRequest(f *testing.F) {
	client, server := exampleSessions()
	f.Fuzz(func(t *testing.T, data []byte, at uint16) {
		if kind, size, err := Header(data); err == nil && kind == TypeRequest && size <= len(data) {
			record := data[:size]
			plain, err := server.OpenRequest(nil, record)
			if err == nil {
				nonce := [NonceBytes]byte(record[HeaderBytes+TicketBytes:])
				if again := client.FinishRequest(append(BeginRequest(nil), plain...), 0, &nonce); !bytes.Equal(again, record) {
					t.Fatalf("%x opens and is sealed as %x", record, again)
				}
			} else if !errors.Is(err, ErrSealed) {
				t.Fatal(err)
			}
		}
		messages := data[:min(len(data), MaxRecord-RequestOverhead)]
		record := sealRequest(client, messages)
		if plain, err := server.OpenRequest(nil, record); err != nil || !bytes.Equal(plain, messages) {
			t.Fatalf("%x does not open again: %v", record, err)
		}
		record[int(at)%len(record)] ^= 1
		if _, err := server.OpenRequest(nil, record); !errors.Is(err, ErrSealed) {
			t.Fatalf("altered at %d: %v", int(at)%len(record), err)
		}
	})
}

// What the hand-written decoder accepts, msgpack/v5 reads as the same fields;
// and what was read is written so that it reads the same.
func FuzzDecodeRequest(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		var d Decoder
		var got, again Request
		var rest []byte
		var err error
		bounded(t, len(data), func() { rest, err = d.Request(data, &got) })
		if err != nil {
			return
		}
		want, left := oracleRequest(t, data)
		if diff := cmp.Diff(want, got, sameText); diff != "" || left != len(rest) {
			t.Fatalf("%d bytes left over, msgpack/v5 leaves %d (-msgpack/v5 +ours):\n%s", len(rest), left, diff)
		}
		message := AppendRequest(nil, &got)
		if rest, err = d.Request(message, &again); err != nil || len(rest) != 0 {
			t.Fatalf("%x was read and written as %x: %v, %d bytes left over", data, message, err, len(rest))
		}
		if diff := cmp.Diff(got, again, sameText); diff != "" {
			t.Fatalf("(-read +written and read):\n%s", diff)
		}
	})
}

// The same for answers; reading them allocates nothing but an error.
func FuzzDecodeAnswer(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, again Answer
		var rest []byte
		var err error
		bounded(t, len(data), func() { rest, err = DecodeAnswer(data, &got) })
		if err != nil {
			return
		}
		want, left := oracleAnswer(t, data)
		if diff := cmp.Diff(want, got, sameText); diff != "" || left != len(rest) {
			t.Fatalf("%d bytes left over, msgpack/v5 leaves %d (-msgpack/v5 +ours):\n%s", len(rest), left, diff)
		}
		message := AppendAnswer(nil, &got)
		if rest, err = DecodeAnswer(message, &again); err != nil || len(rest) != 0 {
			t.Fatalf("%x was read and written as %x: %v, %d bytes left over", data, message, err, len(rest))
		}
		if diff := cmp.Diff(got, again, sameText); diff != "" {
			t.Fatalf("(-read +written and read):\n%s", diff)
		}
	})
}

// A hello that is read travels unchanged; the same bytes as a record never open.
func FuzzHello(f *testing.F) {
	key := exampleHandshakeKey(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if kind, size, err := Header(data); err == nil && kind == TypeHello && size <= len(data) {
			if _, err := OpenHello(key, data[:size]); err == nil {
				t.Fatal("a hello that nobody sealed opens")
			}
		}
		var hello Hello
		var err error
		bounded(t, len(data), func() { err = decodeHello(data, &hello) })
		if err != nil {
			return
		}
		if want := oracleHello(t, data); !cmp.Equal(want, hello, sameText) {
			t.Fatalf("%+v, msgpack/v5 reads %+v", hello, want)
		}
		if _, record := helloRecord(t, &hello); len(record) <= HeaderBytes+MaxHello {
			if _, err := OpenHello(key, record); err != nil {
				t.Fatalf("%+v does not arrive: %v", hello, err)
			}
		}
	})
}

// A reply that is read travels unchanged, and one with code 0 makes a session.
func FuzzHelloReply(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		var reply *HelloReply
		var err error
		bounded(t, len(data), func() { reply, err = decodeHelloReply(data) })
		if err != nil {
			return
		}
		if want := oracleHelloReply(t, data); !cmp.Equal(want, reply, sameText) {
			t.Fatalf("%+v, msgpack/v5 reads %+v", reply, want)
		}
		if reply.Code == OK {
			reply.Session()
		}
		plain, err := marshal(reply)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeHelloReply(plain)
		if err != nil || !cmp.Equal(reply, again, sameText) {
			t.Fatalf("%+v was written and read as %+v: %v", reply, again, err)
		}
	})
}

// A ticket is its fields and nothing else, and its keys are HKDF-Expand's.
func FuzzTicket(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 32+TicketBytes {
			return
		}
		key, ticket := [32]byte(data), Ticket(data[32:])
		again := MakeTicket(&key, ticket.Epoch(), ticket.Expires(), uint16(ticket.Project()), uint16(ticket.PasswordGeneration()), [8]byte(ticket[12:]))
		if [ticketTagAt]byte(again[:]) != [ticketTagAt]byte(ticket[:]) || !again.Genuine(&key) {
			t.Fatalf("%x is taken apart and put together as %x", ticket, again)
		}
		tag, err := hkdf.Expand(sha256.New, key[:], ticketTagInfo+string(ticket[:ticketTagAt]), 32)
		if err != nil || ticket.Genuine(&key) != bytes.Equal(tag[:4], ticket[ticketTagAt:]) {
			t.Fatalf("%x: genuine %v, its tag is %x", ticket, ticket.Genuine(&key), tag[:4])
		}
		want, err := hkdf.Expand(sha256.New, key[:], ticketKeysInfo+string(ticket[:]), 32)
		if err != nil {
			t.Fatal(err)
		}
		if got := DeriveKeys(&key, &ticket); !bytes.Equal(append(got.Up[:], got.Down[:]...), want) {
			t.Fatalf("keys %x, HKDF-Expand gives %x", got, want)
		}
	})
}
