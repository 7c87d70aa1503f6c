package protocol

import (
	"fmt"
	"slices"
)

// UUID is a client UUID as it travels: 16 bytes.
type UUID = [16]byte

// Request is one message from a device. Every slice in it is borrowed: from the
// buffer it was decoded from, and from its Decoder's arenas.
//
// All changes a device asks for share one sequence: Stream, Token, Seq and Tag
// stand in every check-in, report and release.
type Request struct {
	Kind uint8
	// ID is the request id; the answer repeats it.
	ID uint32
	// UUID is the client UUID [CLI-4].
	UUID UUID
	// Stream is the stream number the server gave, 0 at first contact [CLI-9].
	Stream uint32
	// Token proves the stream: a PRF of (uuid, stream, generation).
	Token uint64
	// Seq is the sequence number of this change in its stream. A check-in with
	// 0 asks for a stream, or for the place in one after a restored backup.
	Seq uint32
	// Tag is a random number drawn when the change was made and kept through
	// every resend. It tells a resend from a clone [CLI-5].
	Tag uint32
	// Item is the ordinal of the item that a report or release is about.
	Item uint32
	// Lines are what a report counts.
	Lines []Line
	// CheckIn is set for a check-in only.
	CheckIn *CheckIn
	// Padding makes a check-in longer by a last field of so many bytes that is
	// skipped: an answer by datagram is never longer than its request. It is not
	// read back.
	Padding int
}

// Line is one count of a report [CLI-3].
type Line struct {
	Slot   uint32 // unix seconds / SlotSeconds
	Module uint16 // module ordinal from the grant
	Count  uint32 // scans or pages, at most MaxLineCount
}

// CheckIn is what a device asks for [CLI-1].
type CheckIn struct {
	Product    []byte
	Version    uint32 // major version
	Edition    []byte
	Deployment []byte
	Modules    [][]byte // names, at most MaxModules
	ChargeWay  uint8    // 0: any
	Validation []byte   // domain, application id or process name [PRJ-5]
	Instances  uint32   // for concurrent-instance, else 0
	BootClock  uint64   // milliseconds since the device started
	KnownCert  uint64   // first 8 bytes of the SHA-256 of the proof that the device holds, 0: none
	Challenge  uint64   // the word of a NoStream that this check-in was answered with before, else 0
}

// Decoder decodes messages into arenas that it reuses: no allocation in steady
// state. What it returned is valid until Reset.
type Decoder struct {
	lines    []Line
	checkIns []CheckIn
	modules  [][]byte
}

// Grow makes room for so many lines of reports.
func (d *Decoder) Grow(lines int) {
	d.lines = slices.Grow(d.lines, lines)
	clear(d.lines[len(d.lines):cap(d.lines)])
}

// Decoded is how far the arenas of a Decoder are in use.
type Decoded struct{ lines, checkIns, modules int }

// Decoded is what is in use now.
func (d *Decoder) Decoded() Decoded {
	return Decoded{len(d.lines), len(d.checkIns), len(d.modules)}
}

// Rewind gives back what has been used since. Requests decoded since are dead then.
func (d *Decoder) Rewind(to Decoded) {
	d.lines, d.checkIns, d.modules = d.lines[:to.lines], d.checkIns[:to.checkIns], d.modules[:to.modules]
}

// Reset gives the arenas back. Requests decoded before are dead then.
func (d *Decoder) Reset() { d.Rewind(Decoded{}) }

// MalformedError says which field of which message could not be read. Kind is 0
// in a handshake, and when the type itself could not be read.
type MalformedError struct {
	Kind  uint8
	Field string
}

// Error names the field.
func (e *MalformedError) Error() string {
	if e.Kind == 0 {
		return fmt.Sprintf("field %q is missing, of the wrong type or out of bounds", e.Field)
	}
	return fmt.Sprintf("message type %d: field %q is missing, of the wrong type or out of bounds", e.Kind, e.Field)
}

// Request decodes the first message of b into r and returns the bytes behind it.
func (d *Decoder) Request(b []byte, r *Request) (rest []byte, err error) {
	c := cursor{b: b}
	fields := c.array("message")
	*r = Request{}
	r.Kind, r.ID = uint8(min(c.uint("type"), 255)), c.uint32("request id")
	known := 2
	switch r.Kind {
	case KindReport:
		known = 9
		c.change(r)
		r.Item = c.uint32("item")
		d.reportLines(&c, r)
	case KindCheckIn:
		known = 18
		c.change(r)
		d.checkIn(&c, r)
	case KindRelease:
		known = 8
		c.change(r)
		r.Item = c.uint32("item")
	case KindPing:
	default:
		c.fail("type")
	}
	if fields < known {
		c.fail("message")
	}
	c.skip(fields-known, "trailing fields")
	if c.fault != "" {
		return nil, &MalformedError{r.Kind, c.fault}
	}
	return b[c.at:], nil
}

// change reads the five fields that every change begins with.
func (c *cursor) change(r *Request) {
	if id := c.blob(16, "client uuid"); len(id) == 16 {
		r.UUID = UUID(id)
	} else {
		c.fail("client uuid")
	}
	r.Stream = c.uint32("stream")
	r.Token = c.uint("token")
	r.Seq = c.uint32("sequence")
	r.Tag = c.uint32("tag")
}

func (d *Decoder) reportLines(c *cursor, r *Request) {
	n := c.array("lines")
	if n > MaxReportLines {
		c.fail("lines")
		return
	}
	first := len(d.lines)
	for range n {
		fields := c.array("line")
		line := Line{Slot: c.uint32("slot"), Module: c.uint16("module"), Count: c.uint32("count")}
		if line.Count > MaxLineCount {
			c.fail("count")
		}
		if fields < 3 {
			c.fail("line")
		}
		c.skip(fields-3, "line")
		if c.fault != "" {
			return
		}
		d.lines = append(d.lines, line)
	}
	r.Lines = d.lines[first:len(d.lines):len(d.lines)]
}

func (d *Decoder) checkIn(c *cursor, r *Request) {
	var in CheckIn
	in.Product = c.blob(MaxString, "product")
	in.Version = c.uint32("version")
	in.Edition = c.blob(MaxString, "edition")
	in.Deployment = c.blob(MaxString, "deployment")
	n := c.array("modules")
	if n > MaxModules {
		c.fail("modules")
		return
	}
	first := len(d.modules)
	for range n {
		d.modules = append(d.modules, c.blob(MaxString, "module"))
	}
	in.Modules = d.modules[first:len(d.modules):len(d.modules)]
	in.ChargeWay = uint8(min(c.uint("charge way"), 255))
	in.Validation = c.blob(MaxString, "validation value")
	in.Instances = c.uint32("instances")
	in.BootClock = c.uint("boot clock")
	in.KnownCert = c.uint("known certificate")
	in.Challenge = c.uint("challenge")
	d.checkIns = append(d.checkIns, in)
	r.CheckIn = &d.checkIns[len(d.checkIns)-1]
}

// AppendRequest appends r as a message. Lengths above the limits are the
// caller's fault and come back from the server as malformed.
func AppendRequest(dst []byte, r *Request) []byte {
	switch r.Kind {
	case KindReport:
		dst = appendChange(appendArray(dst, 9), r)
		dst = appendUint(dst, uint64(r.Item))
		dst = appendArray(dst, len(r.Lines))
		for _, l := range r.Lines {
			dst = appendUint(append(dst, 0x93), uint64(l.Slot))
			dst = appendUint(dst, uint64(l.Module))
			dst = appendUint(dst, uint64(l.Count))
		}
	case KindCheckIn:
		fields := 18
		if r.Padding > 0 {
			fields++
		}
		dst = appendCheckIn(appendChange(appendArray(dst, fields), r), r.CheckIn)
		if r.Padding > 0 {
			dst = appendBin(dst, make([]byte, r.Padding))
		}
	case KindRelease:
		dst = appendChange(appendArray(dst, 8), r)
		dst = appendUint(dst, uint64(r.Item))
	default:
		dst = appendUint(append(dst, 0x92, r.Kind), uint64(r.ID))
	}
	return dst
}

func appendChange(dst []byte, r *Request) []byte {
	dst = appendUint(append(dst, r.Kind), uint64(r.ID))
	dst = appendBin(dst, r.UUID[:])
	dst = appendUint(dst, uint64(r.Stream))
	dst = appendUint(dst, r.Token)
	dst = appendUint(dst, uint64(r.Seq))
	return appendUint(dst, uint64(r.Tag))
}

func appendCheckIn(dst []byte, in *CheckIn) []byte {
	dst = appendString(dst, in.Product)
	dst = appendUint(dst, uint64(in.Version))
	dst = appendString(dst, in.Edition)
	dst = appendString(dst, in.Deployment)
	dst = appendArray(dst, len(in.Modules))
	for _, m := range in.Modules {
		dst = appendString(dst, m)
	}
	dst = appendUint(dst, uint64(in.ChargeWay))
	dst = appendString(dst, in.Validation)
	dst = appendUint(dst, uint64(in.Instances))
	dst = appendUint(dst, in.BootClock)
	dst = appendUint(dst, in.KnownCert)
	return appendUint(dst, in.Challenge)
}
