package storage

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"muster/engine"
	"muster/protocol"
)

// bytesIn is how much the files of a directory take. One that goes meanwhile takes nothing.
func bytesIn(t testing.TB, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		n += info.Size()
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return n
}

// deny commits a batch that counts refusals: what changes in it is pages.
func (b *bed) deny(n int) {
	b.t.Helper()
	b.Core.Begin(time.Now().UnixNano(), b.Journal.Buffer())
	for i := range n {
		b.Core.Deny(0, protocol.NoSuchProject, 0, protocol.UUID{byte(i)})
	}
	if _, err := b.Journal.Append(engine.EntryKind, 0, b.Core.Time(), b.Core.Close()); err != nil {
		b.t.Fatal(err)
	}
	b.Core.Publish()
}

// TestDiskIsBounded writes 400 checkpoints, with objects as large as the largest license
// file that change each time: 800 MiB of them, and what is kept stays as it is.
func TestDiskIsBounded(t *testing.T) {
	const (
		stateMost   = 256 << 20 // whatever was written: logs of Badger, of 64 and 3 × 16 MiB, and the 32 MiB of values after which obsolete ones go
		journalMost = 16 << 20  // three passes, a segment of 4 MiB made ahead, and those that wait to be used again
		passes      = 400
	)
	b := newBedWith(t, 4<<20)
	random := rand.NewChaCha8([32]byte{})
	raw := make([]byte, 800<<10)
	var state, log int64
	for range passes {
		random.Read(raw)
		text := base64.StdEncoding.EncodeToString(raw) // 1.04 MiB that hardly compress
		b.put(kind, 1, text)
		b.put(kind, 2, text)
		b.deny(100)
		b.pass()
		state, log = max(state, bytesIn(t, filepath.Join(b.path, "state"))), max(log, bytesIn(t, filepath.Join(b.path, "journal")))
	}
	want := b.object(kind, 1)
	b.close()
	t.Logf("the most: %d MiB of state, %d MiB of journal", state>>20, log>>20)
	if state > stateMost || log > journalMost {
		t.Errorf("%d MiB of state, %d MiB of journal: bounds are %d and %d", state>>20, log>>20, stateMost>>20, journalMost>>20)
	}
	if after := bytesIn(t, filepath.Join(b.path, "state")); after > stateMost/2 {
		t.Errorf("closed, the state takes %d MiB", after>>20)
	}
	b.open()
	if b.object(kind, 1) != want || b.object(kind, 2) != want {
		t.Error("an object came back as another")
	}
}
