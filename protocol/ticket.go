package protocol

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
)

// Ticket names a session in clear, so that nothing is stored for it and any
// event loop, a restarted server or a standby can serve it: the keys are a KDF
// of these bytes under a server-side ticket key. Layout, big-endian: key epoch 4,
// expiry in unix seconds 4, project ordinal 2, password generation 2, random 8,
// tag 4. The tag is a MAC of the bytes before it under the ticket key, so that a
// made-up ticket is told without setting up a cipher.
type Ticket [TicketBytes]byte

const ticketTagAt = TicketBytes - 4

// MakeTicket packs a ticket under its epoch's key. random must be fresh for every
// ticket.
func MakeTicket(ticketKey *[32]byte, epoch, expires uint32, project, passwordGeneration uint16, random [8]byte) (t Ticket) {
	binary.BigEndian.PutUint32(t[0:], epoch)
	binary.BigEndian.PutUint32(t[4:], expires)
	binary.BigEndian.PutUint16(t[8:], project)
	binary.BigEndian.PutUint16(t[10:], passwordGeneration)
	copy(t[12:], random[:])
	copy(t[ticketTagAt:], t.tag(ticketKey))
	return t
}

// Genuine says whether a server with this ticket key made the ticket. A stranger
// has 1 chance in 2^32, and no keys then either.
func (t *Ticket) Genuine(ticketKey *[32]byte) bool {
	return subtle.ConstantTimeCompare(t.tag(ticketKey), t[ticketTagAt:]) == 1
}

func (t *Ticket) tag(ticketKey *[32]byte) []byte {
	sum := expand(ticketKey, ticketTagInfo, t[:ticketTagAt])
	return sum[:TicketBytes-ticketTagAt]
}

// Epoch is the number of the ticket key that the session keys derive from.
func (t Ticket) Epoch() uint32 { return binary.BigEndian.Uint32(t[0:]) }

// Expires is the unix second from which the server refuses the ticket.
func (t Ticket) Expires() uint32 { return binary.BigEndian.Uint32(t[4:]) }

// Project is the ordinal of the project that the handshake was made for.
func (t Ticket) Project() uint32 { return uint32(binary.BigEndian.Uint16(t[8:])) }

// PasswordGeneration is the generation of the session password it was given for [PRJ-3].
func (t Ticket) PasswordGeneration() uint32 { return uint32(binary.BigEndian.Uint16(t[10:])) }

// Keys are the AES-128 keys of a ticket, one a direction.
type Keys struct {
	Up   [16]byte // client to server
	Down [16]byte // server to client
}

// Labels of the two derivations from a ticket key, of the same length.
const (
	ticketKeysInfo = "muster ticket keys v1"
	ticketTagInfo  = "muster ticket tag  v1"
)

// DeriveKeys computes a ticket's keys from the ticket key of its epoch.
func DeriveKeys(ticketKey *[32]byte, t *Ticket) (k Keys) {
	sum := expand(ticketKey, ticketKeysInfo, t[:])
	copy(k.Up[:], sum[:16])
	copy(k.Down[:], sum[16:])
	return k
}

// expand is HKDF-Expand with SHA-256 (RFC 5869 §2.3), one block. Written out on
// the stack because a stranger's datagram may cost a derivation but no allocation.
func expand(key *[32]byte, label string, data []byte) [sha256.Size]byte {
	const block = 64
	var inner [block + len(ticketKeysInfo) + TicketBytes + 1]byte
	var outer [block + sha256.Size]byte
	for i := range block {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, b := range key {
		inner[i] ^= b
		outer[i] ^= b
	}
	n := block + copy(inner[block:], label)
	n += copy(inner[n:], data)
	inner[n] = 1
	sum := sha256.Sum256(inner[:n+1])
	copy(outer[block:], sum[:])
	return sha256.Sum256(outer[:])
}
