package storage

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/engine"
	"muster/license"
	"muster/machine"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// bed is a data directory that can be opened, closed and abandoned.
type bed struct {
	t    *testing.T
	path string
	dir  *Dir
	// segment is the size of the journal's segments.
	segment int64
	*Store
}

func newBed(t *testing.T) *bed {
	return newBedWith(t, 1<<20)
}

func newBedWith(t *testing.T, segment int64) *bed {
	const name = "data [of a license server]" // the name of a directory is no pattern
	b := &bed{t: t, path: filepath.Join(t.TempDir(), name), segment: segment}
	b.open()
	t.Cleanup(func() {
		if b.Store != nil {
			b.close()
		}
	})
	return b
}

func (b *bed) tryOpen() (err error) {
	if b.dir, err = OpenDir(b.path); err != nil {
		return err
	}
	identity, err := b.dir.LoadIdentity(license.BindKey, machine.Facts{})
	if err == nil {
		b.Store, err = b.dir.Open(Options{
			Core: engine.Config{Server: identity.Public, Trusted: &license.KeyRing{}, TokenKey: identity.TokenKey},
			Log:  quiet(), SegmentBytes: b.segment,
		})
	}
	if err != nil {
		b.Store = nil
		return errors.Join(err, b.dir.Close())
	}
	return nil
}

func (b *bed) open() {
	b.t.Helper()
	if err := b.tryOpen(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) close() {
	b.t.Helper()
	if err := errors.Join(b.Store.Close(), b.dir.Close()); err != nil {
		b.t.Fatal(err)
	}
	b.Store = nil
}

// put commits a batch that writes catalog objects.
func (b *bed) put(kind engine.ObjectKind, id uint32, data string) {
	b.t.Helper()
	b.Core.Begin(time.Now().UnixNano(), b.Journal.Buffer())
	b.Core.PutObject(engine.ObjectKey{Kind: kind, ID: id}, []byte(data))
	if _, err := b.Journal.Append(engine.EntryKind, 0, b.Core.Time(), b.Core.Close()); err != nil {
		b.t.Fatal(err)
	}
	b.Core.Publish()
}

func (b *bed) object(kind engine.ObjectKind, id uint32) string {
	return string(b.Core.Object(engine.ObjectKey{Kind: kind, ID: id}))
}

// pass writes a whole checkpoint.
func (b *bed) pass() {
	b.t.Helper()
	b.Checkpoint.Begin(b.Core.BeginCheckpoint())
	for done := false; !done; {
		pages, ids, ok := b.Checkpoint.Buffer()
		if !ok {
			time.Sleep(time.Millisecond)
			continue
		}
		var n int
		n, done = b.Core.CheckpointStep(pages, ids)
		b.Checkpoint.Write(n)
	}
	outcome := make(chan error)
	b.Checkpoint.Finish(func(err error) { outcome <- err })
	if err := <-outcome; err != nil {
		b.t.Fatal(err)
	}
}

const kind = engine.ObjectAdmin

func TestReopen(t *testing.T) {
	b := newBed(t)
	b.put(kind, 1, "one")
	b.close()
	b.open() // from the journal alone
	b.put(kind, 2, "two")
	b.pass()
	b.put(kind, 1, "uno")
	b.close()
	b.open() // from the checkpoint and the journal behind it
	if b.object(kind, 1) != "uno" || b.object(kind, 2) != "two" {
		t.Errorf("objects %q and %q", b.object(kind, 1), b.object(kind, 2))
	}
	if got := b.Journal.LastIndex(); got != 3 {
		t.Errorf("last index %d, want 3", got)
	}
}

func TestJournalKeptBackToCheckpointBeforeLast(t *testing.T) {
	b := newBed(t)
	big := strings.Repeat("x", 300<<10)
	for i := range uint32(40) {
		b.put(kind, 1, big)
		if i%10 == 9 {
			b.pass()
		}
	}
	if first := b.Journal.FirstIndex(); first > 31 || first < 20 {
		t.Errorf("the journal begins at %d, want it to reach back to 31 and not to 20", first)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	b := newBed(t)
	if _, err := OpenDir(b.path); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
}

func TestForeignDirectoryIsRefused(t *testing.T) {
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, "holiday.jpg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(path); err == nil || !strings.Contains(err.Error(), "not a muster data directory") {
		t.Errorf("error %v", err)
	}
}

// TestFormatGate: a directory of another format is refused by start and verify
// alike, and what no muster wrote is told from what a newer one did. Nothing in
// the directory is touched.
func TestFormatGate(t *testing.T) {
	b := newBed(t)
	b.close()
	path := filepath.Join(b.path, "FORMAT")
	good := must(os.ReadFile(path))
	before := filesOf(t, b.path)
	refused := func(content []byte, words string) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		before[path] = string(content)
		opened := b.tryOpen()
		_, verified := Verify(b.path, verifyOptions())
		for _, err := range []error{opened, verified} {
			if err == nil || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), b.path) {
				t.Errorf("%q: error %v, want %q", content, err, words)
			}
		}
		if !maps.Equal(filesOf(t, b.path), before) {
			t.Errorf("%q: something in the directory was changed", content)
		}
	}
	refused([]byte("muster data directory, format 2\n"), "is of format 2, this muster reads 1: start the version that wrote it, or a newer one")
	refused([]byte("muster data directory, format 10\n"), "is of format 10")
	for _, garbage := range []string{"", "1", "muster data directory, format 0\n", "muster data directory, format -1\n", "muster data directory, format 1", string(good) + string(good)} {
		refused([]byte(garbage), "no muster has written")
	}
	for bit := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		refused(bad, "data directory ")
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	b.open()
}

// TestDamagedManifest flips every bit of a manifest and cuts it at every byte.
func TestDamagedManifest(t *testing.T) {
	b := newBed(t)
	b.put(kind, 1, "one")
	b.pass()
	b.close()
	path := filepath.Join(b.path, "manifest")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(good)
	everyBit(bad, 1, func(bit int) {
		if err := new(manifest).decode(bad); err == nil {
			t.Errorf("bit %d flipped and the manifest reads", bit)
		}
	})
	for i := range good {
		if err := new(manifest).decode(good[:i]); err == nil {
			t.Errorf("cut to %d bytes and the manifest reads", i)
		}
	}
	if err := os.WriteFile(path, good[:len(good)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.tryOpen(); err == nil || !strings.Contains(err.Error(), "manifest") {
		t.Errorf("error %v", err)
	}
}

func TestLostPageIsNoticed(t *testing.T) {
	for name, got := range map[string]pageMark{"older": {4, 77}, "altered": {5, 78}} {
		if err := checkMark(pageMark{5, 77}, got); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, got := range map[string]pageMark{"same": {5, 77}, "newer": {6, 1}} {
		if err := checkMark(pageMark{5, 77}, got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIdentity(t *testing.T) { // [SRV-1] [SRV-2]
	here := machine.Facts{{1}, {2}, {3}, {4}}
	path := filepath.Join(t.TempDir(), "data")
	load := func(here machine.Facts) *Identity {
		t.Helper()
		d, err := OpenDir(path)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		id, err := d.LoadIdentity(license.BindHardware, here)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := load(here)
	if mode := must(os.Stat(filepath.Join(path, "identity.json"))).Mode().Perm(); mode != 0o600 {
		t.Errorf("identity.json has mode %o", mode)
	}
	newCard := here
	newCard[machine.MAC] = machine.Fact{9}
	if id := load(newCard); id.Public.UUID() != first.Public.UUID() || id.Moved {
		t.Error("a new network card changed the UUID")
	}
	elsewhere := machine.Facts{{11}, {2}, {13}, {14}}
	moved := load(elsewhere)
	if moved.Public.UUID() == first.Public.UUID() || !moved.Moved {
		t.Error("another machine has the same UUID")
	}
	if !moved.SigningKey.Equal(first.SigningKey) {
		t.Error("another machine changed the keys")
	}
	if id := load(here); id.Public.UUID() != first.Public.UUID() {
		t.Error("coming home did not bring the UUID back")
	}
	if !ed25519.Verify(first.Public.SigningKey, []byte("x"), ed25519.Sign(moved.SigningKey, []byte("x"))) {
		t.Error("the key pair does not fit")
	}
}

func TestHardwareModeNeedsFacts(t *testing.T) { // [SRV-2]
	d, err := OpenDir(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.LoadIdentity(license.BindHardware, machine.Facts{{1}, {2}}); err == nil || !strings.Contains(err.Error(), "--binding key") {
		t.Errorf("error %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
