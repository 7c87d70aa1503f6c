package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

// File is an open segment. WriteAt and ReadAt follow io.WriterAt and
// io.ReaderAt. A File is used by one goroutine at a time.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync returns when the bytes written so far, and the size needed to read
	// them, are durable (fdatasync). After an error nothing is known of them.
	Sync() error
	// Size returns the length of the file in bytes.
	Size() (int64, error)
}

// Disk is one directory that holds one journal and names without a path. It may
// be used by several goroutines. What Create, Rename and Remove did to the
// directory is durable after SyncDir. A missing file is fs.ErrNotExist.
type Disk interface {
	// Create makes an empty file for writing, in place of any of that name.
	Create(name string) (File, error)
	// Open opens a file that exists, for reading or for reading and writing.
	Open(name string, writable bool) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// List returns the names of all files, in any order.
	List() ([]string, error)
	SyncDir() error
}

// Dir is the Disk of the operating system: the path of a directory, which must
// exist. Files are made readable by their owner only.
type Dir string

// Create implements Disk.
func (d Dir) Create(name string) (File, error) {
	return openFile(d.path(name), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

// Open implements Disk.
func (d Dir) Open(name string, writable bool) (File, error) {
	if writable {
		return openFile(d.path(name), os.O_RDWR)
	}
	return openFile(d.path(name), os.O_RDONLY)
}

// Rename implements Disk.
func (d Dir) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

// Remove implements Disk.
func (d Dir) Remove(name string) error { return os.Remove(d.path(name)) }

// List implements Disk.
func (d Dir) List() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, fmt.Errorf("journal directory: %w", err)
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		if entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

func (d Dir) path(name string) string { return filepath.Join(string(d), name) }

// osFile adds Size, a data-only Sync, and writes around the page cache to os.File.
type osFile struct {
	*os.File
	direct *os.File // nil: the file system has no such writes
}

func openFile(path string, flag int) (File, error) {
	file, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	f := osFile{File: file}
	if flag&os.O_RDWR != 0 {
		f.direct = openDirect(path)
	} else {
		readAhead(file)
	}
	return f, nil
}

// WriteAt writes whole sectors out of aligned memory around the page cache: what a
// journal writes is hardly ever read, and the kernel would copy it, and look for
// memory to copy it to.
func (f osFile) WriteAt(p []byte, off int64) (int, error) {
	if f.direct == nil || off%sectorBytes != 0 || !isAligned(p) {
		return f.File.WriteAt(p, off)
	}
	n, err := f.direct.WriteAt(p, off)
	if errors.Is(err, syscall.EINVAL) { // the disk has larger sectors
		return f.File.WriteAt(p, off)
	}
	return n, err
}

func (f osFile) Close() error {
	if f.direct != nil {
		_ = f.direct.Close() // it has no data of its own
	}
	forget(f.File) // a start that has read it won't again
	return f.File.Close()
}

// alignedBytes returns zeroed memory that begins at a sector.
func alignedBytes(n int) []byte {
	b := make([]byte, n+sectorBytes)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (sectorBytes - 1)
	return b[skip : int(skip)+n : int(skip)+n]
}

func isAligned(p []byte) bool {
	return len(p)%sectorBytes == 0 && uintptr(unsafe.Pointer(unsafe.SliceData(p)))%sectorBytes == 0
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
