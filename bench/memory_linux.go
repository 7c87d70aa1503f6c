package bench

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// makeDevices returns memory for devices, where the kernel can on huge pages: with
// many devices taken at random most of a request's cost would be finding theirs.
func makeDevices(n int) []device {
	devices := make([]device, n)
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(devices))), n*int(unsafe.Sizeof(device{})))
	page := uintptr(os.Getpagesize())
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (page - 1)
	if size := uintptr(len(b)); skip < size {
		_ = unix.Madvise(b[skip:skip+(size-skip)&^(page-1)], unix.MADV_HUGEPAGE) // if not, ordinary pages serve
	}
	return devices
}
