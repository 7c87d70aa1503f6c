package storage

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size and alignment that the kernel can back by one page-table
// entry: at millions of devices most of a row's cost is finding its page.
const hugePage = 2 << 20

// pageMemory returns zeroed memory outside the Go heap, aligned to a huge page.
// It is never given back: tables only grow.
func pageMemory(bytes int) []byte {
	m, err := unix.Mmap(-1, 0, bytes+hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		panic(fmt.Sprintf("storage: no memory for %d bytes of pages: %v", bytes, err))
	}
	start := uintptr(unsafe.Pointer(unsafe.SliceData(m)))
	skip := int(-start & (hugePage - 1))
	m = m[skip : skip+bytes : skip+bytes]
	_ = unix.Madvise(m, unix.MADV_HUGEPAGE) // where the kernel has none, ordinary pages serve
	return m
}
