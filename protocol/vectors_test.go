package protocol

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/cryptotest"

	"github.com/google/go-cmp/cmp"
)

// The golden vectors let a client in another language be tested without a
// server; docs/PROTOCOL.md says how to use them. They are frozen: a difference
// means that devices in the field no longer understand this version.
var update = flag.Bool("update", false, "write the golden vectors and fuzz seeds anew")

// octets are bytes, or an integer of 64 bits, in hexadecimal: JSON numbers stop at 2^53.
type octets []byte

func (o octets) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(o)), nil }

func octets64(v uint64) string { return fmt.Sprintf("%016x", v) }

// object is a JSON object; its keys are sorted when it is written.
type object = map[string]any

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; make it with: go test ./protocol -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

func goldenVectors(t *testing.T, name string, vectors any) {
	t.Helper()
	text, err := json.MarshalIndent(vectors, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "vectors", name+".json"), append(text, '\n'))
}

func TestTicketVectors(t *testing.T) {
	keys := DeriveKeys(&exampleTicketKey, &exampleTicket)
	goldenVectors(t, "ticket", object{
		"ticket_key": octets(exampleTicketKey[:]), "ticket": octets(exampleTicket[:]), "keys_info": ticketKeysInfo, "tag_info": ticketTagInfo,
		"epoch": exampleTicket.Epoch(), "expires": exampleTicket.Expires(), "project": exampleTicket.Project(),
		"password_generation": exampleTicket.PasswordGeneration(), "random": octets(exampleTicket[12:20]), "tag": octets(exampleTicket[20:]),
		"up_key": octets(keys.Up[:]), "down_key": octets(keys.Down[:]),
	})
}

func TestRequestVectors(t *testing.T) {
	var vectors []object
	for _, e := range exampleRequests() {
		r := &e.message
		vectors = append(vectors, object{
			"name": e.name, "message": octets(AppendRequest(nil, r)), "fields": requestVector(r),
		})
	}
	goldenVectors(t, "requests", vectors)
}

func requestVector(r *Request) object {
	fields := object{"type": r.Kind, "request_id": r.ID}
	if r.Kind == KindPing {
		return fields
	}
	fields["client_uuid"], fields["stream"], fields["token"] = octets(r.UUID[:]), r.Stream, octets64(r.Token)
	fields["sequence"], fields["tag"] = r.Seq, r.Tag
	switch r.Kind {
	case KindReport:
		var lines []object
		for _, l := range r.Lines {
			lines = append(lines, object{"slot": l.Slot, "module": l.Module, "count": l.Count})
		}
		fields["item"], fields["lines"] = r.Item, lines
	case KindRelease:
		fields["item"] = r.Item
	case KindCheckIn:
		in := r.CheckIn
		modules := []string{}
		for _, m := range in.Modules {
			modules = append(modules, string(m))
		}
		fields["product"], fields["version"], fields["edition"] = string(in.Product), in.Version, string(in.Edition)
		fields["deployment"], fields["modules"], fields["charge_way"] = string(in.Deployment), modules, in.ChargeWay
		fields["validation_value"], fields["instances"] = string(in.Validation), in.Instances
		fields["boot_clock"], fields["known_proof"] = in.BootClock, octets64(in.KnownCert)
		fields["challenge"] = octets64(in.Challenge)
	}
	return fields
}

func TestAnswerVectors(t *testing.T) {
	var vectors []object
	for _, e := range exampleAnswers() {
		a := &e.message
		vectors = append(vectors, object{
			"name": e.name, "message": octets(AppendAnswer(nil, a)), "fields": answerVector(a),
		})
	}
	goldenVectors(t, "answers", vectors)
}

func answerVector(a *Answer) object {
	fields := object{"type": a.Kind, "request_id": a.ID}
	switch a.Kind {
	case KindAccepted, KindOutOfStep:
		fields["sequence"] = a.Seq
	case KindPong:
		fields["time"] = a.Time
	case KindBusy:
		fields["retry_after"] = a.RetryAfter
	case KindNoStream:
		fields["challenge"] = octets64(a.Challenge)
	case KindGranted:
		fields["sequence"], fields["stream"], fields["token"], fields["item"] = a.Seq, a.Stream, octets64(a.Token), a.Item
		fields["time"], fields["grant"], fields["proof"] = a.Time, octets(a.Grant), octets(a.Certificate)
	case KindRefused:
		fields["sequence"], fields["stream"], fields["token"], fields["item"] = a.Seq, a.Stream, octets64(a.Token), a.Item
		fields["code"], fields["item_name"] = a.Code, string(a.ItemName)
	}
	return fields
}

func TestRecordVectors(t *testing.T) {
	client, server := exampleSessions()
	keys := DeriveKeys(&exampleTicketKey, &exampleTicket)
	requests := exampleRequests()
	messages := AppendRequest(AppendRequest(nil, &requests[2].message), &requests[5].message)
	answers := exampleAnswers()
	replies := AppendAnswer(AppendAnswer(nil, &answers[2].message), &answers[6].message)
	request, reply := sealRequest(client, messages), sealReply(server, replies)
	goldenVectors(t, "records", object{
		"request": object{
			"ticket": octets(exampleTicket[:]), "key": octets(keys.Up[:]), "nonce": octets(exampleNonce[:]),
			"additional_data": octets(request[:HeaderBytes+TicketBytes]), "messages": octets(messages), "record": octets(request),
		},
		"reply": object{
			"key": octets(keys.Down[:]), "nonce": octets(exampleNonce[:]),
			"additional_data": octets(reply[:HeaderBytes]), "messages": octets(replies), "record": octets(reply),
		},
		"reject": object{"reason": RejectTicket, "record": octets(AppendReject(nil, RejectTicket))},
	})
}

// The handshake's randomness is fixed; the ephemeral key is shown, so that a
// client that can be given one makes the same hello.
func TestHandshakeVectors(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 26)
	ephemeral, err := ecdh.X25519().GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	cryptotest.SetGlobalRandom(t, 26)
	hello, reply := exampleHello(), exampleHelloReply()
	pending, helloRecord, replyRecord := shake(t, hello, reply)
	if !bytes.Equal(pending.enc, ephemeral.PublicKey().Bytes()) {
		t.Fatal("the hello was not made with the ephemeral key shown")
	}
	exported, err := pending.sender.Export(helloExport, helloKeyBytes)
	if err != nil {
		t.Fatal(err)
	}
	plain, replyPlain := mustMarshal(t, hello), mustMarshal(t, reply)
	public := exampleHandshakeKey(t).Public()
	goldenVectors(t, "handshake", object{
		"kem": "0020", "kdf": "0001", "aead": "0001", "info": helloInfo, "export_label": helloExport,
		"server_private_key": octets(bytes.Repeat([]byte{0x42}, 32)), "server_public_key": octets(public[:]),
		"ephemeral_private_key": octets(ephemeral.Bytes()), "exported_secret": octets(exported),
		"hello": object{
			"project": hello.Project, "organization": hello.Organization, "password": hello.Password,
			"client_uuid": octets(hello.UUID), "plain": octets(plain), "record": octets(helloRecord),
		},
		"reply": object{
			"code": reply.Code, "ticket": octets(reply.Ticket), "up_key": octets(reply.Up), "down_key": octets(reply.Down),
			"time": reply.Time, "plain": octets(replyPlain), "record": octets(replyRecord),
		},
	})
}

func mustMarshal(t *testing.T, v any) []byte {
	t.Helper()
	plain, err := marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// The frozen handshake still opens: should Go come to use its randomness in
// another way, this is what must keep passing.
func TestFrozenHandshakeOpens(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "vectors", "handshake.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vector struct{ Hello struct{ Record string } }
	if err := json.Unmarshal(text, &vector); err != nil {
		t.Fatal(err)
	}
	record, err := hex.DecodeString(vector.Hello.Record)
	if err != nil {
		t.Fatal(err)
	}
	answered, err := OpenHello(exampleHandshakeKey(t), record)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*exampleHello(), answered.Hello, sameText); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
