package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
)

// checkFiles checks Badger's files before Badger opens them.
func checkFiles(path string) error { return errors.Join(checkTables(path), checkLogs(path)) }

// checkTables reads every block of Badger's tables against its checksum and
// changes nothing. Badger by itself does not; where a length or an offset is
// damaged, or a page can't be read from the disk, it ends the process without
// saying in which file.
func checkTables(path string) error {
	f, err := os.Open(filepath.Join(path, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing is there yet, or the manifest will miss it
	}
	if err != nil {
		return err
	}
	defer f.Close()
	list, _, err := badger.ReplayManifestFile(f, 0, badger.Options{})
	if err != nil {
		return damagedFile(f.Name(), err)
	}
	var data []byte
	for id := range list.Tables { // others are what a killed compaction has left
		name := table.NewFilename(id, path)
		if data, err = readInto(data, name); err == nil {
			err = checkTable(id, data)
		}
		if err != nil {
			return damagedFile(name, err)
		}
	}
	return nil
}

func damagedFile(name string, reason error) error {
	return fmt.Errorf("%s is damaged: %w; check the disk and restore the data directory from a backup", name, reason)
}

// filesWith are a directory's files with an extension, sorted; none where there is no
// such directory.
func filesWith(path, ext string) (names []string, err error) {
	list, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, file := range list {
		if filepath.Ext(file.Name()) == ext {
			names = append(names, filepath.Join(path, file.Name()))
		}
	}
	return names, nil
}

// openSized opens a file for reading and tells its size.
func openSized(name string) (*os.File, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	stat, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, stat.Size(), nil
}

// readInto is [os.ReadFile] with a buffer that is used again.
func readInto(buf []byte, name string) ([]byte, error) {
	f, size, err := openSized(name)
	if err != nil {
		return buf, err
	}
	defer f.Close()
	buf = slices.Grow(buf[:0], int(size))[:size]
	_, err = io.ReadFull(f, buf)
	return buf, err
}

// checkTable checks a table. Badger panics at some of what is damaged.
func checkTable(id uint64, data []byte) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("a block of it can't be read")
		}
	}()
	if !footed(data) {
		return errors.New("its end does not say where its index is")
	}
	t, err := table.OpenInMemoryTable(data, id, &table.Options{})
	if err != nil {
		return err
	}
	return t.VerifyChecksum()
}

// footed says whether the two lengths at the end of a table, of its index's
// checksum and of the index, stay in it: Badger exits where they do not.
func footed(data []byte) bool {
	end := len(data)
	for range 2 {
		if end -= 4; end < 0 {
			return false
		}
		end -= int(binary.BigEndian.Uint32(data[end:]))
	}
	return end >= 0
}
