package protocol

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
)

func TestRequestRoundTrip(t *testing.T) { // [CLI-1], [CLI-3], [CLI-6]
	for _, e := range exampleRequests() {
		got := decodeRequest(t, AppendRequest(nil, &e.message))
		if diff := cmp.Diff(e.message, got, sameText); diff != "" {
			t.Errorf("%s (-sent +read):\n%s", e.name, diff)
		}
	}
}

// A request that is used again holds nothing of the message before.
func TestRequestReused(t *testing.T) {
	var d Decoder
	var r Request
	for _, e := range exampleRequests() {
		if _, err := d.Request(AppendRequest(nil, &e.message), &r); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e.message, r, sameText); diff != "" {
			t.Errorf("%s (-sent +read):\n%s", e.name, diff)
		}
	}
}

// The messages of a record stand one behind the other, and stay readable
// together until Reset.
func TestSeveralRequests(t *testing.T) {
	var record []byte
	want := exampleRequests()
	for i := range want {
		record = AppendRequest(record, &want[i].message)
	}
	var d Decoder
	for range 2 {
		got := make([]Request, len(want))
		rest := record
		for i := range got {
			var err error
			if rest, err = d.Request(rest, &got[i]); err != nil {
				t.Fatalf("%s: %v", want[i].name, err)
			}
		}
		for i := range got {
			if diff := cmp.Diff(want[i].message, got[i], sameText); diff != "" {
				t.Errorf("%s (-sent +read):\n%s", want[i].name, diff)
			}
		}
		if len(rest) != 0 {
			t.Errorf("%d bytes left over", len(rest))
		}
		d.Reset()
	}
}

// values is a message as the list of its fields, for tests that spoil one.
func values(t testing.TB, message []byte) []any {
	t.Helper()
	var fields []any
	if err := msgpack.Unmarshal(message, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

func encode(t testing.TB, fields []any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := msgpack.NewEncoder(&b)
	enc.UseCompactInts(true)
	if err := enc.Encode(fields); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// newer is a value of each kind that a later version may append.
var newer = []any{nil, true, -5, int64(-1) << 40, 1.5, float32(2), "text", strings.Repeat("x", 300), []byte{1}, make([]byte, 70_000),
	[]any{1, []any{2, "three"}}, map[string]any{"a": []any{1}}, make([]any, 20), msgpack.RawMessage{0xd4, 1, 2}, msgpack.RawMessage{0xc7, 3, 9, 1, 2, 3}}

// What a newer device appends is passed over.
func TestRequestTrailingFieldsIgnored(t *testing.T) {
	for _, e := range exampleRequests() {
		fields := append(values(t, AppendRequest(nil, &e.message)), newer...)
		if diff := cmp.Diff(e.message, decodeRequest(t, encode(t, fields)), sameText); diff != "" {
			t.Errorf("%s (-sent +read):\n%s", e.name, diff)
		}
	}
}

func TestLineTrailingFieldsIgnored(t *testing.T) {
	fields := values(t, AppendRequest(nil, &exampleRequests()[2].message))
	fields[8] = []any{append([]any{9_818_400, 1, 17}, newer...)}
	want := exampleRequests()[2].message
	if diff := cmp.Diff(want, decodeRequest(t, encode(t, fields)), sameText); diff != "" {
		t.Errorf("(-sent +read):\n%s", diff)
	}
}

var (
	changeFields  = []string{"type", "request id", "client uuid", "stream", "token", "sequence", "tag"}
	checkInFields = append(changeFields[:7:7], "product", "version", "edition", "deployment", "modules", "charge way",
		"validation value", "instances", "boot clock", "known certificate", "challenge")
	requestFields = map[uint8][]string{
		KindCheckIn: checkInFields,
		KindReport:  append(changeFields[:7:7], "item", "lines"),
		KindRelease: append(changeFields[:7:7], "item"),
		KindPing:    changeFields[:2],
	}
)

// wantFault checks that a decoder named the field that is at fault.
func wantFault(t *testing.T, err error, field string) {
	t.Helper()
	var malformed *MalformedError
	if !errors.As(err, &malformed) {
		t.Errorf("%s spoiled: %v, want a MalformedError", field, err)
		return
	}
	if malformed.Field != field || !strings.Contains(err.Error(), field) {
		t.Errorf("field %q spoiled, the error is: %v", field, err)
	}
}

func faultOf(message []byte) error {
	var d Decoder
	var r Request
	_, err := d.Request(message, &r)
	return err
}

// Every field of the wrong type is named.
func TestMalformedRequestFieldsNamed(t *testing.T) {
	for _, e := range exampleRequests() {
		message := AppendRequest(nil, &e.message)
		for i, name := range requestFields[e.message.Kind] {
			fields := values(t, message)
			fields[i] = -1
			wantFault(t, faultOf(encode(t, fields)), name)
		}
		fields := values(t, message)
		wantFault(t, faultOf(encode(t, fields[:len(fields)-1])), missing(e.message.Kind, len(fields)))
	}
}

// missing is the field that a message lacks when its array is one short: the
// last one, when nothing follows that could be taken for it.
func missing(kind uint8, fields int) string {
	return requestFields[kind][fields-1]
}

// An array that is too short is at fault even when another message follows that
// could lend it fields.
func TestRequestShortArrayNamed(t *testing.T) {
	for _, e := range exampleRequests() {
		message := AppendRequest(nil, &e.message)
		if message[0] == 0xdc {
			message[2]--
		} else {
			message[0]--
		}
		wantFault(t, faultOf(append(message, 0x92, KindPing, 1)), "message")
	}
}

// Cut off anywhere, a message is malformed, and so is what is no message.
func TestMalformedRequests(t *testing.T) {
	for _, e := range exampleRequests() {
		message := AppendRequest(nil, &e.message)
		for n := range message {
			if faultOf(message[:n]) == nil {
				t.Errorf("%s: the first %d bytes of %d pass for it", e.name, n, len(message))
			}
		}
	}
	spoil := func(example, field int, value any) []byte {
		fields := values(t, AppendRequest(nil, &exampleRequests()[example].message))
		fields[field] = value
		return encode(t, fields)
	}
	tests := map[string]struct {
		message []byte
		field   string
	}{
		"empty":                     {nil, "message"},
		"a map":                     {[]byte{0x81, 1, 1}, "message"},
		"type 0":                    {[]byte{0x92, 0, 1}, "type"},
		"an answer's type":          {[]byte{0x92, KindPong, 1}, "type"},
		"type 257 is not type 1":    {[]byte{0x92, 0xcd, 1, 1, 1}, "type"},
		"a request id of 33 bits":   {[]byte{0x92, KindPing, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0}, "request id"},
		"a uuid of 15 bytes":        {spoil(2, 2, make([]byte, 15)), "client uuid"},
		"no uuid":                   {spoil(2, 2, nil), "client uuid"},
		"a slot of text":            {spoil(2, 8, []any{[]any{"now", 1, 1}}), "slot"},
		"a module of 17 bits":       {spoil(2, 8, []any{[]any{1, 65_536, 1}}), "module"},
		"a negative count":          {spoil(2, 8, []any{[]any{1, 1, -1}}), "count"},
		"a line of two":             {spoil(3, 8, []any{[]any{1, 1}, 9}), "line"},
		"a line that is no list":    {spoil(2, 8, []any{7}), "line"},
		"a module that is a number": {spoil(0, 11, []any{7}), "module"},
		"a reserved byte appended":  {append([]byte{0x93, KindPing, 1}, 0xc1), "trailing fields"},
		"a fraction for a number":   {spoil(5, 1, 1.5), "request id"},
		"4 GiB appended":            {[]byte{0x93, KindPing, 1, 0xc6, 0xff, 0xff, 0xff, 0xff}, "trailing fields"},
		"4 GiB and a byte appended": {[]byte{0x93, KindPing, 1, 0xc9, 0xff, 0xff, 0xff, 0xff, 1}, "trailing fields"},
		"2^32 values appended":      {[]byte{0x93, KindPing, 1, 0xdd, 0xff, 0xff, 0xff, 0xff, 1}, "trailing fields"},
		"2^31+1 pairs appended":     {[]byte{0x93, KindPing, 1, 0xdf, 0x80, 0, 0, 1, 1, 1}, "trailing fields"},
		"an array of 2^31 + 2":      {[]byte{0xdd, 0x80, 0, 0, 2, KindPing, 1}, "message"},
	}
	for name, test := range tests {
		t.Run(named(name), func(t *testing.T) { wantFault(t, faultOf(test.message), test.field) })
	}
}
