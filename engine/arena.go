package engine

import "unsafe"

// arena is memory that is taken piece by piece and given back as a whole. It
// grows by chunks, so what was taken stays where it is.
type arena[T any] struct {
	chunks [][]T
	chunk  int // that the next piece comes from
	used   int // of it
}

// arenaChunk is the size of a chunk in bytes.
const arenaChunk = 64 << 10

func (a *arena[T]) reset() { a.chunk, a.used = 0, 0 }

// take returns n elements, which hold what they held when they were given back.
func (a *arena[T]) take(n int) []T {
	for ; a.chunk < len(a.chunks); a.chunk, a.used = a.chunk+1, 0 {
		if c := a.chunks[a.chunk]; n <= len(c)-a.used {
			from := a.used
			a.used += n
			return c[from:a.used:a.used]
		}
	}
	var one T
	a.chunks = append(a.chunks, make([]T, max(n, arenaChunk/int(unsafe.Sizeof(one)))))
	a.used = n
	return a.chunks[a.chunk][:n:n]
}
