package storage

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"muster/storage/journal"
)

// A backup is a tar archive, compressed with zstd. Its files in order:
//
//	muster-backup.json    what it is, see [BackupInfo]
//	FORMAT, identity.json, ticket-keys.json and the like, as in the data directory
//	manifest              of the last complete checkpoint, an empty one if there was none
//	state/000001 …        Badger's backup stream, in parts
//	journal/….log         the journal's segments up to the moment of the backup
//	complete              the last file: a backup without it was cut short
//
// It holds the server's private keys: who has it can run this server.

// BackupInfo says what a backup is.
type BackupInfo struct {
	Format     int       `json:"format"` // 1
	Made       time.Time `json:"made"`
	Checkpoint uint64    `json:"checkpoint"` // journal index at which the checkpoint in it began
}

const (
	backupFormat   = 1
	backupInfoFile = "muster-backup.json"
	backupLastFile = "complete"
	backupPart     = 4 << 20 // bytes of a part of the state
)

// notInBackups are files of a data directory that are about a running process.
var notInBackups = []string{"lock", "manifest", "admin.url"}

// keeping counts the backups under way: as long as there are any, no segment of
// the journal goes.
type keeping struct {
	mu      sync.Mutex
	backups int
	below   uint64 // what may go afterwards
}

// release is [journal.Journal.Release], later if a backup needs the segments.
func (s *Store) release(below uint64) error {
	s.keeping.mu.Lock()
	defer s.keeping.mu.Unlock()
	if s.keeping.backups > 0 {
		s.keeping.below = max(s.keeping.below, below)
		return nil
	}
	return s.Journal.Release(below)
}

// keep keeps the journal until the function that it returns is called.
func (s *Store) keep() (done func() error) {
	s.keeping.mu.Lock()
	defer s.keeping.mu.Unlock()
	s.keeping.backups++
	return func() error {
		s.keeping.mu.Lock()
		s.keeping.backups--
		below := s.keeping.below
		s.keeping.mu.Unlock()
		return s.release(below)
	}
}

// Backup writes a backup of the directory while it is served. between runs a
// function between two batches. The backup holds everything that was durable when
// Backup was called.
func (d *Dir) Backup(w io.Writer, s *Store, now time.Time, between func(func()) error) (err error) {
	done := s.keep()
	defer func() { err = errors.Join(err, done()) }()
	last, err := readManifest(journal.Dir(d.Path))
	if err != nil {
		return err
	}
	compressed, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	b := &backup{tar: tar.NewWriter(compressed), now: now}
	info, err := json.Marshal(BackupInfo{Format: backupFormat, Made: now.UTC(), Checkpoint: last.begin})
	if err != nil {
		return err
	}
	steps := []func() error{
		func() error { return b.add(backupInfoFile, info) },
		func() error { return b.addDir(d) },
		func() error { return b.add("manifest", last.encode()) },
		func() error { return b.addState(s.pages) },
		func() error { return b.addJournal(d, s, between) },
		func() error { return b.add(backupLastFile, nil) },
		b.tar.Close, compressed.Close,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
	}
	return nil
}

type backup struct {
	tar *tar.Writer
	now time.Time
}

func (b *backup) add(name string, data []byte) error {
	return b.stream(name, int64(len(data)), bytes.NewReader(data))
}

func (b *backup) stream(name string, size int64, r io.Reader) error {
	if err := b.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: b.now}); err != nil {
		return err
	}
	_, err := io.CopyN(b.tar, r, size)
	return err
}

// addDir adds the small files of the directory.
func (b *backup) addDir(d *Dir) error {
	entries, err := os.ReadDir(d.Path)
	for _, e := range entries {
		if !e.Type().IsRegular() || slices.Contains(notInBackups, e.Name()) || strings.HasSuffix(e.Name(), ".new") {
			continue
		}
		data, err := os.ReadFile(d.file(e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a setup code that was just used
		}
		if err == nil {
			err = b.add(e.Name(), data)
		}
		if err != nil {
			return err
		}
	}
	return err
}

// addState adds pages and objects as they are now: at least as new as the
// manifest says, and no newer than the journal, which is copied afterwards.
func (b *backup) addState(pages Pages) error {
	db, ok := pages.(*badgerPages)
	if !ok {
		return errors.New("the state is not kept in Badger")
	}
	db.settling.RLock()
	defer db.settling.RUnlock()
	parts := &partWriter{b: b}
	if _, err := db.Backup(parts, 0); err != nil {
		return err
	}
	return parts.flush()
}

// partWriter makes files of a stream whose size is not known before.
type partWriter struct {
	b   *backup
	buf []byte
	n   int
}

func (w *partWriter) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	if len(w.buf) < backupPart {
		return len(p), nil
	}
	return len(p), w.flush()
}

func (w *partWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	w.n++
	err := w.b.add(fmt.Sprintf("state/%06d", w.n), w.buf)
	w.buf = w.buf[:0]
	return err
}

// addJournal adds the segments up to where the journal ends between two batches:
// what is appended meanwhile does not get half into the backup.
func (b *backup) addJournal(d *Dir, s *Store, between func(func()) error) error {
	var last string
	var end int64
	if err := between(func() { last, end = s.Journal.End() }); err != nil {
		return err
	}
	names, err := filesWith(d.file("journal"), ".log")
	if err != nil {
		return err
	}
	for _, path := range names {
		name := filepath.Base(path)
		if name > last {
			break // begun since, or made ahead of use
		}
		if err := b.addSegment(path, name == last, end); err != nil {
			return err
		}
	}
	return nil
}

// addSegment adds a segment file; of the last one what stands before end, with
// zeros behind as a segment has them.
func (b *backup) addSegment(path string, cut bool, end int64) error {
	f, size, err := openSized(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = f
	if cut {
		r = io.MultiReader(io.LimitReader(f, end), zeros{})
	}
	return b.stream("journal/"+filepath.Base(path), size, r)
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
