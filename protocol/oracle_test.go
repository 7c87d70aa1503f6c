package protocol

import (
	"bytes"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// oracle reads with msgpack/v5 what the hand-written decoder accepted. The
// library believes length prefixes, so it is only ever shown accepted bytes.
type oracle struct {
	t      *testing.T
	d      *msgpack.Decoder
	reader *bytes.Reader
}

func newOracle(t *testing.T, data []byte) *oracle {
	r := bytes.NewReader(data) // the decoder reads no further ahead than it decodes
	return &oracle{t, msgpack.NewDecoder(r), r}
}

func (o *oracle) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatalf("accepted here, refused by msgpack/v5: %v", err)
	}
}

func (o *oracle) array() int {
	o.t.Helper()
	n, err := o.d.DecodeArrayLen()
	o.must(err)
	return n
}

func (o *oracle) uint() uint64 {
	o.t.Helper()
	v, err := o.d.DecodeUint64()
	o.must(err)
	return v
}

func (o *oracle) blob() []byte {
	o.t.Helper()
	b, err := o.d.DecodeBytes()
	o.must(err)
	return b
}

func (o *oracle) skip(n int) {
	o.t.Helper()
	for range n {
		o.must(o.d.Skip())
	}
}

func oracleRequest(t *testing.T, data []byte) (r Request, left int) {
	o := newOracle(t, data)
	fields := o.array()
	r.Kind, r.ID = uint8(o.uint()), uint32(o.uint())
	if r.Kind != KindPing {
		copy(r.UUID[:], o.blob())
		r.Stream, r.Token, r.Seq, r.Tag = uint32(o.uint()), o.uint(), uint32(o.uint()), uint32(o.uint())
	}
	switch r.Kind {
	case KindCheckIn:
		r.CheckIn = o.checkIn()
	case KindReport:
		r.Item = uint32(o.uint())
		for range o.array() {
			known := o.array() - 3
			r.Lines = append(r.Lines, Line{uint32(o.uint()), uint16(o.uint()), uint32(o.uint())})
			o.skip(known)
		}
	case KindRelease:
		r.Item = uint32(o.uint())
	}
	o.skip(fields - map[uint8]int{KindCheckIn: 18, KindReport: 9, KindRelease: 8, KindPing: 2}[r.Kind])
	return r, o.reader.Len()
}

func (o *oracle) checkIn() *CheckIn {
	in := &CheckIn{Product: o.blob(), Version: uint32(o.uint()), Edition: o.blob(), Deployment: o.blob()}
	for range o.array() {
		in.Modules = append(in.Modules, o.blob())
	}
	in.ChargeWay = uint8(min(o.uint(), 255)) // one that nobody knows stays unknown
	in.Validation = o.blob()
	in.Instances, in.BootClock, in.KnownCert, in.Challenge = uint32(o.uint()), o.uint(), o.uint(), o.uint()
	return in
}

func oracleAnswer(t *testing.T, data []byte) (a Answer, left int) {
	o := newOracle(t, data)
	fields := o.array()
	a.Kind, a.ID = uint8(o.uint()), uint32(o.uint())
	switch a.Kind {
	case KindAccepted, KindOutOfStep:
		a.Seq = uint32(o.uint())
	case KindGranted:
		a.Seq, a.Stream, a.Token = uint32(o.uint()), uint32(o.uint()), o.uint()
		a.Time, a.Item = o.uint(), uint32(o.uint())
		a.Grant, a.Certificate = o.blob(), o.blob()
	case KindRefused:
		a.Seq, a.Stream, a.Token = uint32(o.uint()), uint32(o.uint()), o.uint()
		a.Code, a.Item, a.ItemName = Code(o.uint()), uint32(o.uint()), o.blob()
	case KindPong:
		a.Time = o.uint()
	case KindBusy:
		a.RetryAfter = uint32(o.uint())
	case KindNoStream:
		a.Challenge = o.uint()
	}
	o.skip(fields - len(answerFields[a.Kind]))
	return a, o.reader.Len()
}

func oracleHello(t *testing.T, data []byte) Hello {
	o := newOracle(t, data)
	fields := o.array()
	h := Hello{string(o.blob()), string(o.blob()), string(o.blob()), o.blob()}
	o.skip(fields - 4)
	return h
}

func oracleHelloReply(t *testing.T, data []byte) *HelloReply {
	o := newOracle(t, data)
	fields := o.array()
	r := &HelloReply{Code(o.uint()), o.blob(), o.blob(), o.blob(), o.uint()}
	o.skip(fields - 5)
	return r
}
