package storage

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"

	"muster/engine"
	"muster/storage/journal"
)

// Options are what a store is opened with.
type Options struct {
	// Core is the engine's configuration; Alloc is set here.
	Core engine.Config
	Log  *slog.Logger
	// SegmentBytes is the journal's segment size, 0 for the default.
	SegmentBytes int64
}

// Media is what a store is kept on: a data directory, or the disk of a simulation.
type Media struct {
	Journal journal.Disk
	Pages   Pages
	// Manifest is the directory of the manifest.
	Manifest journal.Disk
	// Inline makes journal segments when they are needed, see [journal.Options].
	Inline bool
	// Writer runs the work of writing checkpoints, in order, until the channel is
	// closed: on a goroutine of its own, or whenever a simulation says.
	Writer func(work <-chan func())
}

// Pages keeps pages and catalog objects by key.
type Pages interface {
	// Put stores values durably, all or none.
	Put(list []KeyValue) error
	// Scan visits every key of a prefix. The slices are valid during the call only.
	Scan(prefix byte, visit func(key, value []byte) error) error
	// Loaded is called when all of many pages have been read, before anything is put.
	Loaded() error
	// Settle is called between checkpoints, by who puts: memory and disk that
	// obsolete values take may be given back.
	Settle() error
	Close() error
}

// loadedPages is from how many pages on it is worth telling [Pages] that they
// are read: 64 MiB.
const loadedPages = 64 << 20 / engine.PageBytes

// KeyValue is one value to put.
type KeyValue struct{ Key, Value []byte }

// Store is the open state of a data directory.
type Store struct {
	Core       *engine.Core
	Journal    *journal.Journal
	Checkpoint engine.Checkpointer
	// CheckpointIndex is the journal index at which the checkpoint that was
	// loaded began, 0 if there was none.
	CheckpointIndex uint64

	pages   Pages
	check   *checkpointer
	keeping keeping
	newer   map[engine.ObjectKey]uint64 // objects of an unfinished pass, with their index
	// durable is the newest journal entry that a page or object was copied with:
	// they are copied when it is durable, so the journal has to reach it.
	durable uint64
}

// Open recovers the state of a data directory.
func (d *Dir) Open(opt Options) (*Store, error) {
	opt.Core.Alloc = pageMemory
	if err := checkFiles(d.file("state")); err != nil {
		return nil, err
	}
	pages, err := openBadger(d.file("state"), opt.Log)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(d.file("journal"), 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("journal: %w", err), pages.Close())
	}
	return Recover(Media{
		Journal: journal.Dir(d.file("journal")), Pages: pages, Manifest: journal.Dir(d.Path),
		Writer: func(work <-chan func()) {
			go func() {
				for f := range work {
					f()
				}
			}()
		},
	}, opt)
}

// Recover recovers the state: pages of the last checkpoint, then the journal
// behind it. It closes m.Pages after an error.
func Recover(m Media, opt Options) (*Store, error) {
	s := &Store{Core: engine.New(opt.Core), pages: m.Pages}
	last, err := readManifest(m.Manifest)
	if err == nil {
		s.CheckpointIndex = last.begin
		err = s.load(last, m.Manifest)
	}
	if err == nil && s.Core.Pages() > loadedPages {
		err = m.Pages.Loaded()
	}
	if err == nil {
		err = s.openJournal(m, opt)
	}
	if err != nil {
		return nil, errors.Join(err, m.Pages.Close())
	}
	s.check = newCheckpointer(m, last, s.release)
	s.Checkpoint = s.check
	return s, nil
}

// load takes over what a checkpoint consists of.
func (s *Store) load(m *manifest, dir journal.Disk) error {
	if err := errors.Join(s.loadPages(m), s.loadObjects(m)); err != nil {
		return fmt.Errorf("state in %s: %w; check the disk and restore the data directory from a backup", dir, err)
	}
	return nil
}

// loadPages takes over every page, each checked against itself and the manifest.
func (s *Store) loadPages(m *manifest) error {
	for t, rows := range m.rows {
		s.Core.LoadRows(uint8(t), rows)
	}
	found := [engine.Tables]int{}
	err := s.pages.Scan(pagePrefix, func(key, value []byte) error {
		id := engine.PageID{Table: key[1], Number: binary.BigEndian.Uint32(key[2:])}
		if len(value) != engine.PageBytes || id.Table >= engine.Tables {
			return fmt.Errorf("page %d of table %d: not a page of this format: damaged; restore the data directory from a backup", id.Number, id.Table)
		}
		p := (*engine.Page)(value)
		crc, err := p.Check(id)
		if err != nil {
			return err
		}
		s.durable = max(s.durable, p.Index())
		if marks := m.pages[id.Table]; id.Number < uint32(len(marks)) {
			found[id.Table]++
			if err := checkMark(marks[id.Number], pageMark{p.Index(), crc}); err != nil {
				return fmt.Errorf("page %d of table %d: %w", id.Number, id.Table, err)
			}
		}
		return s.Core.LoadPage(id, p)
	})
	if err != nil {
		return err
	}
	for t, marks := range m.pages {
		if found[t] != len(marks) {
			return fmt.Errorf("table %d has %d of the %d pages of its manifest", t, found[t], len(marks))
		}
	}
	return nil
}

// checkMark compares what the manifest says with what was found: the very copy,
// or a newer one from a pass that did not finish.
func checkMark(want, got pageMark) error {
	switch {
	case got.index < want.index:
		return fmt.Errorf("holds journal index %d, the checkpoint wrote %d: a write was lost", got.index, want.index)
	case got.index == want.index && got.crc != want.crc:
		return fmt.Errorf("checksum %08x, the checkpoint wrote %08x: damaged", got.crc, want.crc)
	}
	return nil
}

// loadObjects takes over the catalog objects that the manifest vouches for. One
// that is newer than the checkpoint was copied by a pass that did not finish;
// nothing vouches for its bytes, so the journal has to bring it, see checkObjects.
func (s *Store) loadObjects(m *manifest) error {
	found := 0
	s.newer = map[engine.ObjectKey]uint64{}
	err := s.pages.Scan(objectPrefix, func(key, value []byte) error {
		k := engine.ObjectKey{Kind: engine.ObjectKind(key[1]), ID: binary.BigEndian.Uint32(key[2:])}
		if len(value) < 8 {
			return fmt.Errorf("object %v is cut short", k)
		}
		index := objectIndex(value)
		s.durable = max(s.durable, index)
		want, known := m.objects[k]
		if known {
			found++
		}
		if index > m.begin {
			s.newer[k] = index
			return nil
		}
		if err := checkMark(want, pageMark{index, crc32.Checksum(value, castagnoli)}); err != nil || !known {
			return fmt.Errorf("object %v: %w", k, cmp.Or(err, errNotInManifest))
		}
		data, err := objectData(value)
		if err != nil {
			return fmt.Errorf("object %v: %w", k, err)
		}
		s.Core.LoadObject(k, index, data)
		return nil
	})
	if err == nil && found != len(m.objects) {
		err = fmt.Errorf("%d of %d catalog objects of the manifest are there", found, len(m.objects))
	}
	return err
}

var errNotInManifest = errors.New("the checkpoint did not write it: damaged")

// checkObjects makes sure that the journal brought what loadObjects left to it.
func (s *Store) checkObjects() error {
	for k, index := range s.newer {
		if !s.Core.HasObject(k) {
			return fmt.Errorf("object %v names journal entry %d, which does not have it: damaged; restore the data directory from a backup", k, index)
		}
	}
	return nil
}

// openJournal replays what stands behind the checkpoint and starts the core.
func (s *Store) openJournal(m Media, opt Options) (err error) {
	options := journal.Options{Disk: m.Journal, SegmentBytes: opt.SegmentBytes, Inline: m.Inline, Durable: s.durable}
	s.Journal, err = journal.Open(options, s.CheckpointIndex, s.replay)
	if err != nil {
		return fmt.Errorf("journal in %s: %w", m.Journal, err)
	}
	if torn := s.Journal.Found.Torn; torn.Bytes > 0 {
		opt.Log.Warn("the journal ended in an entry that was never acknowledged, as after a power cut or kill; it was dropped", "file", torn.File, "offset", torn.Offset, "bytes", torn.Bytes)
	}
	if err := errors.Join(s.checkObjects(), s.Core.Start(s.Journal.LastIndex())); err != nil {
		return errors.Join(err, s.Journal.Close())
	}
	return nil
}

func (s *Store) replay(e journal.Entry) error {
	if e.Kind != engine.EntryKind {
		return fmt.Errorf("journal entry %d is of kind %d: it was written by a newer muster", e.Index, e.Kind)
	}
	return s.Core.Replay(e.Index, e.Time, e.Body)
}

// Close seals the journal and closes the pages. The decider has ended before.
func (s *Store) Close() error {
	s.check.stop()
	return errors.Join(s.Journal.Close(), s.pages.Close())
}
