package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"muster/engine"
	"muster/storage/journal"
)

// Found is what [Verify] found in a data directory.
type Found struct {
	// Checkpoint is the journal index at which the last complete checkpoint
	// began, 0 if there was none.
	Checkpoint uint64
	Pages      int // of the checkpoint
	Objects    int // of the checkpoint
	Journal    journal.Report
	// Core is the state that it all adds up to, nil if that can't be said.
	Core *engine.Core
}

// Verify reads the whole data directory at path and checks all that a start
// checks, without changing anything in it: pages against themselves and the
// manifest, every journal entry, and that they add up. The error says what is
// damaged; what was found up to there is returned with it. The state is looked at
// in a copy, for Badger writes when it opens: the directory for temporary files
// needs room for DATA/state.
func Verify(path string, opt Options) (f Found, err error) {
	d := &Dir{Path: path}
	if err := d.checkFormat(); err != nil {
		return f, err
	}
	d.lock, err = lockFile(d.file("lock"), os.O_RDONLY)
	switch {
	case errors.Is(err, fs.ErrNotExist): // a backup that was copied without it
	case err != nil:
		return f, fmt.Errorf("data directory %s: %w", path, err)
	default:
		defer d.Close()
	}
	server, err := d.readIdentity()
	if err != nil {
		return f, err
	}
	identity, err := server.identity(server.lastMachine(), false)
	if err != nil {
		return f, err
	}
	opt.Core.Alloc, opt.Core.Server, opt.Core.TokenKey = pageMemory, identity.Public, identity.TokenKey
	if err := checkFiles(d.file("state")); err != nil {
		return f, err
	}
	copied, err := os.MkdirTemp("", "muster-verify-")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(copied)
	if err := copyFiles(d.file("state"), copied); err != nil {
		return f, fmt.Errorf("copy of the state: %w", err)
	}
	pages, err := openBadger(copied, opt.Log)
	if err != nil {
		return f, fmt.Errorf("copy of %s: %w", d.file("state"), err)
	}
	defer func() { err = errors.Join(err, pages.Close()) }()
	s := &Store{Core: engine.New(opt.Core), pages: pages}
	return f, s.verify(journal.Dir(path), journal.Dir(d.file("journal")), &f)
}

// verify is Recover without a trace.
func (s *Store) verify(dir, log journal.Disk, f *Found) error {
	m, err := readManifest(dir)
	if err != nil {
		return err
	}
	f.Checkpoint, f.Objects = m.begin, len(m.objects)
	for _, marks := range m.pages {
		f.Pages += len(marks)
	}
	broken := s.load(m, dir)
	var walked error
	f.Journal, walked = journal.Verify(journal.Options{Disk: log}, func(e journal.Entry) error {
		if broken != nil || e.Index <= m.begin {
			return nil
		}
		return s.replay(e)
	})
	if durable := max(m.begin, s.durable); walked == nil && f.Journal.LastIndex < durable {
		walked = fmt.Errorf("it ends at entry %d, the checkpoint holds entry %d: entries are missing; restore the data directory from a backup", f.Journal.LastIndex, durable)
	}
	if walked != nil {
		walked = fmt.Errorf("journal in %s: %w", log, walked)
	}
	if err := errors.Join(broken, walked); err != nil {
		return err
	}
	if err := errors.Join(s.checkObjects(), s.Core.Start(f.Journal.LastIndex)); err != nil {
		return err
	}
	f.Core = s.Core
	return nil
}

// copyFiles copies the files of a directory, but for Badger's own lock.
func copyFiles(from, to string) error {
	entries, err := os.ReadDir(from)
	for _, e := range entries {
		if e.Name() == "LOCK" || !e.Type().IsRegular() {
			continue
		}
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return err
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
