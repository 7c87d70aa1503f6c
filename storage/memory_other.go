//go:build !linux

package storage

// pageMemory returns zeroed memory.
func pageMemory(bytes int) []byte { return make([]byte, bytes) }
