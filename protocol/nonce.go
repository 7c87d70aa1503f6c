package protocol

import "crypto/rand"

// Nonces are random bytes from the kernel for sealed records, taken in blocks:
// one system call serves hundreds of records. One goroutine uses it.
type Nonces struct {
	block [noncesPerBlock * NonceBytes]byte
	left  int
	taken int64 // unix seconds
}

const noncesPerBlock = 256

// Next returns a nonce that was never returned before.
func (n *Nonces) Next() *[NonceBytes]byte {
	if n.left == 0 {
		rand.Read(n.block[:])
		n.left = noncesPerBlock
	}
	n.left--
	return (*[NonceBytes]byte)(n.block[n.left*NonceBytes:])
}

// Freshen throws the block away when it was taken in another second than now
// (unix seconds): a virtual machine that is copied while it runs repeats no more
// nonces than those of one second.
func (n *Nonces) Freshen(now int64) {
	if now != n.taken {
		n.left, n.taken = 0, now
	}
}
