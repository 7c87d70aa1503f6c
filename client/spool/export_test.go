package spool

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"muster/client"
	"muster/internal/files"
)

// What tests of the package see beside its exported names.

const (
	FoldersMax  = foldersMax
	LateSeconds = lateSeconds
)

var (
	Encode = encode
	Decode = decode
)

// SetNow sets the clock that dates what is added.
func (s *Spool) SetNow(now func() time.Time) { s.now = now }

// Path is the folder of this process.
func (s *Spool) Path() string { return s.own.path }

// Die ends the process as kill -9 does: nothing is written, the lock is free.
func (s *Spool) Die() {
	s.own.closed = true
	_ = s.own.lock.Close()
	_ = s.own.client.Close()
}

// Later is a file as a later version would write it.
func Later(file []byte) []byte {
	b := bytes.Replace(file[:len(file)-trailerBytes], []byte("spool 1 "), []byte("spool 2 "), 1)
	return fmt.Appendf(b, "crc32c %08x\n", crc32.Checksum(b, castagnoli))
}

// EditState changes what the first folder keeps.
func EditState(t *testing.T, dir string, edit func(*client.State)) {
	t.Helper()
	path := filepath.Join(dir, "1", stateName)
	k := kept{}
	err := read(files.OS{}, path, stateName, &k)
	if err == nil {
		edit(&k.State)
		var b []byte
		if b, err = encode(stateName, &k); err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
