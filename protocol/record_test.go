package protocol

import (
	"errors"
	"testing"
)

// Header says nothing of a record that it has not seen enough of, and the same
// of every longer prefix.
func TestHeaderOnEveryPrefix(t *testing.T) {
	session, _ := exampleSessions()
	record := sealRequest(session, reportRecord())
	for n := range record {
		kind, size, err := Header(record[:n])
		wantKind, wantSize := byte(TypeRequest), len(record)
		if n < HeaderBytes {
			wantKind, wantSize = 0, 0
		}
		if err != nil || kind != wantKind || size != wantSize {
			t.Fatalf("of %d bytes: type %d, size %d, %v; want type %d, size %d", n, kind, size, err, wantKind, wantSize)
		}
	}
}

// What can't become a record is refused at the first byte that shows it.
func TestHeaderFaults(t *testing.T) {
	tests := map[string]struct {
		bytes []byte
		at    int // from so many bytes on
		want  error
	}{
		"another protocol":         {[]byte("GET / HTTP/1.1"), 1, ErrMagic},
		"half of the magic":        {[]byte("Mt\x01\x03\x00\x00\x00\x80"), 2, ErrMagic},
		"a later version":          {[]byte("Ms\x02\x03\x00\x00\x00\x80"), 3, ErrVersion},
		"type 0":                   {[]byte("Ms\x01\x00\x00\x00\x00\x80"), 8, ErrType},
		"a type that is not there": {[]byte("Ms\x01\x06\x00\x00\x00\x80"), 8, ErrType},
		"empty":                    {[]byte("Ms\x01\x05\x00\x00\x00\x00"), 8, ErrLength},
		"four gigabytes":           {[]byte("Ms\x01\x03\xff\xff\xff\xff"), 8, ErrLength},
	}
	for name, test := range tests {
		for n := range len(test.bytes) + 1 {
			_, size, err := Header(test.bytes[:n])
			if n < test.at && (err != nil || size != 0) || n >= test.at && !errors.Is(err, test.want) {
				t.Errorf("%s, %d bytes: size %d, %v; want %v from %d bytes on", name, n, size, err, test.want, test.at)
			}
		}
	}
}

func TestReject(t *testing.T) {
	for _, reason := range []byte{RejectTicket, RejectMalformed, RejectBusy} {
		record := AppendReject([]byte("before"), reason)[len("before"):]
		kind, size, err := Header(record)
		if err != nil || kind != TypeReject || size != len(record) || record[HeaderBytes] != reason {
			t.Errorf("reason %d: %x is type %d, size %d, %v", reason, record, kind, size, err)
		}
	}
}

// Frozen: what a device in the field was built with is never used for anything else.
func TestFrozenValues(t *testing.T) {
	for name, v := range map[string][2]int{
		"hello": {TypeHello, 1}, "hello reply": {TypeHelloReply, 2}, "request": {TypeRequest, 3}, "reply": {TypeReply, 4}, "reject": {TypeReject, 5},
		"check-in": {int(KindCheckIn), 1}, "report": {int(KindReport), 2}, "release": {int(KindRelease), 3}, "ping": {int(KindPing), 4},
		"granted": {int(KindGranted), 33}, "accepted": {int(KindAccepted), 34}, "refused": {int(KindRefused), 35},
		"out of step": {int(KindOutOfStep), 36}, "pong": {int(KindPong), 37}, "busy": {int(KindBusy), 38}, "no stream": {int(KindNoStream), 39},
		"too large":     {int(KindTooLarge), 40},
		"reject ticket": {RejectTicket, 1}, "reject malformed": {RejectMalformed, 2}, "reject busy": {RejectBusy, 3},
		"version": {Version, 1}, "slot": {SlotSeconds, 180}, "record": {MaxRecord, 65_536}, "messages": {MaxMessages, 1024},
		"request overhead": {RequestOverhead, 60}, "reply overhead": {ReplyOverhead, 36},
	} {
		if v[0] != v[1] {
			t.Errorf("%s is %d, devices in the field know it as %d", name, v[0], v[1])
		}
	}
}

// Frozen: the numbers of domain section 6, and nothing between them.
func TestCodes(t *testing.T) { // [ERR-1]
	frozen := map[Code]bool{}
	for _, c := range []Code{0, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 111, 112, 113, 114, 115, 120, 121, 122, 123, 124, 130, 151, 160, 161, 162} {
		frozen[c] = true
	}
	seen := map[string]Code{}
	for c := range Code(1000) {
		name, known := codeNames[c]
		if known != frozen[c] {
			t.Errorf("code %d: named %t, frozen %t", c, known, frozen[c])
		}
		if other, twice := seen[name]; known && twice {
			t.Errorf("codes %d and %d have the same name", c, other)
		}
		seen[name] = c
	}
	if got := LimitExceeded.String(); got != "120 limit exceeded" {
		t.Errorf("120 prints as %q", got)
	}
	if got := Code(999).String(); got != "999 unknown code" {
		t.Errorf("999 prints as %q", got)
	}
}
