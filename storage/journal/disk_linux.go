package journal

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openDirect opens a file for writes around the page cache; nil where there are none.
func openDirect(path string) *os.File {
	file, err := os.OpenFile(path, os.O_WRONLY|syscall.O_DIRECT, 0)
	if err != nil {
		return nil
	}
	return file
}

// readAhead has the kernel read a file before it is asked for it. Where that can't
// be it is read as it is asked for.
func readAhead(file *os.File) {
	for _, advice := range []int{unix.FADV_SEQUENTIAL, unix.FADV_WILLNEED} {
		_ = unix.Fadvise(int(file.Fd()), 0, 0, advice)
	}
}

// forget has the kernel drop what it keeps of a file.
func forget(file *os.File) { _ = unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED) }

// Sync is fdatasync: an append over written zeros changes no metadata that is
// needed to read it back, so the file system's journal stays out of the way.
func (f osFile) Sync() error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// SyncDir implements Disk.
func (d Dir) SyncDir() error {
	dir, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
