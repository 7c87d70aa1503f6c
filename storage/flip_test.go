package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/engine"
	"muster/license"
	"muster/storage/journal"
)

// fixture is a data directory with a checkpoint of real state and entries behind it,
// as a kill has left it.
func fixture(t *testing.T) (path string, opt Options) {
	t.Helper()
	testdata := filepath.Join("..", "cmd", "muster", "testdata")
	ring := &license.KeyRing{}
	if err := ring.Add(must(license.ParsePublicKey(must(os.ReadFile(filepath.Join(testdata, "format-1.vendor.pub")))))); err != nil {
		t.Fatal(err)
	}
	opt = Options{Core: engine.Config{Trusted: ring}, Log: quiet()}
	path = filepath.Join(t.TempDir(), "data")
	backup := must(os.Open(filepath.Join(testdata, "format-1.tar.zst")))
	defer backup.Close()
	if _, err := Restore(backup, path, false, opt, func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return path, opt
}

// numbers is what a state adds up to, and its catalog.
func numbers(c *engine.Core) map[string]string {
	n := map[string]string{"": fmt.Sprint(c.Devices(), c.Clients(), c.Time(), c.Index())}
	for _, item := range c.Catalog().Items {
		if item != nil {
			n[item.Name()] = fmt.Sprintf("%d held, %+v", item.Usage.Held.Load(), c.Totals(engine.Scope{Item: item.Ordinal}))
		}
	}
	for kind := range engine.ObjectKind(255) {
		for _, id := range c.ObjectIDs(kind) {
			key := engine.ObjectKey{Kind: kind, ID: id}
			n[fmt.Sprint(key)] = string(c.Object(key))
		}
	}
	return n
}

// harmless says what is wrong with a directory in which something was damaged: it
// is to be refused, naming it, or to add up to the right numbers.
func harmless(path string, opt Options, want map[string]string) error {
	f, err := Verify(path, opt)
	switch {
	case err != nil && (f.Core != nil || !strings.Contains(err.Error(), path)):
		return fmt.Errorf("refused with numbers, or without a place: %w", err)
	case err == nil && !maps.Equal(numbers(f.Core), want):
		return fmt.Errorf("wrong numbers: %v", numbers(f.Core))
	}
	return nil
}

// everyBit flips the bits of data one at a time, each strideth; short tests take
// one of forty.
func everyBit(data []byte, stride int, visit func(bit int)) {
	if testing.Short() {
		stride *= 41
	}
	for bit := 0; bit < len(data)*8; bit += stride {
		data[bit/8] ^= 1 << (bit % 8)
		visit(bit)
		data[bit/8] ^= 1 << (bit % 8)
	}
}

// TestEveryBitOfBadgersFiles flips every bit of the files that Badger keeps pages
// and objects in, and of the file that the manifest is. DISCARD is statistics, a
// MiB of zeros: of its bits a sample will do, as of those of the log of values,
// which TestEveryBitOfPagesAndObjects flips.
func TestEveryBitOfBadgersFiles(t *testing.T) {
	t.Parallel()
	path, opt := fixture(t)
	want := numbers(must(Verify(path, opt)).Core)
	files := append(must(filepath.Glob(filepath.Join(path, "state", "*"))), filepath.Join(path, "manifest"))
	if len(files) != 6 {
		t.Fatalf("only %v", files)
	}
	for _, file := range files {
		data, stride, refused := must(os.ReadFile(file)), 1, 0
		switch {
		case filepath.Base(file) == "DISCARD":
			stride = 80001
		case strings.HasSuffix(file, ".vlog"):
			stride = 211
		}
		everyBit(data, stride, func(bit int) {
			if strings.HasSuffix(file, ".sst") && checkTable(1, data) != nil {
				refused++
				return
			}
			err := os.WriteFile(file, data, 0o600)
			if err == nil {
				err = harmless(path, opt, want)
			}
			if err != nil {
				t.Errorf("%s bit %d: %v", file, bit, err)
			}
		})
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".sst") && refused == 0 {
			t.Error("no flip in a table is noticed by its checksums")
		}
	}
}

// TestBadgersLogs flips bits of the logs of a server that was killed: of what
// Badger has not yet made a table of, and of the values, where the pages are. Of
// the bits that are written it is every 3,989th.
func TestBadgersLogs(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(kind, 1, "one")
	b.pass()
	b.put(kind, 1, "two")
	b.pass()
	b.put(kind, 2, "behind the checkpoint")
	path := filepath.Join(t.TempDir(), "data")
	err := os.CopyFS(path, os.DirFS(b.path))
	for errors.Is(err, fs.ErrNotExist) { // the next segment got its name meanwhile
		err = errors.Join(os.RemoveAll(path), os.CopyFS(path, os.DirFS(b.path)))
	}
	if err != nil {
		t.Fatal(err)
	}
	opt := verifyOptions()
	want := numbers(must(Verify(path, opt)).Core)
	logs := must(filepath.Glob(filepath.Join(path, "state", "*.mem")))
	logs = append(logs, must(filepath.Glob(filepath.Join(path, "state", "*.vlog")))...)
	if len(logs) != 2 {
		t.Fatalf("there are %v", logs)
	}
	for _, file := range logs {
		written := bytes.TrimRight(must(os.ReadFile(file)), "\x00")
		f := must(os.OpenFile(file, os.O_WRONLY, 0))
		everyBit(written, 3989, func(bit int) {
			_, err := f.WriteAt(written, 0)
			if err == nil {
				err = harmless(path, opt, want)
			}
			if err != nil {
				t.Errorf("%s bit %d: %v", file, bit, err)
			}
		})
		if _, err := f.WriteAt(written, 0); err != nil || f.Close() != nil {
			t.Fatal(err)
		}
	}
}

// flipped is what Badger holds, to be flipped without writing it: as if its own
// checksums had missed it.
type flipped struct {
	Pages
	values []KeyValue
}

func (p *flipped) Scan(prefix byte, visit func(key, value []byte) error) error {
	for _, kv := range p.values {
		if kv.Key[0] == prefix {
			if err := visit(kv.Key, kv.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestEveryBitOfPagesAndObjects flips every bit of what is stored in Badger: pages
// and objects, as they are before Badger adds its checksums.
func TestEveryBitOfPagesAndObjects(t *testing.T) {
	t.Parallel()
	path, opt := fixture(t)
	want := numbers(must(Verify(path, opt)).Core)
	pages := must(openBadger(filepath.Join(path, "state"), quiet()))
	values := &flipped{}
	for _, prefix := range []byte{pagePrefix, objectPrefix} {
		if err := pages.Scan(prefix, func(key, value []byte) error {
			values.values = append(values.values, KeyValue{slices.Clone(key), slices.Clone(value)})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := pages.Close(); err != nil || len(values.values) < 10 {
		t.Fatalf("%d values, %v", len(values.values), err)
	}
	m := must(readManifest(journal.Dir(path)))
	server := must((&Dir{Path: path}).readIdentity())
	identity := must(server.identity([32]byte{}, false))
	opt.Core.Server, opt.Core.TokenKey = identity.Public, identity.TokenKey
	opt.Core.Alloc = func(n int) []byte { return make([]byte, n) }
	load := &Store{Core: engine.New(opt.Core), pages: values}
	for _, kv := range values.values {
		everyBit(kv.Value, 1, func(bit int) {
			load.durable = 0
			if load.load(m, journal.Dir(path)) != nil {
				return
			}
			s, f := &Store{Core: engine.New(opt.Core), pages: values}, Found{}
			err := s.verify(journal.Dir(path), journal.Dir(filepath.Join(path, "journal")), &f)
			if err == nil && !maps.Equal(numbers(f.Core), want) {
				t.Errorf("%x bit %d: wrong numbers: %v", kv.Key, bit, numbers(f.Core))
			}
		})
		if err := load.load(m, journal.Dir(path)); err != nil {
			t.Fatal(errors.Join(errors.New("it is refused without a flip"), err))
		}
	}
}
