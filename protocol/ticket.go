package protocol

import (
	"crypto/sha256"
	"encoding/binary"
)

// Ticket names a session in clear, so that nothing is stored for it and any
// event loop, a restarted server or a standby can serve it: the keys are a KDF
// of these bytes under a server-side ticket key. Layout, big-endian: key epoch 4,
// expiry in unix seconds 4, project ordinal 4, password generation 4, random 8.
type Ticket [TicketBytes]byte

// MakeTicket packs a ticket. random must be fresh for every ticket.
func MakeTicket(epoch, expires, project, passwordGeneration uint32, random [8]byte) (t Ticket) {
	binary.BigEndian.PutUint32(t[0:], epoch)
	binary.BigEndian.PutUint32(t[4:], expires)
	binary.BigEndian.PutUint32(t[8:], project)
	binary.BigEndian.PutUint32(t[12:], passwordGeneration)
	copy(t[16:], random[:])
	return t
}

// Epoch is the number of the ticket key that the session keys derive from.
func (t Ticket) Epoch() uint32 { return binary.BigEndian.Uint32(t[0:]) }

// Expires is the unix second from which the server refuses the ticket.
func (t Ticket) Expires() uint32 { return binary.BigEndian.Uint32(t[4:]) }

// Project is the ordinal of the project that the handshake was made for.
func (t Ticket) Project() uint32 { return binary.BigEndian.Uint32(t[8:]) }

// PasswordGeneration is the generation of the session password it was given for [PRJ-3].
func (t Ticket) PasswordGeneration() uint32 { return binary.BigEndian.Uint32(t[12:]) }

// Keys are the AES-128 keys of a ticket, one a direction.
type Keys struct {
	Up   [16]byte // client to server
	Down [16]byte // server to client
}

const ticketInfo = "muster ticket keys v1"

// DeriveKeys computes a ticket's keys from the ticket key of its epoch:
// HKDF-Expand with SHA-256 (RFC 5869 §2.3), one block. Written out on the stack
// because a stranger's datagram may cost a derivation but no allocation.
func DeriveKeys(ticketKey *[32]byte, t *Ticket) (k Keys) {
	const block = 64
	var inner [block + len(ticketInfo) + TicketBytes + 1]byte
	var outer [block + sha256.Size]byte
	for i := range block {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, b := range ticketKey {
		inner[i] ^= b
		outer[i] ^= b
	}
	n := block + copy(inner[block:], ticketInfo)
	n += copy(inner[n:], t[:])
	inner[n] = 1
	sum := sha256.Sum256(inner[:])
	copy(outer[block:], sum[:])
	sum = sha256.Sum256(outer[:])
	copy(k.Up[:], sum[:16])
	copy(k.Down[:], sum[16:])
	return k
}
