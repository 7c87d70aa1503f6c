package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"

	"github.com/dgraph-io/badger/v4"

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

// Store is the open state of a data directory.
type Store struct {
	Core       *engine.Core
	Journal    *journal.Journal
	Checkpoint engine.Checkpointer
	// CheckpointIndex is the journal index at which the checkpoint that was
	// loaded began, 0 if there was none.
	CheckpointIndex uint64

	db    *badger.DB
	check *checkpointer
}

// Open recovers the state: pages of the last checkpoint, then the journal
// behind it.
func (d *Dir) Open(opt Options) (*Store, error) {
	opt.Core.Alloc = pageMemory
	m, err := readManifest(d.file("manifest"))
	if err != nil {
		return nil, err
	}
	s := &Store{Core: engine.New(opt.Core), CheckpointIndex: m.begin}
	if s.db, err = openBadger(d.file("state"), opt.Log); err != nil {
		return nil, err
	}
	if err = errors.Join(s.loadPages(m), s.loadObjects(m)); err == nil {
		err = s.openJournal(d.file("journal"), m.begin, opt)
	}
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	s.check = newCheckpointer(s.db, d.file("manifest"), m, s.Journal.Release)
	s.Checkpoint = s.check
	return s, nil
}

// loadPages takes over every page, each checked against itself and the manifest.
func (s *Store) loadPages(m *manifest) error {
	for t, rows := range m.rows {
		s.Core.LoadRows(uint8(t), rows)
	}
	found := [engine.Tables]int{}
	err := s.scan(pagePrefix, func(key, value []byte) error {
		id := engine.PageID{Table: key[1], Number: binary.BigEndian.Uint32(key[2:])}
		if len(value) != engine.PageBytes || id.Table >= engine.Tables {
			return fmt.Errorf("page %d of table %d: not a page of this format", id.Number, id.Table)
		}
		p := (*engine.Page)(value)
		crc, err := p.Check(id)
		if err != nil {
			return err
		}
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
			return fmt.Errorf("table %d has %d of the %d pages of its manifest: restore the data directory from a backup", t, found[t], len(marks))
		}
	}
	return nil
}

// checkMark compares what the manifest says with what was found: the very copy,
// or a newer one from a pass that did not finish.
func checkMark(want, got pageMark) error {
	switch {
	case got.index < want.index:
		return fmt.Errorf("holds journal index %d, the checkpoint wrote %d: a write was lost; restore the data directory from a backup", got.index, want.index)
	case got.index == want.index && got.crc != want.crc:
		return fmt.Errorf("checksum %08x, the checkpoint wrote %08x: damaged; restore the data directory from a backup", got.crc, want.crc)
	}
	return nil
}

func (s *Store) loadObjects(m *manifest) error {
	found := 0
	err := s.scan(objectPrefix, func(key, value []byte) error {
		k := engine.ObjectKey{Kind: engine.ObjectKind(key[1]), ID: binary.BigEndian.Uint32(key[2:])}
		if len(value) < 8 {
			return fmt.Errorf("object %v is cut short", k)
		}
		index := binary.LittleEndian.Uint64(value)
		if want, ok := m.objects[k]; ok {
			found++
			if err := checkMark(want, pageMark{index, crc32.Checksum(value, castagnoli)}); err != nil {
				return fmt.Errorf("object %v: %w", k, err)
			}
		}
		s.Core.LoadObject(k, index, append([]byte(nil), value[8:]...))
		return nil
	})
	if err == nil && found != len(m.objects) {
		err = fmt.Errorf("%d of %d catalog objects of the manifest are there: restore the data directory from a backup", found, len(m.objects))
	}
	return err
}

// scan visits every key of a prefix. The slices are valid during the call only.
func (s *Store) scan(prefix byte, visit func(key, value []byte) error) error {
	return s.db.View(func(txn *badger.Txn) error {
		opt := badger.DefaultIteratorOptions
		opt.Prefix = []byte{prefix}
		it := txn.NewIterator(opt)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			if err := item.Value(func(v []byte) error { return visit(item.Key(), v) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// openJournal replays what stands behind the checkpoint and starts the core.
func (s *Store) openJournal(path string, from uint64, opt Options) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	var err error
	s.Journal, err = journal.Open(journal.Options{Disk: journal.Dir(path), SegmentBytes: opt.SegmentBytes}, from, func(e journal.Entry) error {
		if e.Kind != engine.EntryKind {
			return fmt.Errorf("journal entry %d is of kind %d: it was written by a newer muster", e.Index, e.Kind)
		}
		return s.Core.Replay(e.Index, e.Time, e.Body)
	})
	if err != nil {
		return fmt.Errorf("journal in %s: %w", path, err)
	}
	if torn := s.Journal.Found.Torn; torn.Bytes > 0 {
		opt.Log.Warn("the journal ended in an entry that was never acknowledged, as after a power cut or kill; it was dropped", "file", torn.File, "offset", torn.Offset, "bytes", torn.Bytes)
	}
	if err := s.Core.Start(s.Journal.LastIndex()); err != nil {
		return errors.Join(err, s.Journal.Close())
	}
	return nil
}

// Close seals the journal and closes Badger. The decider has ended before.
func (s *Store) Close() error {
	s.check.stop()
	return errors.Join(s.Journal.Close(), s.db.Close())
}
