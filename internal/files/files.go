// Package files is the disk that client/spool keeps its files on: the operating
// system's, or one that a simulation puts in its place.
package files

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// ErrLocked means that another process holds a lock.
var ErrLocked = errors.New("locked by another process")

// Disk is a file system. A missing file or directory is [os.ErrNotExist].
type Disk interface {
	// Create makes an empty file for writing, in place of any of that name.
	Create(path string) (File, error)
	Read(path string) ([]byte, error)
	// List returns the names in a directory, in any order.
	List(path string) ([]string, error)
	// MakeDir makes a directory with its parents; one that is there is fine.
	MakeDir(path string) error
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes durable which names are in a directory.
	SyncDir(path string) error
	// Lock takes a lock that ends with the process. If another one has it, it waits
	// or returns ErrLocked.
	Lock(path string, wait bool) (io.Closer, error)
}

// File is a file that is being written. What Sync returned for is durable.
type File interface {
	io.Writer
	io.Closer
	Sync() error
}

// BesideSuffix ends the name of a file that is being written. Who finds one knows
// that its writer was killed.
const BesideSuffix = ".new"

// Replace replaces a file as a whole; it is durable when Replace returns nil.
func Replace(d Disk, path string, data []byte) error {
	f, err := d.Create(path + BesideSuffix)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := d.Rename(path+BesideSuffix, path); err != nil {
		return err
	}
	return d.SyncDir(filepath.Dir(path))
}

// MakeDir makes a directory that is still there after a power cut.
func MakeDir(d Disk, path string) error {
	if err := d.MakeDir(path); err != nil {
		return err
	}
	return d.SyncDir(filepath.Dir(path))
}

// OS is the disk of the operating system. Files are readable by their owner only.
type OS struct{}

// Create implements Disk.
func (OS) Create(path string) (File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

// Read implements Disk.
func (OS) Read(path string) ([]byte, error) { return os.ReadFile(path) }

// List implements Disk.
func (OS) List(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// MakeDir implements Disk.
func (OS) MakeDir(path string) error { return os.MkdirAll(path, 0o700) }

// Rename implements Disk.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements Disk.
func (OS) Remove(path string) error { return os.Remove(path) }

// SyncDir implements Disk.
func (OS) SyncDir(path string) error { return syncDir(path) }

// Lock implements Disk.
func (OS) Lock(path string, wait bool) (io.Closer, error) { return lockFile(path, wait) }
