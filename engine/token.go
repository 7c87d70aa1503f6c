package engine

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"

	"muster/protocol"
)

// tokenKey computes the tokens that prove streams: a PRF of (uuid, stream,
// generation), so that one licensed device cannot act for another. It is
// AES-CBC-MAC over exactly two blocks, a PRF for inputs of one fixed length
// (Bellare, Kilian, Rogaway 1994), cut to 8 bytes.
type tokenKey struct {
	block cipher.Block
	buf   *[aes.BlockSize]byte // on the heap once: the cipher's interface would put it there every time
}

func newTokenKey(key [16]byte) tokenKey {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("engine: AES-128 refuses a 16-byte key: " + err.Error())
	}
	return tokenKey{block, new([aes.BlockSize]byte)}
}

func (k tokenKey) token(uuid *[16]byte, stream uint32, generation uint16) uint64 {
	*k.buf = *uuid
	k.block.Encrypt(k.buf[:], k.buf[:])
	head := le.Uint64(k.buf[:]) ^ (uint64(stream)<<16 | uint64(generation))
	le.PutUint64(k.buf[:], head)
	k.block.Encrypt(k.buf[:], k.buf[:])
	return le.Uint64(k.buf[:])
}

// challenge is the word that a check-in which asks for a place has to show: a
// MAC of the check-in and of the client's streams as they stand. Every ask that
// is acted upon changes a generation, a flag, the number of streams or when its
// stream was last written, so a recorded ask that is played again shows a word
// that holds no more.
func (c *Core) challenge(r *protocol.Request) uint64 {
	mac := hmac.New(sha256.New, c.config.TokenKey[:])
	b := append([]byte("muster challenge v1\x00"), r.UUID[:]...)
	b = le.AppendUint32(le.AppendUint32(b, r.Stream), r.Tag)
	if cl, known := c.client(&r.UUID); known {
		c.streams(cl, func(n uint32, d *deviceRow) bool {
			b = le.AppendUint16(le.AppendUint16(b, d.generation), d.flags)
			if n+1 == r.Stream {
				b = le.AppendUint32(le.AppendUint32(b, d.lastSeq), d.lastSeen)
			}
			return true
		})
	}
	mac.Write(b)
	return max(1, le.Uint64(mac.Sum(nil)))
}
