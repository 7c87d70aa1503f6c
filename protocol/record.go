package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors of the record layer. A connection that causes one is closed.
var (
	ErrMagic   = errors.New("record: not a muster record (first bytes are not \"Ms\")")
	ErrVersion = errors.New("record: unknown version")
	ErrType    = errors.New("record: unknown or unexpected type")
	ErrLength  = errors.New("record: length out of bounds")
	ErrSealed  = errors.New("record: does not open under its ticket (altered, or other keys)")

	ErrTicketSpent = errors.New("record: its ticket has served for as many records as it may")
)

// minimum is the shortest length field of each record type.
var minimum = [...]int{
	TypeHello:      helloEncBytes + TagBytes,
	TypeHelloReply: helloNonceBytes + TagBytes,
	TypeRequest:    TicketBytes + NonceBytes + TagBytes,
	TypeReply:      NonceBytes + TagBytes,
	TypeReject:     1,
}

// Header reads the record header at the start of b and returns the record's
// type and its total length in bytes, header included. size is 0 while b is too
// short to tell; the record is complete when len(b) >= size.
func Header(b []byte) (kind byte, size int, err error) {
	switch {
	case len(b) >= 1 && b[0] != magic0, len(b) >= 2 && b[1] != magic1:
		return 0, 0, ErrMagic
	case len(b) >= 3 && b[2] != Version:
		return 0, 0, fmt.Errorf("%w %d, this side speaks %d", ErrVersion, b[2], Version)
	case len(b) < HeaderBytes:
		return 0, 0, nil
	}
	kind = b[3]
	if kind < TypeHello || kind > TypeReject {
		return 0, 0, ErrType
	}
	length := binary.BigEndian.Uint32(b[4:])
	if length < uint32(minimum[kind]) || length > MaxRecord-HeaderBytes {
		return 0, 0, ErrLength
	}
	return kind, HeaderBytes + int(length), nil
}

// putHeader writes the header of a record whose rest is length bytes long.
func putHeader(b []byte, kind byte, length int) {
	b[0], b[1], b[2], b[3] = magic0, magic1, Version, kind
	binary.BigEndian.PutUint32(b[4:], uint32(length))
}

// Reject reasons, the body of a Reject record.
const (
	// RejectTicket: the ticket has expired or its key is gone, or the record does
	// not open under it.
	// The client forgets it and makes a new handshake.
	RejectTicket = 1
	// RejectMalformed: the record could not be read. The connection closes.
	RejectMalformed = 2
	// RejectBusy: too many connections or handshakes. Come back later.
	RejectBusy = 3
)

// AppendReject appends a Reject record.
func AppendReject(dst []byte, reason byte) []byte {
	dst = append(dst, magic0, magic1, Version, TypeReject, 0, 0, 0, 1)
	return append(dst, reason)
}
