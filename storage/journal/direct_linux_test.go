package journal

import (
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is appended is not in the page cache, nor are a segment's zeros, nor what a
// start has read.
func TestAroundThePageCache(t *testing.T) {
	path := t.TempDir()
	if !hasDirect(t, filepath.Join(path, "probe")) {
		t.Skip("this file system has no writes around the page cache: set TMPDIR to a directory on a disk")
	}
	j, err := Open(Options{Disk: Dir(path), SegmentBytes: 1 << 20}, 0, func(Entry) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		if _, err := j.Append(1, 1, 1, append(j.Buffer(), make([]byte, 5000*n)...)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(path, segment{number: 1}.name())
	if cached := cachedPages(t, file); cached > 1 {
		t.Errorf("%d pages of %s are in the page cache, want that of its header alone", cached, file)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	entries := 0
	j, err = Open(Options{Disk: Dir(path), SegmentBytes: 1 << 20}, 0, func(Entry) error { entries++; return nil })
	if err != nil || entries != 20 {
		t.Fatalf("%d entries, %v", entries, err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if cached := cachedPages(t, file); cached > 0 {
		t.Errorf("%d pages of %s are in the page cache, want none after it was read", cached, file)
	}
}

// hasDirect reports whether a file there can be written around the page cache. A file
// system in memory takes such writes and is its own cache.
func hasDirect(t *testing.T, name string) bool {
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(name)
	file := openDirect(name)
	if file == nil {
		return false
	}
	defer file.Close()
	_, err := file.WriteAt(alignedBytes(1<<16), 0)
	return err == nil && cachedPages(t, name) == 0
}

// cachedPages is how many pages of a file are in the page cache.
func cachedPages(t *testing.T, name string) (n int) {
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	in := make([]byte, (len(m)+os.Getpagesize()-1)/os.Getpagesize())
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), uintptr(unsafe.Pointer(&in[0]))); errno != 0 {
		t.Fatal(errno)
	}
	for _, page := range in {
		n += int(page & 1)
	}
	return n
}
