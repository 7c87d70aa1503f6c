package protocol

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// Each limit of a message holds to the number: the largest value passes, one
// more is malformed and the field is named.
func TestRequestLimits(t *testing.T) {
	checkIn := func(change func(*CheckIn)) []byte {
		r := exampleRequests()[0].message
		change(r.CheckIn)
		return AppendRequest(nil, &r)
	}
	report := func(lines []Line) []byte {
		r := exampleRequests()[2].message
		r.Lines = lines
		return AppendRequest(nil, &r)
	}
	tests := map[string]struct {
		limit   int
		field   string
		message func(n int) []byte
	}{
		"lines":      {MaxReportLines, "lines", func(n int) []byte { return report(make([]Line, n)) }},
		"count":      {MaxLineCount, "count", func(n int) []byte { return report([]Line{{Count: uint32(n)}}) }},
		"modules":    {MaxModules, "modules", func(n int) []byte { return checkIn(func(in *CheckIn) { in.Modules = make([][]byte, n) }) }},
		"product":    {MaxString, "product", func(n int) []byte { return checkIn(func(in *CheckIn) { in.Product = make([]byte, n) }) }},
		"edition":    {MaxString, "edition", func(n int) []byte { return checkIn(func(in *CheckIn) { in.Edition = make([]byte, n) }) }},
		"deployment": {MaxString, "deployment", func(n int) []byte { return checkIn(func(in *CheckIn) { in.Deployment = make([]byte, n) }) }},
		"module":     {MaxString, "module", func(n int) []byte { return checkIn(func(in *CheckIn) { in.Modules = [][]byte{make([]byte, n)} }) }},
		"validation": {MaxString, "validation value", func(n int) []byte { return checkIn(func(in *CheckIn) { in.Validation = make([]byte, n) }) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := faultOf(test.message(test.limit)); err != nil {
				t.Errorf("%d, the limit, is refused: %v", test.limit, err)
			}
			wantFault(t, faultOf(test.message(test.limit+1)), test.field)
		})
	}
}

// A string far too long is refused at its own field. If its length were cut to
// the width of its head, the rest of it would be read as the fields behind it,
// and whoever chose the string would choose them.
func TestOverlongStringForgesNoField(t *testing.T) {
	for _, n := range []int{256, 300, 1<<16 - 1, 1 << 16, 1<<16 + 40} {
		r := exampleRequests()[0].message
		r.CheckIn.Product = bytes.Repeat([]byte{1}, n)
		wantFault(t, faultOf(AppendRequest(nil, &r)), "product")
	}
	r := exampleRequests()[2].message
	r.Lines = make([]Line, 1<<16+1)
	wantFault(t, faultOf(AppendRequest(nil, &r)), "lines")
	a := Answer{Kind: KindGranted, Grant: make([]byte, 1<<16+1)}
	wantFault(t, answerFaultOf(AppendAnswer(nil, &a)), "grant")
}

// A record's length counts from its header on.
func TestRecordLimits(t *testing.T) {
	largest := make([]byte, HeaderBytes)
	putHeader(largest, TypeRequest, MaxRecord-HeaderBytes)
	if _, size, err := Header(largest); err != nil || size != MaxRecord {
		t.Errorf("a record of %d bytes: size %d, %v", MaxRecord, size, err)
	}
	putHeader(largest, TypeRequest, MaxRecord-HeaderBytes+1)
	if _, _, err := Header(largest); !errors.Is(err, ErrLength) {
		t.Errorf("a record of %d bytes: %v, want ErrLength", MaxRecord+1, err)
	}
	for kind, shortest := range minimum {
		if kind == 0 {
			continue
		}
		putHeader(largest, byte(kind), shortest)
		if _, size, err := Header(largest); err != nil || size != HeaderBytes+shortest {
			t.Errorf("type %d, the shortest: size %d, %v", kind, size, err)
		}
		putHeader(largest, byte(kind), shortest-1)
		if _, _, err := Header(largest); !errors.Is(err, ErrLength) {
			t.Errorf("type %d, one byte too short: %v, want ErrLength", kind, err)
		}
	}
}

// A hello's strings end at MaxString, and the whole of it at MaxHello.
func TestHelloLimits(t *testing.T) {
	long := strings.Repeat("p", MaxString)
	for field, hello := range map[string]*Hello{
		"project": {Project: long}, "organization": {Organization: long}, "password": {Password: long},
	} {
		if err := greetFault(t, hello); err != nil {
			t.Errorf("%s of %d bytes: %v", field, MaxString, err)
		}
		hello.Project, hello.Organization, hello.Password = longer(hello.Project), longer(hello.Organization), longer(hello.Password)
		wantFault(t, greetFault(t, hello), field)
	}
	key, record := helloRecord(t, &Hello{})
	padded := append(record, make([]byte, MaxHello-(len(record)-HeaderBytes))...)
	if _, err := OpenHello(key, padded); !errors.Is(err, ErrHello) {
		t.Errorf("a hello of MaxHello bytes is tried: %v, want ErrHello", err)
	}
	if _, err := OpenHello(key, append(padded, 0)); !errors.Is(err, ErrLength) {
		t.Errorf("a hello of one more: %v, want ErrLength", err)
	}
}

func longer(s string) string {
	if s == "" {
		return s
	}
	return s + "p"
}
