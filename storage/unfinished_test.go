package storage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/engine"
)

// unfinished begins a pass, copies all that is dirty and does not write the manifest.
func (b *bed) unfinished() {
	b.t.Helper()
	b.Checkpoint.Begin(b.Core.BeginCheckpoint())
	pages, ids, ok := b.Checkpoint.Buffer()
	if !ok {
		b.t.Fatal("no buffer")
	}
	n, _ := b.Core.CheckpointStep(pages, ids)
	b.Checkpoint.Write(n)
	written := make(chan struct{})
	b.check.work <- func() { close(written) }
	<-written
}

// TestDamagedObjectOfUnfinishedPass: no manifest vouches for what a pass copied
// that did not finish, so a damaged copy must not be served: the journal has it.
// Found by TestSimulation, which flips bits.
func TestDamagedObjectOfUnfinishedPass(t *testing.T) {
	b := newBed(t)
	b.put(kind, 1, "one")
	b.pass()
	b.put(kind, 1, "two")
	b.put(kind, 2, "new")
	b.unfinished()
	for id := range uint32(2) {
		key := engine.ObjectKey{Kind: kind, ID: id + 1}
		value := objectValue(engine.ObjectCopy{Key: key, Index: uint64(id) + 2, Data: []byte("bad")})
		if err := b.pages.Put([]KeyValue{{objectKey(key), value}}); err != nil {
			t.Fatal(err)
		}
	}
	b.close()
	b.open()
	if b.object(kind, 1) != "two" || b.object(kind, 2) != "new" {
		t.Errorf("objects %q and %q", b.object(kind, 1), b.object(kind, 2))
	}
}

// TestObjectThatTheJournalDoesNotHave: its index was damaged.
func TestObjectThatTheJournalDoesNotHave(t *testing.T) {
	b := newBed(t)
	b.put(kind, 1, "one")
	b.pass()
	b.put(kind, 2, "two")
	key := engine.ObjectKey{Kind: kind, ID: 1}
	if err := b.pages.Put([]KeyValue{{objectKey(key), objectValue(engine.ObjectCopy{Index: 2, Data: []byte("one")})}}); err != nil {
		t.Fatal(err)
	}
	b.close()
	if err := b.tryOpen(); err == nil || !strings.Contains(err.Error(), "restore the data directory from a backup") {
		t.Errorf("error %v", err)
	}
}

// TestJournalShorterThanPages: a page is copied when its last entry is durable, so a
// journal that ends before has lost its end, though the manifest knows nothing of it.
// Served, the next entry would not change that page. Found by TestSimulation.
func TestJournalShorterThanPages(t *testing.T) {
	b := newBed(t)
	b.put(kind, 1, "one")
	b.pass()
	dir, before := filepath.Join(b.path, "journal"), filepath.Join(t.TempDir(), "journal")
	if err := os.CopyFS(before, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	b.put(kind, 2, "two")
	b.unfinished()
	b.close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(before)); err != nil {
		t.Fatal(err)
	}
	if err := b.tryOpen(); err == nil || !strings.Contains(err.Error(), "ends with entry 1, but entry 2 had been made durable") {
		t.Errorf("error %v", err)
	}
}
