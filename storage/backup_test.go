package storage

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/engine"
	"muster/license"
)

func verifyOptions() Options {
	return Options{Core: engine.Config{Trusted: &license.KeyRing{}}, Log: quiet(), SegmentBytes: 1 << 20}
}

// filesOf is what a directory holds, name to content.
func filesOf(t *testing.T, path string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(path, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestVerify(t *testing.T) {
	b := newBed(t)
	for i := range uint32(20) {
		b.put(kind, i, strings.Repeat("x", 100))
		if i == 9 {
			b.pass()
		}
	}
	if _, err := Verify(b.path, verifyOptions()); !errors.Is(err, ErrLocked) {
		t.Errorf("of a served directory: %v", err)
	}
	b.close()
	before := filesOf(t, b.path)
	f, err := Verify(b.path, verifyOptions())
	if err != nil {
		t.Fatal(err)
	}
	if f.Checkpoint != 10 || f.Objects != 10 || f.Journal.LastIndex != 20 || !f.Journal.Sealed {
		t.Errorf("%+v", f)
	}
	if got := f.Core.ObjectIDs(kind); len(got) != 20 {
		t.Errorf("it adds up to %d objects, want 20", len(got))
	}
	after := filesOf(t, b.path)
	if len(after) != len(before) {
		t.Errorf("%d files, %d before", len(after), len(before))
	}
	for name, data := range before {
		if after[name] != data {
			t.Errorf("%s was changed", name)
		}
	}
}

// What is damaged is named, and nothing is said to add up.
func TestVerifyFindsDamage(t *testing.T) {
	flip := func(path string, at int64) error {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		one := make([]byte, 1)
		if _, err := f.ReadAt(one, at); err != nil {
			return err
		}
		one[0] ^= 1
		_, err = f.WriteAt(one, at)
		return err
	}
	for name, c := range map[string]struct {
		damage func(dir string) error
		words  string
	}{
		"journal":  {func(dir string) error { return flip(filepath.Join(dir, "journal", "0000000000000001.log"), 4096+600) }, "0000000000000001.log"},
		"manifest": {func(dir string) error { return flip(filepath.Join(dir, "manifest"), 20) }, "manifest"},
		"identity": {func(dir string) error { return os.Remove(filepath.Join(dir, "identity.json")) }, "identity"},
		"format":   {func(dir string) error { return os.WriteFile(filepath.Join(dir, "FORMAT"), []byte("format 9\n"), 0o600) }, "format 9"},
		"state":    {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "state")) }, "state"},
		"segment": {func(dir string) error {
			return os.Remove(filepath.Join(dir, "journal", "0000000000000001.log"))
		}, "journal"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			for i := range uint32(5) {
				b.put(kind, i, "data")
			}
			b.pass()
			b.put(kind, 7, "behind the checkpoint")
			b.close()
			if err := c.damage(b.path); err != nil {
				t.Fatal(err)
			}
			f, err := Verify(b.path, verifyOptions())
			if err == nil || !strings.Contains(err.Error(), c.words) || f.Core != nil {
				t.Errorf("found %+v, error %v", f, err)
			}
			if f, err := Verify(t.TempDir(), verifyOptions()); err == nil || f.Core != nil {
				t.Errorf("an empty directory: %v", err)
			}
		})
	}
}

// backup takes a backup while changes and checkpoints go on.
func (b *bed) backup() []byte {
	b.t.Helper()
	var out bytes.Buffer
	busy := &disturbed{b: b, to: &out}
	if err := b.dir.Backup(busy, b.Store, time.Unix(1_800_000_000, 0), func(f func()) error { f(); return nil }); err != nil {
		b.t.Fatal(err)
	}
	return out.Bytes()
}

// disturbed changes the state at the first writes.
type disturbed struct {
	b  *bed
	to *bytes.Buffer
	n  uint32
}

func (d *disturbed) Write(p []byte) (int, error) {
	if d.n++; d.n < 12 {
		d.b.put(kind, 1000+d.n, strings.Repeat("changed meanwhile", 20_000))
		if d.n%2 == 0 {
			d.b.pass()
		}
	}
	return d.to.Write(p)
}

func TestBackupAndRestore(t *testing.T) { // [OPS-5]
	b := newBed(t)
	random := make([]byte, 200<<10)
	for i := range random { // so that it does not compress, and is written in many parts
		random[i] = byte(i * i >> 7)
	}
	for i := range uint32(30) {
		b.put(kind, i, string(random[i:]))
		if i == 20 {
			b.pass()
		}
	}
	first := b.Journal.FirstIndex()
	backup := b.backup()
	b.pass()
	b.pass()
	if b.Journal.FirstIndex() == first {
		t.Error("the journal is kept after the backup")
	}
	path := filepath.Join(t.TempDir(), "restored")
	checked := false
	before, err := Restore(bytes.NewReader(backup), path, false, verifyOptions(), func(unpacked string) error {
		f, err := Verify(unpacked, verifyOptions())
		if err == nil && len(f.Core.ObjectIDs(kind)) < 30 {
			t.Errorf("%d objects", len(f.Core.ObjectIDs(kind)))
		}
		checked = true
		return err
	})
	if err != nil || before != "" || !checked {
		t.Fatalf("%v, before %q, checked %v", err, before, checked)
	}
	r := &bed{t: t, path: path}
	r.open()
	for i := range uint32(30) {
		if r.object(kind, i) != string(random[i:]) {
			t.Errorf("object %d differs", i)
		}
	}
	r.put(kind, 1, "goes on")
	r.close()

	if _, err := Restore(bytes.NewReader(backup), path, false, verifyOptions(), nil); err == nil || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("over a data directory: %v", err)
	}
	before, err = Restore(bytes.NewReader(backup), path, true, verifyOptions(), func(string) error { return nil })
	if err != nil || before == "" {
		t.Fatal(before, err)
	}
	r.open()
	if r.object(kind, 1) != string(random[1:]) {
		t.Error("the restored directory did not take the place")
	}
	r.close()
	old := &bed{t: t, path: before}
	old.open()
	if old.object(kind, 1) != "goes on" {
		t.Error("what was there before is not kept")
	}
	old.close()
}

// A backup that was cut short or altered, or that the check refuses, replaces
// nothing.
func TestRestoreRefuses(t *testing.T) {
	b := newBed(t)
	b.put(kind, 1, "one")
	b.pass()
	backup := b.backup()
	refuse := func(name string, data []byte, check func(string) error) {
		t.Helper()
		path := b.path
		b.close()
		if _, err := Restore(bytes.NewReader(data), path, true, verifyOptions(), check); err == nil {
			t.Errorf("%s: restored", name)
		}
		if _, err := os.Stat(path + ".restoring"); !os.IsNotExist(err) {
			t.Errorf("%s: rests are left: %v", name, err)
		}
		b.open()
		if b.object(kind, 1) != "one" {
			t.Errorf("%s: the directory was changed", name)
		}
	}
	verified := func(unpacked string) error { _, err := Verify(unpacked, verifyOptions()); return err }
	for cut := 0; cut < len(backup); cut += 1 + len(backup)/9 {
		refuse("cut short", backup[:cut], verified)
	}
	refuse("without its last byte", backup[:len(backup)-1], verified)
	altered := bytes.Clone(backup)
	altered[len(altered)/2] ^= 1
	refuse("altered", altered, verified)
	refuse("refused", backup, func(string) error { return errors.New("no") })
	refuse("no backup", []byte("hello"), verified)
}
