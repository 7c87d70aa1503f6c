package protocol

import (
	"crypto/aes"
	"crypto/cipher"
	"slices"
)

// Session seals and opens the records of one ticket. Nonces are random and come
// from the caller, safety against replay comes from the device's sequence. A
// Session may be used by several goroutines, but for OpenRequest: it counts.
type Session struct {
	Ticket   Ticket
	seal     cipher.AEAD
	open     cipher.AEAD
	requests uint32 // opened
}

// NewClientSession makes the device's end of a ticket.
func NewClientSession(t Ticket, k Keys) *Session {
	return &Session{Ticket: t, seal: newGCM(k.Up), open: newGCM(k.Down)}
}

// NewServerSession makes the server's end of a ticket.
func NewServerSession(t Ticket, k Keys) *Session {
	return &Session{Ticket: t, seal: newGCM(k.Down), open: newGCM(k.Up)}
}

func newGCM(key [16]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("protocol: AES-128 refuses a 16-byte key: " + err.Error())
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("protocol: GCM refuses AES: " + err.Error())
	}
	return gcm
}

// BeginRequest appends room for the clear part of a Request record. Append the
// messages behind it, then call FinishRequest with the same start = len(dst).
func BeginRequest(dst []byte) []byte {
	return append(dst, make([]byte, HeaderBytes+TicketBytes+NonceBytes)...)
}

// FinishRequest seals the messages that stand behind the room which
// BeginRequest made at rec[start:], in place, and returns rec with the tag.
func (s *Session) FinishRequest(rec []byte, start int, nonce *[NonceBytes]byte) []byte {
	const clear = HeaderBytes + TicketBytes
	copy(rec[start+HeaderBytes:], s.Ticket[:])
	return finish(s.seal, rec, start, TypeRequest, clear, nonce)
}

// BeginReply appends room for the clear part of a Reply record.
func BeginReply(dst []byte) []byte {
	return append(dst, make([]byte, HeaderBytes+NonceBytes)...)
}

// FinishReply seals the messages behind BeginReply's room at rec[start:], in place.
func (s *Session) FinishReply(rec []byte, start int, nonce *[NonceBytes]byte) []byte {
	return finish(s.seal, rec, start, TypeReply, HeaderBytes, nonce)
}

func finish(aead cipher.AEAD, rec []byte, start int, kind byte, clear int, nonce *[NonceBytes]byte) []byte {
	body := start + clear + NonceBytes
	putHeader(rec[start:], kind, len(rec)-start-HeaderBytes+TagBytes)
	copy(rec[start+clear:], nonce[:])
	rec = slices.Grow(rec, TagBytes) // so it is sealed in place
	sealed := aead.Seal(rec[body:body], rec[start+clear:body], rec[body:], rec[start:start+clear])
	return rec[:body+len(sealed)]
}

// OpenRequest opens a whole Request record and appends its messages to dst.
// The record itself stays as it was: it is borrowed from a read buffer. After
// MaxTicketRecords of them it returns ErrTicketSpent.
func (s *Session) OpenRequest(dst, rec []byte) ([]byte, error) {
	const clear = HeaderBytes + TicketBytes
	if s.requests >= MaxTicketRecords {
		return dst, ErrTicketSpent
	}
	opened, err := open(s.open, dst, rec, clear)
	if err == nil {
		s.requests++
	}
	return opened, err
}

// OpenReply opens a whole Reply record and appends its messages to dst.
func (s *Session) OpenReply(dst, rec []byte) ([]byte, error) {
	return open(s.open, dst, rec, HeaderBytes)
}

func open(aead cipher.AEAD, dst, rec []byte, clear int) ([]byte, error) {
	// Open itself would make room for this record alone, and copy all of dst for
	// the next one again.
	dst = slices.Grow(dst, len(rec)-clear-NonceBytes-TagBytes)
	out, err := aead.Open(dst, rec[clear:clear+NonceBytes], rec[clear+NonceBytes:], rec[:clear])
	if err != nil {
		return dst, ErrSealed
	}
	return out, nil
}

// RequestTicket returns the ticket of a Request record, borrowed from it.
func RequestTicket(rec []byte) *Ticket { return (*Ticket)(rec[HeaderBytes:]) }
