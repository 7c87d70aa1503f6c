package license

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// The binary forms of this package are big-endian. A string8 is its length (u8) and then its bytes; a list is the number
// of its entries (u8) and then the entries.

// appendLength8 relies on what Check has bounded.
func appendLength8(dst []byte, n int) []byte {
	if n > 255 {
		panic(fmt.Sprintf("license: a length of %d does not fit one byte", n))
	}
	return append(dst, byte(n))
}

func appendString8(dst []byte, s string) []byte {
	return append(appendLength8(dst, len(s)), s...)
}

// decoder takes a binary form apart. After the first fault it yields zeros, so that one look at fault at the end is
// enough; a length is compared with what remains before it is believed.
type decoder struct {
	rest  []byte
	fault *Error
}

// times yields as often as the next byte says, and no further once something is
// wrong: a number may promise more than there is.
func (d *decoder) times(field string) iter.Seq[struct{}] {
	return func(yield func(struct{}) bool) {
		for n := d.u8(field); n > 0 && d.fault == nil && yield(struct{}{}); n-- {
		}
	}
}

func (d *decoder) fail(field, format string, args ...any) {
	if d.fault == nil {
		d.fault = fault(Syntax, field, format, args...)
	}
	d.rest = nil
}

// bytes is the next n bytes, or nil; they are not copied.
func (d *decoder) bytes(field string, n int) []byte {
	if d.fault != nil || n > len(d.rest) {
		d.fail(field, "is cut short: %d bytes are due and %d are left", n, len(d.rest))
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) u8(field string) uint8 {
	if b := d.bytes(field, 1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) u16(field string) uint16 {
	if b := d.bytes(field, 2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) u32(field string) uint32 {
	if b := d.bytes(field, 4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) u64(field string) uint64 {
	if b := d.bytes(field, 8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) string8(field string) string {
	return string(d.bytes(field, int(d.u8(field))))
}

func (d *decoder) array32(field string) (a [32]byte) {
	copy(a[:], d.bytes(field, len(a)))
	return a
}

// version takes the first byte, the version of the encoding.
func (d *decoder) version(want uint8) {
	if got := d.u8("version"); d.fault == nil && got != want {
		d.fail("version", "the encoding has version %d; this version of muster reads %d, so update muster", got, want)
		d.fault.Kind = UnsupportedVersion
	}
}

// end is the fault met on the way, if there was one; bytes that are left over are one too.
func (d *decoder) end() error {
	if d.fault == nil && len(d.rest) > 0 {
		d.fail("", "%d bytes too many", len(d.rest))
	}
	if d.fault != nil {
		return d.fault
	}
	return nil
}
