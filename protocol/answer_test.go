package protocol

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnswerRoundTrip(t *testing.T) {
	for _, e := range exampleAnswers() {
		got := decodeAnswer(t, AppendAnswer(nil, &e.message))
		if diff := cmp.Diff(e.message, got, sameText); diff != "" {
			t.Errorf("%s (-sent +read):\n%s", e.name, diff)
		}
	}
}

// An answer that is used again holds nothing of the message before, and answers
// stand one behind the other.
func TestSeveralAnswers(t *testing.T) {
	var record []byte
	want := exampleAnswers()
	for i := range want {
		record = AppendAnswer(record, &want[i].message)
	}
	var a Answer
	for _, e := range want {
		var err error
		if record, err = DecodeAnswer(record, &a); err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		if diff := cmp.Diff(e.message, a, sameText); diff != "" {
			t.Errorf("%s (-sent +read):\n%s", e.name, diff)
		}
	}
	if len(record) != 0 {
		t.Errorf("%d bytes left over", len(record))
	}
}

// What a newer server appends is passed over.
func TestAnswerTrailingFieldsIgnored(t *testing.T) {
	for _, e := range exampleAnswers() {
		fields := append(values(t, AppendAnswer(nil, &e.message)), newer...)
		if diff := cmp.Diff(e.message, decodeAnswer(t, encode(t, fields)), sameText); diff != "" {
			t.Errorf("%s (-sent +read):\n%s", e.name, diff)
		}
	}
}

var answerFields = map[uint8][]string{
	KindGranted:   {"type", "request id", "sequence", "stream", "token", "time", "item", "grant", "certificate"},
	KindAccepted:  {"type", "request id", "sequence"},
	KindRefused:   {"type", "request id", "sequence", "stream", "token", "code", "item", "item name"},
	KindOutOfStep: {"type", "request id", "sequence"},
	KindPong:      {"type", "request id", "time"},
	KindBusy:      {"type", "request id", "retry after"},
	KindNoStream:  {"type", "request id", "challenge"},
	KindTooLarge:  {"type", "request id"},
}

func answerFaultOf(message []byte) error {
	var a Answer
	_, err := DecodeAnswer(message, &a)
	return err
}

// Every field of the wrong type is named, and so is the last one when it is missing.
func TestMalformedAnswerFieldsNamed(t *testing.T) {
	for _, e := range exampleAnswers() {
		message := AppendAnswer(nil, &e.message)
		names := answerFields[e.message.Kind]
		for i, name := range names {
			fields := values(t, message)
			fields[i] = -1
			wantFault(t, answerFaultOf(encode(t, fields)), name)
		}
		fields := values(t, message)
		wantFault(t, answerFaultOf(encode(t, fields[:len(fields)-1])), names[len(fields)-1])
		message[0]--
		wantFault(t, answerFaultOf(append(message, 0x93, KindNoStream, 1, 0)), "message")
	}
}

func TestMalformedAnswers(t *testing.T) {
	for _, e := range exampleAnswers() {
		message := AppendAnswer(nil, &e.message)
		for n := range message {
			if answerFaultOf(message[:n]) == nil {
				t.Errorf("%s: the first %d bytes of %d pass for it", e.name, n, len(message))
			}
		}
	}
	tests := map[string]struct {
		message []byte
		field   string
	}{
		"a request's type":          {[]byte{0x92, KindPing, 1}, "type"},
		"type 295 is not type 39":   {[]byte{0x92, 0xcd, 1, 39, 1}, "type"},
		"code 65656 is not 120":     {[]byte{0x98, KindRefused, 1, 0, 0, 0, 0xce, 0, 1, 0, 120, 0, 0xa0}, "code"},
		"an item name too long":     {AppendAnswer(nil, &Answer{Kind: KindRefused, ItemName: make([]byte, MaxString+1)}), "item name"},
		"a grant longer than given": {[]byte{0x99, KindGranted, 1, 0, 0, 0, 0, 1, 0xc5, 0xff, 0xff, 1, 0xc0}, "grant"},
	}
	for name, test := range tests {
		t.Run(named(name), func(t *testing.T) { wantFault(t, answerFaultOf(test.message), test.field) })
	}
}
