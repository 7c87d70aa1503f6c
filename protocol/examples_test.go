package protocol

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exampleUUID is the client UUID of the examples.
var exampleUUID = UUID{0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f}

// example is a message with the name that it has in the golden vectors.
type example[M any] struct {
	name    string
	message M
}

// exampleRequests are one message of every type, small and with wide values.
func exampleRequests() []example[Request] {
	return []example[Request]{
		{"check-in, first contact", Request{
			Kind: KindCheckIn, ID: 1, UUID: exampleUUID, Tag: 0xc0ffee01,
			CheckIn: &CheckIn{
				Product: []byte("barcode-reader"), Version: 10, Edition: []byte("mobile"), Deployment: []byte("mobile"),
				Modules: [][]byte{[]byte("1D"), []byte("QR")}, Validation: []byte("com.example.scanner"), BootClock: 86_400_000,
			},
		}},
		{"check-in, later", Request{
			Kind: KindCheckIn, ID: 70_000, UUID: exampleUUID, Stream: 4711, Token: 0xfedcba9876543210, Seq: 300, Tag: 7,
			CheckIn: &CheckIn{
				Product: []byte("barcode-server"), Version: 11, Deployment: []byte("server"), Modules: [][]byte{},
				ChargeWay: 10, Validation: []byte("scan-worker"), Instances: 12, BootClock: 1 << 40, KnownCert: 0x0123456789abcdef, Challenge: 0xfedcba9876543210,
			},
		}},
		{"report, one line", Request{
			Kind: KindReport, ID: 2, UUID: exampleUUID, Stream: 1, Token: 0x1122334455667788, Seq: 1, Tag: 0xdeadbeef,
			Item: 1, Lines: []Line{{Slot: 9_818_400, Module: 1, Count: 17}},
		}},
		{"report, several lines", Request{
			Kind: KindReport, ID: 1<<32 - 1, UUID: exampleUUID, Stream: 1<<27 - 2, Token: 1<<64 - 1, Seq: 1<<32 - 2, Tag: 1<<32 - 1,
			Item: 65_536, Lines: []Line{{Slot: 9_818_399, Count: 1}, {Slot: 9_818_400, Module: 300, Count: 70_000}, {Slot: 1<<32 - 1, Module: 1<<16 - 1, Count: MaxLineCount}},
		}},
		{"release", Request{
			Kind: KindRelease, ID: 3, UUID: exampleUUID, Stream: 1, Token: 0x1122334455667788, Seq: 2, Tag: 0x01020304, Item: 1,
		}},
		{"ping", Request{Kind: KindPing, ID: 4}},
	}
}

// exampleAnswers are one message of every type. The grant and the proof are not
// real ones: to this package they are opaque.
func exampleAnswers() []example[Answer] {
	return []example[Answer]{
		{"granted, with proof", Answer{
			Kind: KindGranted, ID: 1, Stream: 1, Token: 0x1122334455667788, Time: 1_767_312_000_123, Item: 1,
			Grant: bytes.Repeat([]byte{0xa1}, 40), Certificate: bytes.Repeat([]byte{0xb2}, 300),
		}},
		{"granted, proof known", Answer{
			Kind: KindGranted, ID: 70_000, Seq: 300, Stream: 4711, Token: 0xfedcba9876543210, Time: 1_767_312_000_123, Item: 2,
			Grant: bytes.Repeat([]byte{0xa1}, 40),
		}},
		{"accepted", Answer{Kind: KindAccepted, ID: 2, Seq: 1}},
		{"refused, device without a stream", Answer{Kind: KindRefused, ID: 1, Code: ProductMismatch}},
		{"refused, for an item", Answer{
			Kind: KindRefused, ID: 70_000, Seq: 300, Stream: 4711, Token: 0xfedcba9876543210, Code: LimitExceeded,
			Item: 2, ItemName: []byte("ACME-2026-001/server-2026"),
		}},
		{"out of step", Answer{Kind: KindOutOfStep, ID: 2, Seq: 41}},
		{"pong", Answer{Kind: KindPong, ID: 4, Time: 1_767_312_000_123}},
		{"busy", Answer{Kind: KindBusy, ID: 2, RetryAfter: 200}},
		{"no stream", Answer{Kind: KindNoStream, ID: 2}},
		{"no stream, ask again", Answer{Kind: KindNoStream, ID: 2, Challenge: 0xfedcba9876543210}},
		{"too large for a datagram", Answer{Kind: KindTooLarge, ID: 2}},
	}
}

// sameText lets a missing string and an empty one pass for the same: readers
// make no difference.
var sameText = cmp.Options{
	cmp.Comparer(bytes.Equal),
	cmp.Comparer(slices.Equal[[]Line]),
	cmp.Comparer(func(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }),
}

// reportRecord is the messages of a record of 16 reports.
func reportRecord() (messages []byte) {
	r := exampleRequests()[2].message
	for n := range 16 {
		r.ID, r.Seq = uint32(n), uint32(n+1)
		messages = AppendRequest(messages, &r)
	}
	return messages
}

// named makes a file name of a vector's or a test's name.
func named(name string) string { return strings.NewReplacer(", ", "-", " ", "-").Replace(name) }

func decodeRequest(t testing.TB, message []byte) Request {
	t.Helper()
	var d Decoder
	var r Request
	rest, err := d.Request(message, &r)
	if err != nil || len(rest) != 0 {
		t.Fatalf("%x: %v, %d bytes left over", message, err, len(rest))
	}
	return r
}

func decodeAnswer(t testing.TB, message []byte) Answer {
	t.Helper()
	var a Answer
	rest, err := DecodeAnswer(message, &a)
	if err != nil || len(rest) != 0 {
		t.Fatalf("%x: %v, %d bytes left over", message, err, len(rest))
	}
	return a
}
