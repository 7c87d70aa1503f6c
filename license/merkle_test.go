package license

import (
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"
)

// The definition of RFC 6962, section 2.1, word for word: slow and plain.
func rfcRoot(leaves []Hash) Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := rfcSplit(len(leaves))
	return NodeHash(rfcRoot(leaves[:k]), rfcRoot(leaves[k:]))
}

func rfcPath(i int, leaves []Hash) []Hash {
	if len(leaves) == 1 {
		return nil
	}
	k := rfcSplit(len(leaves))
	if i < k {
		return append(rfcPath(i, leaves[:k]), rfcRoot(leaves[k:]))
	}
	return append(rfcPath(i-k, leaves[k:]), rfcRoot(leaves[:k]))
}

func rfcSplit(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}

// Roots of the well-known test leaves of Certificate Transparency.
func TestTreeVectors(t *testing.T) {
	leaves := []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	roots := []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	var tree Tree
	for n, want := range roots {
		root := tree.Root()
		if got := hex.EncodeToString(root[:]); got != want {
			t.Errorf("root of %d leaves is %s, want %s", n, got, want)
		}
		if n < len(leaves) {
			data, _ := hex.DecodeString(leaves[n])
			tree.Add(LeafHash(data))
		}
	}
}

func TestTreeAgainstDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var tree Tree
	for n := 1; n <= 70; n++ {
		tree.Reset()
		leaves := make([]Hash, n)
		for i := range leaves {
			leaves[i] = randomHash(rng)
			tree.Add(leaves[i])
		}
		root := rfcRoot(leaves)
		if tree.Root() != root || tree.Len() != n {
			t.Fatalf("%d leaves: another root", n)
		}
		for i := range leaves {
			path := tree.Path(i, nil)
			if !slices.Equal(path, rfcPath(i, leaves)) {
				t.Fatalf("leaf %d of %d: another path", i, n)
			}
			if got, err := RootFromPath(leaves[i], uint32(i), uint32(n), path); err != nil || got != root {
				t.Fatalf("leaf %d of %d: the path does not lead to the root: %v", i, n, err)
			}
			refuteOtherPlaces(t, leaves[i], i, n, path, root)
		}
	}
}

// A leaf proves its own place only, and only with the whole path.
func refuteOtherPlaces(t *testing.T, leaf Hash, index, size int, path []Hash, root Hash) {
	t.Helper()
	for other := range size + 2 {
		got, err := RootFromPath(leaf, uint32(other), uint32(size), path)
		if other != index && err == nil && got == root {
			t.Fatalf("leaf %d of %d passes for leaf %d", index, size, other)
		}
	}
	if _, err := RootFromPath(leaf, uint32(index), uint32(size), append(slices.Clone(path), Hash{})); err == nil {
		t.Fatal("a path with a hash too many is accepted")
	}
	if len(path) > 0 {
		if _, err := RootFromPath(leaf, uint32(index), uint32(size), path[1:]); err == nil {
			t.Fatal("a path with a hash too few is accepted")
		}
	}
}

func randomHash(rng *rand.Rand) (h Hash) {
	for i := range h {
		h[i] = byte(rng.Uint32())
	}
	return h
}

// Adding after a root was asked for starts the upper levels anew.
func TestTreeGrowsAfterRoot(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var tree Tree
	var leaves []Hash
	for range 40 {
		leaves = append(leaves, randomHash(rng))
		tree.Add(leaves[len(leaves)-1])
		if tree.Root() != rfcRoot(leaves) {
			t.Fatalf("another root at %d leaves", len(leaves))
		}
	}
}

func TestRootFromPathLargest(t *testing.T) {
	if _, err := RootFromPath(Hash{}, 1<<32-2, 1<<32-1, make([]Hash, 33)); err == nil {
		t.Error("33 hashes are accepted")
	}
	if _, err := RootFromPath(Hash{}, 0, 1<<32-1, make([]Hash, 32)); err != nil {
		t.Error(err)
	}
	if _, err := RootFromPath(Hash{}, 0, 0, nil); err == nil {
		t.Error("an empty tree has a leaf")
	}
}

// The hot path allocates nothing once the tree has grown.
func TestTreeAllocations(t *testing.T) {
	var tree Tree
	path := make([]Hash, 0, 32)
	leaf := make([]byte, 200)
	run := func() {
		tree.Reset()
		for range 1024 {
			tree.Add(LeafHash(leaf))
		}
		tree.Root()
		path = tree.Path(777, path[:0])
	}
	run()
	if n := testing.AllocsPerRun(10, run); n != 0 {
		t.Errorf("%v allocations for a tree of 1,024 leaves", n)
	}
}

func BenchmarkTree1024(b *testing.B) {
	var tree Tree
	for b.Loop() {
		tree.Reset()
		for range 1024 {
			tree.Add(Hash{})
		}
		tree.Root()
	}
}
