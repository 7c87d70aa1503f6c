package engine

import "testing"

func TestArena(t *testing.T) {
	sizes := []int{1, 700, arenaChunk - 10, 3, arenaChunk, 2 * arenaChunk, 0, 5}
	var a arena[byte]
	fill := func() (pieces [][]byte) {
		for i, n := range sizes {
			piece := a.take(n)
			if len(piece) != n || cap(piece) != n {
				t.Fatalf("%d bytes of %d", len(piece), n)
			}
			for j := range piece {
				piece[j] = byte(i)
			}
			pieces = append(pieces, piece)
		}
		for i, piece := range pieces {
			for _, b := range piece {
				if b != byte(i) {
					t.Fatalf("piece %d was taken twice", i)
				}
			}
		}
		return pieces
	}
	first := fill()
	a.reset()
	for i, piece := range fill() {
		if len(piece) > 0 && &piece[0] != &first[i][0] {
			t.Errorf("piece %d is new memory", i)
		}
	}
}
