package license

import (
	"crypto/sha256"
	"fmt"
	"math/bits"
)

// Hash is a SHA-256 value of a Merkle tree.
type Hash [32]byte

// Prefixes of RFC 6962, section 2.1: without them a node could be shown as a leaf. Frozen.
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// LeafHash is SHA-256(0x00 ‖ data).
func LeafHash(data []byte) Hash {
	var short [512]byte // most leaves fit, and then nothing is allocated
	return sha256.Sum256(append(append(short[:0], leafPrefix), data...))
}

// NodeHash is SHA-256(0x01 ‖ l ‖ r).
func NodeHash(l, r Hash) Hash {
	var b [1 + 2*len(Hash{})]byte
	b[0] = nodePrefix
	copy(b[1:], l[:])
	copy(b[1+len(l):], r[:])
	return sha256.Sum256(b[:])
}

// Tree is the Merkle tree of RFC 6962, section 2.1: add leaves, then ask for the root and the paths. Reset keeps the
// memory, so that a tree that is used again for as many leaves allocates nothing. It is for one goroutine; the zero value
// is an empty tree.
//
// The levels stand one behind the other, the leaves first, and each level is built of pairs of the one below; a node
// without a sibling moves up as it is. This makes the same tree as the RFC's splitting at powers of two, with one
// NodeHash for each leaf but one.
type Tree struct {
	nodes  []Hash // leaves, then the levels above them once built
	leaves int
	built  bool
}

// Reset empties the tree and keeps its memory.
func (t *Tree) Reset() { t.nodes, t.leaves, t.built = t.nodes[:0], 0, false }

// Add appends a leaf.
func (t *Tree) Add(leaf Hash) {
	t.nodes = append(t.nodes[:t.leaves], leaf)
	t.leaves++
	t.built = false
}

// Len is the number of leaves.
func (t *Tree) Len() int { return t.leaves }

// Root is the hash of the whole tree; that of an empty tree is SHA-256 of nothing.
func (t *Tree) Root() Hash {
	if t.leaves == 0 {
		return sha256.Sum256(nil)
	}
	t.build()
	return t.nodes[len(t.nodes)-1]
}

func (t *Tree) build() {
	if t.built {
		return
	}
	for begin, width := 0, t.leaves; width > 1; width = (width + 1) / 2 {
		for i := 0; i+1 < width; i += 2 {
			t.nodes = append(t.nodes, NodeHash(t.nodes[begin+i], t.nodes[begin+i+1]))
		}
		if width%2 == 1 {
			t.nodes = append(t.nodes, t.nodes[begin+width-1])
		}
		begin += width
	}
	t.built = true
}

// Path appends to dst the audit path of leaf i (RFC 6962, section 2.1.1), from the leaf upwards: at most 32 hashes. It
// panics when there is no leaf i.
func (t *Tree) Path(i int, dst []Hash) []Hash {
	if i < 0 || i >= t.leaves {
		panic(fmt.Sprintf("license: path of leaf %d of a tree of %d", i, t.leaves))
	}
	t.build()
	for begin, width := 0, t.leaves; width > 1; width = (width + 1) / 2 {
		if sibling := i ^ 1; sibling < width {
			dst = append(dst, t.nodes[begin+sibling])
		}
		begin, i = begin+width, i/2
	}
	return dst
}

// RootFromPath is the root of the tree of size leaves in which leaf stands at index with this audit path. It says nothing
// about the root being the right one. It fails when there is no such index, or the path has not the length that index and
// size ask for.
func RootFromPath(leaf Hash, index, size uint32, path []Hash) (Hash, error) {
	if index >= size {
		return Hash{}, fault(BadCertificate, "", "a Merkle tree of %d leaves has no leaf %d", size, index)
	}
	if len(path) > bits.Len32(size) {
		return Hash{}, fault(BadCertificate, "", "the Merkle path of leaf %d of %d has too many hashes, %d", index, size, len(path))
	}
	node := leaf
	for last := size - 1; last > 0; index, last = index/2, last/2 {
		if index == last && index%2 == 0 {
			continue // no sibling: the node moved up as it is
		}
		if len(path) == 0 {
			return Hash{}, fault(BadCertificate, "", "the Merkle path is too short for a tree of %d leaves", size)
		}
		if index%2 == 1 {
			node = NodeHash(path[0], node)
		} else {
			node = NodeHash(node, path[0])
		}
		path = path[1:]
	}
	if len(path) > 0 {
		return Hash{}, fault(BadCertificate, "", "the Merkle path is too long for a tree of %d leaves", size)
	}
	return node, nil
}
