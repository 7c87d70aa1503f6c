package protocol

import "encoding/binary"

// cursor reads msgpack from a borrowed buffer. It never allocates. The first
// fault sticks in fault, and every later read returns zero values, so a decoder
// reads all its fields and looks at fault once.
type cursor struct {
	b     []byte
	at    int
	fault string // "" while all is well, else the name of the field that failed
}

func (c *cursor) fail(field string) {
	if c.fault == "" {
		c.fault = field
		c.at = len(c.b)
	}
}

// take returns the next n bytes.
func (c *cursor) take(n int, field string) []byte {
	if uint(n) > uint(len(c.b)-c.at) {
		c.fail(field)
		return nil
	}
	c.at += n
	return c.b[c.at-n : c.at : c.at]
}

// uint reads an unsigned integer of any msgpack width.
func (c *cursor) uint(field string) uint64 {
	if c.at >= len(c.b) {
		c.fail(field)
		return 0
	}
	first := c.b[c.at]
	if first < 0x80 {
		c.at++
		return uint64(first)
	}
	if rest := c.b[c.at+1:]; first == 0xce && len(rest) >= 4 { // the common wide case
		c.at += 5
		return uint64(binary.BigEndian.Uint32(rest))
	}
	return c.wideUint(first, field)
}

func (c *cursor) wideUint(first byte, field string) uint64 {
	if first < 0xcc || first > 0xcf {
		c.fail(field)
		return 0
	}
	width := 1 << (first - 0xcc)
	c.at++
	var v uint64
	for _, b := range c.take(width, field) {
		v = v<<8 | uint64(b)
	}
	return v
}

// uint32 reads an unsigned integer that must fit 32 bits.
func (c *cursor) uint32(field string) uint32 {
	v := c.uint(field)
	if v > 1<<32-1 {
		c.fail(field)
		return 0
	}
	return uint32(v)
}

// uint16 reads an unsigned integer that must fit 16 bits: a larger one must not
// be cut to another that means something.
func (c *cursor) uint16(field string) uint16 {
	v := c.uint(field)
	if v > 1<<16-1 {
		c.fail(field)
		return 0
	}
	return uint16(v)
}

// blob reads a msgpack bin (or str) of at most limit bytes, borrowed.
func (c *cursor) blob(limit int, field string) []byte {
	head := c.take(1, field)
	if head == nil {
		return nil
	}
	n := -1
	switch first := head[0]; {
	case first >= 0xa0 && first <= 0xbf:
		n = int(first & 0x1f)
	case first == 0xc4, first == 0xd9:
		n = c.length(1, field)
	case first == 0xc5, first == 0xda:
		n = c.length(2, field)
	case first == 0xc0: // nil stands for absent
		return nil
	}
	if n < 0 || n > limit {
		c.fail(field)
		return nil
	}
	return c.take(n, field)
}

// lengthMax is above every length that can be right, and so small that an int of
// 32 bits holds its double.
const lengthMax = 1 << 28

// length reads a big-endian length of width bytes (1, 2 or 4), cut to lengthMax.
func (c *cursor) length(width int, field string) int {
	n := uint32(0)
	for _, b := range c.take(width, field) {
		n = n<<8 | uint32(b)
	}
	return int(min(n, lengthMax))
}

// array reads an array header. Every element takes at least a byte, so a count
// above what remains is a lie and fails here.
func (c *cursor) array(field string) int {
	head := c.take(1, field)
	if head == nil {
		return 0
	}
	n := -1
	switch first := head[0]; {
	case first >= 0x90 && first <= 0x9f:
		n = int(first & 0x0f)
	case first == 0xdc:
		n = c.length(2, field)
	case first == 0xdd:
		n = c.length(4, field)
	}
	if n < 0 || n > len(c.b)-c.at {
		c.fail(field)
		return 0
	}
	return n
}

// skip passes over n whole values, nested ones too, without recursion.
func (c *cursor) skip(n int, field string) {
	for ; n > 0 && c.fault == ""; n-- {
		head := c.take(1, field)
		if head == nil {
			return
		}
		first := head[0]
		switch {
		case first <= 0x7f, first >= 0xe0, first == 0xc0, first == 0xc2, first == 0xc3:
		case first <= 0x8f:
			n += 2 * int(first&0x0f)
		case first <= 0x9f:
			n += int(first & 0x0f)
		case first <= 0xbf:
			c.take(int(first&0x1f), field)
		default:
			n += c.skipWide(first, field)
		}
	}
}

// skipWide passes the rest of a value with a wide head and returns how many
// values are nested in it.
func (c *cursor) skipWide(first byte, field string) int {
	switch {
	case first >= 0xc4 && first <= 0xc6: // bin
		c.take(c.length(1<<(first-0xc4), field), field)
	case first >= 0xc7 && first <= 0xc9: // ext
		c.take(c.length(1<<(first-0xc7), field)+1, field)
	case first == 0xca, first == 0xcb: // float
		c.take(4<<(first-0xca), field)
	case first >= 0xcc && first <= 0xcf: // uint
		c.take(1<<(first-0xcc), field)
	case first >= 0xd0 && first <= 0xd3: // int
		c.take(1<<(first-0xd0), field)
	case first >= 0xd4 && first <= 0xd8: // fixext
		c.take(1<<(first-0xd4)+1, field)
	case first >= 0xd9 && first <= 0xdb: // str
		c.take(c.length(1<<(first-0xd9), field), field)
	case first == 0xdc, first == 0xdd: // array
		return c.nested(c.length(2<<(first-0xdc), field), field)
	case first == 0xde, first == 0xdf: // map
		return c.nested(2*c.length(2<<(first-0xde), field), field)
	default: // 0xc1 is never used
		c.fail(field)
	}
	return 0
}

// nested bounds a count of nested values by the bytes that remain.
func (c *cursor) nested(n int, field string) int {
	if n > len(c.b)-c.at {
		c.fail(field)
		return 0
	}
	return n
}

// appendUint appends v in its shortest msgpack form.
func appendUint(dst []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(dst, byte(v))
	case v < 1<<8:
		return append(dst, 0xcc, byte(v))
	case v < 1<<16:
		return append(dst, 0xcd, byte(v>>8), byte(v))
	case v < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), v)
}

// A length is never cut to fit its head, over the limits neither: what follows
// would be read as fields, and who chooses a long string would choose them.

// appendArray appends an array header.
func appendArray(dst []byte, n int) []byte {
	if n < 16 {
		return append(dst, 0x90|byte(n))
	}
	return appendLength(dst, n, 0, 0xdc, 0xdd)
}

// appendBin appends b as msgpack bin; nil becomes the msgpack nil.
func appendBin(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 0xc0)
	}
	return append(appendLength(dst, len(b), 0xc4, 0xc5, 0xc6), b...)
}

// appendString appends s as msgpack str.
func appendString(dst, s []byte) []byte {
	if len(s) < 32 {
		dst = append(dst, 0xa0|byte(len(s)))
	} else {
		dst = appendLength(dst, len(s), 0xd9, 0xda, 0xdb)
	}
	return append(dst, s...)
}

// appendLength appends n behind the first of the three heads that is there and
// wide enough: for 8 bits (0: none), 16 or 32.
func appendLength(dst []byte, n int, head8, head16, head32 byte) []byte {
	switch {
	case n < 1<<8 && head8 != 0:
		return append(dst, head8, byte(n))
	case n < 1<<16:
		return append(dst, head16, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, head32), uint32(n))
}
