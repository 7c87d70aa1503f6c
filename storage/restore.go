package storage

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/klauspost/compress/zstd"

	"muster/storage/journal"
)

// ErrNotABackup means that a file is no backup of this format, or was cut short.
var ErrNotABackup = errors.New("not a whole muster backup")

// Restore makes a data directory at path of a backup. It is unpacked beside path
// and handed to check, which may refuse it; only then it takes its place. What
// was there before, if replace says that it may be replaced, is kept under the
// name that is returned, "" if there was nothing.
func Restore(r io.Reader, path string, replace bool, opt Options, check func(unpacked string) error) (before string, err error) {
	path = filepath.Clean(path)
	held, err := vacant(path, replace)
	if err != nil {
		return "", err
	}
	if held != nil {
		defer held.Close()
	}
	unpacked := path + ".restoring"
	if err := os.RemoveAll(unpacked); err != nil {
		return "", err
	}
	defer os.RemoveAll(unpacked)
	u := &unpacking{dir: unpacked}
	if err = u.run(r, opt); err != nil {
		return "", err
	}
	if err = check(unpacked); err != nil {
		return "", err
	}
	if held != nil {
		before = beforeRestore(path)
		if err := os.Rename(path, before); err != nil {
			return "", fmt.Errorf("%w; remove what an earlier restore has left there", err)
		}
	} else if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err // an empty directory goes
	}
	if err := os.Rename(unpacked, path); err != nil {
		return before, err
	}
	return before, journal.Dir(filepath.Dir(path)).SyncDir()
}

// beforeRestore is where what was at path is kept when a backup takes its place.
func beforeRestore(path string) string { return filepath.Clean(path) + ".before-restore" }

// checkRestored refuses to begin a new directory in the place of one that a restore
// has moved away, and was killed before it put the restored one there.
func checkRestored(path string) error {
	entries, err := os.ReadDir(path)
	if len(entries) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil
	}
	before := beforeRestore(path)
	if _, err := os.Stat(before); err != nil {
		return nil
	}
	return fmt.Errorf("nothing is in %s, and %s holds what was there before a restore that was cut short: restore again, or rename it back; remove it if a new server is to begin here", path, before)
}

// vacant says whether a restored directory may take the place of what is at
// path. A data directory there is returned locked.
func vacant(path string, replace bool) (*Dir, error) {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0:
		return nil, nil
	case err != nil:
		return nil, err
	case !replace:
		return nil, fmt.Errorf("%s is not empty: name a new directory, or say --replace; then what is there is kept beside it", path)
	}
	return OpenDir(path)
}

// unpacking is a backup on its way into a directory.
type unpacking struct {
	dir      string
	info     BackupInfo
	complete bool
}

// backupNames are the files that a backup may hold.
var backupNames = regexp.MustCompile(`^(?:[A-Za-z0-9-]+(?:\.[a-z]+)?|journal/[0-9a-f]{16}\.log)$`)

func (u *unpacking) run(r io.Reader, opt Options) error {
	for _, dir := range []string{u.dir, filepath.Join(u.dir, "journal")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	compressed, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer compressed.Close()
	pages, err := openBadger(filepath.Join(u.dir, "state"), opt.Log)
	if err != nil {
		return err
	}
	state, in := io.Pipe()
	loaded := make(chan error, 1)
	go func() {
		err := pages.Load(state, 16)
		state.CloseWithError(err)
		loaded <- err
	}()
	err = u.files(tar.NewReader(compressed), in)
	in.CloseWithError(err) // nil: the end of the state
	err = errors.Join(err, <-loaded, pages.Close())
	return errors.Join(err, journal.Dir(filepath.Join(u.dir, "journal")).SyncDir(), journal.Dir(u.dir).SyncDir())
}

// files writes the backup's files to the directory, and the state to in.
func (u *unpacking) files(files *tar.Reader, in io.Writer) error {
	for first := true; ; first = false {
		h, err := files.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNotABackup, err)
		}
		if first {
			err = u.begin(h, files)
		} else {
			err = u.file(h, files, in)
		}
		if err != nil {
			return err
		}
	}
	if !u.complete {
		return fmt.Errorf("%w: its end is missing", ErrNotABackup)
	}
	return nil
}

func (u *unpacking) begin(h *tar.Header, r io.Reader) error {
	if h.Name != backupInfoFile || json.NewDecoder(r).Decode(&u.info) != nil {
		return ErrNotABackup
	}
	if u.info.Format != backupFormat {
		return fmt.Errorf("the backup is of format %d, this muster reads %d: use the version that made it, or a newer one", u.info.Format, backupFormat)
	}
	return nil
}

func (u *unpacking) file(h *tar.Header, r io.Reader, in io.Writer) error {
	switch {
	case strings.HasPrefix(h.Name, "state/"):
		_, err := io.Copy(in, r)
		return err
	case h.Name == backupLastFile:
		u.complete = true
		return nil
	case h.Typeflag != tar.TypeReg || !backupNames.MatchString(h.Name):
		return fmt.Errorf("%w: it holds %q", ErrNotABackup, h.Name)
	}
	f, err := os.OpenFile(filepath.Join(u.dir, filepath.FromSlash(h.Name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrNotABackup, h.Name, err)
	}
	return errors.Join(err, f.Sync(), f.Close())
}
