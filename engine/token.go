package engine

import (
	"crypto/aes"
	"crypto/cipher"
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
