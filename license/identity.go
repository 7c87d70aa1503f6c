package license

import (
	"crypto/ed25519"
	"crypto/sha256"
)

// IdentitySize is the length of an encoded ServerIdentity, bytes.
const IdentitySize = 1 + ed25519.PublicKeySize + 32 + 32

// ServerIdentity is what a server's UUID commits to [SRV-1]. Its encoding:
//
//	mode           u8: 1 key, 2 hardware
//	signing key    32 bytes, Ed25519: signs grants
//	handshake key  32 bytes, X25519: opens sessions
//	machine digest 32 bytes, all zero in key mode [SRV-2]
type ServerIdentity struct {
	Mode          Binding
	SigningKey    ed25519.PublicKey
	HandshakeKey  [32]byte
	MachineDigest [32]byte // zero in key mode
}

// UUID is the first 128 bits of SHA-256(tag ‖ encoding): whoever is told only the UUID has bound a license to the keys.
// It panics when the identity's signing key has not its size.
func (s ServerIdentity) UUID() UUID {
	sum := sha256.Sum256(s.AppendBinary([]byte(tagServerUUID)))
	return UUID(sum[:16])
}

// AppendBinary appends the encoding, IdentitySize bytes. It panics when the signing key has not its size.
func (s ServerIdentity) AppendBinary(dst []byte) []byte {
	if len(s.SigningKey) != ed25519.PublicKeySize {
		panic("license: a server identity without a signing key")
	}
	dst = append(append(dst, byte(s.Mode)), s.SigningKey...)
	return append(append(dst, s.HandshakeKey[:]...), s.MachineDigest[:]...)
}

// ParseServerIdentity reads the form of AppendBinary from the front of data and returns what follows it. A machine digest
// stands in hardware mode and only there. The result keeps nothing of data.
func ParseServerIdentity(data []byte) (s ServerIdentity, rest []byte, err error) {
	d := decoder{rest: data}
	s.Mode = Binding(d.u8("mode"))
	signing := d.array32("signing key")
	s.SigningKey = signing[:]
	s.HandshakeKey = d.array32("handshake key")
	s.MachineDigest = d.array32("machine digest")
	switch {
	case d.fault != nil:
	case s.Mode != BindKey && s.Mode != BindHardware:
		d.fail("mode", "%d is not a binding mode", uint8(s.Mode))
	case (s.MachineDigest != [32]byte{}) != (s.Mode == BindHardware):
		d.fail("machine digest", "does not fit binding mode %s", s.Mode)
	}
	if d.fault != nil {
		return ServerIdentity{}, nil, d.fault
	}
	return s, d.rest, nil
}
