package storage

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"strings"

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
// transactions and read only at start: no caches, no filters, no compression, all
// values in the tables. A checkpoint writes most of them anew, in order of their
// keys, so there is one level below the newest tables: each further one would
// only have it all written once more.
func openBadger(path string, log *slog.Logger) (*badgerPages, error) {
	opt := badger.DefaultOptions(path).
		WithSyncWrites(true).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithMemTableSize(16 << 20).
		WithNumMemtables(2).
		WithBaseTableSize(16 << 20).
		WithBaseLevelSize(64 << 30).
		WithBlockSize(64 << 10).
		WithBloomFalsePositive(0).
		WithValueThreshold(1 << 20).
		WithValueLogFileSize(64 << 20).
		WithNumVersionsToKeep(1).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithLogger(badgerLog{log})
	db, err := badger.Open(opt)
	if err != nil {
		return nil, fmt.Errorf("state in %s: %w", path, err)
	}
	return &badgerPages{db, path, log}, nil
}

// badgerPages implements [Pages].
type badgerPages struct {
	*badger.DB
	path string
	log  *slog.Logger
}

// Loaded implements [Pages]. Badger maps its tables, so what was read stays in
// memory, as much again as the pages themselves: opened anew it is not there.
func (db *badgerPages) Loaded() error {
	if err := db.Close(); err != nil {
		return err
	}
	anew, err := openBadger(db.path, db.log)
	if err == nil {
		db.DB = anew.DB
	}
	return err
}

// Put implements [Pages], with one transaction.
func (db *badgerPages) Put(list []KeyValue) error {
	return db.Update(func(txn *badger.Txn) error {
		for _, kv := range list {
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

// packed marks, in the index of an object in Badger, that its data is compressed.
// Values of 1 MiB and more Badger keeps in a log of their own, of which nothing
// goes unless what points to it is compacted; a license file of that size is text.
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
