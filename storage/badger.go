package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/klauspost/compress/zstd"

	"muster/engine"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Keys in Badger: 'p' table page-number for pages, 'o' kind id for objects,
// numbers big-endian so that a scan meets them in order.
const (
	pagePrefix   = 'p'
	objectPrefix = 'o'
)

func pageKey(id engine.PageID) []byte {
	return binary.BigEndian.AppendUint32([]byte{pagePrefix, id.Table}, id.Number)
}

func objectKey(k engine.ObjectKey) []byte {
	return binary.BigEndian.AppendUint32([]byte{objectPrefix, byte(k.Kind)}, k.ID)
}

// openBadger opens the page store. Pages are values of 4 KiB written in large
// transactions and read only at start: no caches, no filters, no compression.
// They stand in Badger's value log, where each is written once; the tables hold
// only where. Settle takes care of what that leaves behind.
func openBadger(path string, log *slog.Logger) (*badgerPages, error) {
	db := &badgerPages{path: path, log: log}
	if err := db.open(); err != nil {
		return nil, err
	}
	return db, nil
}

func (db *badgerPages) open() error {
	if err := removeEmptyLogs(db.path); err != nil {
		return fmt.Errorf("state in %s: %w", db.path, err)
	}
	opt := badger.DefaultOptions(db.path).
		WithSyncWrites(true).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithMemTableSize(8 << 20).
		WithNumMemtables(2).
		WithBaseLevelSize(1 << 30).
		WithBloomFalsePositive(0).
		WithCompactL0OnClose(true).
		WithValueThreshold(valueLogFrom).
		WithValueLogFileSize(settleBytes).
		WithNumVersionsToKeep(1).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithLogger(badgerLog{db.log})
	opened, err := badger.Open(opt)
	if err != nil {
		return fmt.Errorf("state in %s: %w", db.path, err)
	}
	db.DB, db.mapped = opened, 0
	return nil
}

// valueLogFrom is from how many bytes on a value stands in the value log.
const valueLogFrom = 1 << 10

// badgerPages implements [Pages].
type badgerPages struct {
	*badger.DB
	path string
	log  *slog.Logger
	// settling is held by Settle, and to read by whoever reads beside it.
	settling sync.RWMutex
	written  int // bytes of values since Settle
	mapped   int // bytes of values since Badger was opened
}

// settleBytes is how much is put before it is worth settling, or, in the middle of
// a checkpoint, opening Badger anew. It is also the size of a file of the value log:
// Badger reads the last one when it opens.
const settleBytes = 32 << 20

// Settle implements [Pages]. Badger maps its files, so what was read or written
// stays in memory, and it learns which values are obsolete when it compacts what
// points to them. Closed and opened anew it has done both; then files of the value
// log that are mostly obsolete go, and what is left in them is written once more.
func (db *badgerPages) Settle() error {
	if db.written < settleBytes || !db.settling.TryLock() {
		return nil // later: a backup is being made
	}
	defer db.settling.Unlock()
	db.written = 0
	if err := db.reopen(); err != nil {
		return err
	}
	for {
		switch err := db.RunValueLogGC(0.5); {
		case errors.Is(err, badger.ErrNoRewrite):
			return nil
		case err != nil:
			return fmt.Errorf("state in %s: %w", db.path, err)
		}
	}
}

// Loaded implements [Pages].
func (db *badgerPages) Loaded() error { return db.reopen() }

// closeTime is how long Badger may take to close. Where it can't write a table it
// tries again for ever.
const closeTime = time.Minute

func (db *badgerPages) reopen() error {
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			return fmt.Errorf("state in %s: %w", db.path, err)
		}
	case <-time.After(closeTime):
		return fmt.Errorf("state in %s: what is in memory could not be written within %v", db.path, closeTime)
	}
	return db.open()
}

// Put implements [Pages], with one transaction. After much of it Badger is opened
// anew: the files that it maps count as the server's memory.
func (db *badgerPages) Put(list []KeyValue) error {
	if db.mapped >= settleBytes && db.settling.TryLock() {
		err := db.reopen()
		db.settling.Unlock()
		if err != nil {
			return err
		}
	}
	return db.Update(func(txn *badger.Txn) error {
		for _, kv := range list {
			db.written += len(kv.Value)
			db.mapped += len(kv.Value)
			if err := txn.Set(kv.Key, kv.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

// Scan implements [Pages].
func (db *badgerPages) Scan(prefix byte, visit func(key, value []byte) error) error {
	return db.View(func(txn *badger.Txn) error {
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

// badgerLog passes Badger's messages on; what it calls information is detail here.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) say(level slog.Level, format string, a []any) {
	l.log.Log(context.Background(), level, "badger: "+strings.TrimSpace(fmt.Sprintf(format, a...)))
}

func (l badgerLog) Errorf(f string, a ...any)   { l.say(slog.LevelError, f, a) }
func (l badgerLog) Warningf(f string, a ...any) { l.say(slog.LevelWarn, f, a) }
func (l badgerLog) Infof(f string, a ...any)    { l.say(slog.LevelDebug, f, a) }
func (l badgerLog) Debugf(f string, a ...any)   { l.say(slog.LevelDebug, f, a) }

// packed marks, in the index of an object in Badger, that its data is compressed:
// a license file of 1 MiB is text.
const (
	packed       = 1 << 63
	packFrom     = 512 << 10
	unpackedMost = 16 << 20 // the journal holds no larger object
)

// objectValue is an object in Badger: index u64, then the data.
func objectValue(o engine.ObjectCopy) []byte {
	if len(o.Data) < packFrom {
		return append(binary.LittleEndian.AppendUint64(nil, o.Index), o.Data...)
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithAllLitEntropyCompression(true), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // only of wrong options
	}
	return encoder.EncodeAll(o.Data, binary.LittleEndian.AppendUint64(nil, o.Index|packed))
}

// objectIndex is the journal index in a value.
func objectIndex(value []byte) uint64 { return binary.LittleEndian.Uint64(value) &^ packed }

// objectData is a copy of the data in a value.
func objectData(value []byte) ([]byte, error) {
	if binary.LittleEndian.Uint64(value)&packed == 0 {
		return append([]byte(nil), value[8:]...), nil
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(unpackedMost), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	return decoder.DecodeAll(value[8:], nil)
}
