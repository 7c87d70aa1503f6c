package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"muster/storage/journal"
)

// format is the version of the data directory. Another one is refused before
// anything in the directory is read, and nothing converts: there has been no other.
const format = 1

// formatLine is the content of DATA/FORMAT.
func formatLine(version int) []byte {
	return fmt.Appendf(nil, "muster data directory, format %d\n", version)
}

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
	if err := checkRestored(path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	d := &Dir{Path: path}
	var err error
	if d.lock, err = lockFile(d.file("lock"), os.O_RDWR|os.O_CREATE); err != nil {
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
	err := d.checkFormat()
	if errors.Is(err, fs.ErrNotExist) {
		return d.initialize()
	}
	return err
}

// checkFormat says whether this muster reads the directory. [fs.ErrNotExist]
// means that it has no format.
func (d *Dir) checkFormat() error {
	got, err := os.ReadFile(d.file("FORMAT"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is no muster data directory: %w", d.Path, err)
	case err != nil:
		return fmt.Errorf("data directory: %w", err)
	}
	var version int
	fmt.Sscanf(string(got), "muster data directory, format %d", &version)
	switch {
	case !bytes.Equal(got, formatLine(version)) || version < 1:
		return fmt.Errorf("data directory %s: its file FORMAT says %.60q, which no muster has written: it is damaged; check the disk and restore the data directory from a backup", d.Path, got)
	case version != format:
		return fmt.Errorf("data directory %s is of format %d, this muster reads %d: start the version that wrote it, or a newer one", d.Path, version, format)
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
	return WriteFile(d.file("FORMAT"), formatLine(format))
}

func (d *Dir) file(name string) string { return filepath.Join(d.Path, name) }

// Close gives the lock back.
func (d *Dir) Close() error { return d.lock.Close() }

// WriteFile replaces a file, readable by its owner only, so that after a crash
// either the old or the new content is there, whole.
func WriteFile(path string, data []byte) error {
	return replaceFile(journal.Dir(filepath.Dir(path)), filepath.Base(path), data)
}

// replaceFile is write, fsync, rename, fsync of the directory.
func replaceFile(disk journal.Disk, name string, data []byte) error {
	f, err := disk.Create(name + ".new")
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s in %s: %w", name, disk, err)
	}
	if err := disk.Rename(name+".new", name); err != nil {
		return err
	}
	return disk.SyncDir()
}

func readFile(disk journal.Disk, name string) ([]byte, error) {
	f, err := disk.Open(name, false)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, err
	}
	return b, nil
}
