package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// formatLine is the content of DATA/FORMAT. A directory with another one is
// refused before anything in it is read.
const formatLine = "muster data directory, format 1\n"

// ErrLocked means that another process serves the directory.
var ErrLocked = errors.New("the data directory is in use by another muster process; stop it, or serve another directory")

// Dir is an open, locked data directory.
type Dir struct {
	Path string
	// Fresh says that no server has run in it yet.
	Fresh bool
	lock  *os.File
}

// OpenDir opens or makes the data directory at path and locks it.
func OpenDir(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	d := &Dir{Path: path}
	var err error
	if d.lock, err = lockFile(d.file("lock")); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", path, err)
	}
	if err := d.gate(); err != nil {
		d.Close()
		return nil, err
	}
	_, err = os.Stat(d.file("journal"))
	d.Fresh = errors.Is(err, fs.ErrNotExist)
	return d, nil
}

// gate checks the format version, or writes it into an empty directory.
func (d *Dir) gate() error {
	got, err := os.ReadFile(d.file("FORMAT"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d.initialize()
	case err != nil:
		return fmt.Errorf("data directory: %w", err)
	case !bytes.Equal(got, []byte(formatLine)):
		return fmt.Errorf("data directory %s says %q, this muster reads %q: use the muster version that wrote it, or a newer one", d.Path, bytes.TrimSpace(got), formatLine[:len(formatLine)-1])
	}
	return nil
}

func (d *Dir) initialize() error {
	entries, err := os.ReadDir(d.Path)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() != "lock" && e.Name() != "lost+found" {
			return fmt.Errorf("data directory %s holds %q but no FORMAT file: it is not a muster data directory; name an empty or new one", d.Path, e.Name())
		}
	}
	return WriteFile(d.file("FORMAT"), []byte(formatLine), 0o600)
}

func (d *Dir) file(name string) string { return filepath.Join(d.Path, name) }

// Close gives the lock back.
func (d *Dir) Close() error { return d.lock.Close() }

// WriteFile replaces a file so that after a crash either the old or the new
// content is there, whole: write, fsync, rename, fsync of the directory.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
