package spool_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/client/spool"
	"muster/internal/files"
)

// TestEveryBitIsSeen: no bit of a file can turn, and no end of it can be missing,
// without being seen.
func TestEveryBitIsSeen(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	inDoubt(t, s, dir)
	for name, kind := range map[string]string{"device": "device", "1/state": "state", "1/sheet-2": "sheet"} {
		whole := must(os.ReadFile(filepath.Join(dir, name)))
		var v any
		check(spool.Decode(kind, whole, &v))
		for bit := range 8 * len(whole) {
			whole[bit/8] ^= 1 << (bit % 8)
			if err := spool.Decode(kind, whole, &v); !errors.Is(err, spool.ErrDamaged) {
				t.Fatalf("%s with bit %d turned: %v", name, bit, err)
			}
			whole[bit/8] ^= 1 << (bit % 8)
		}
		for n := range whole {
			if err := spool.Decode(kind, whole[:n], &v); !errors.Is(err, spool.ErrDamaged) {
				t.Fatalf("%s cut to %d bytes: %v", name, n, err)
			}
		}
		for other := range map[string]bool{"device": true, "state": true, "sheet": true} {
			if err := spool.Decode(other, whole, &v); (err == nil) != (other == kind) {
				t.Errorf("%s as a %s file: %v", name, other, err)
			}
		}
	}
}

// inDoubt leaves a spool as a process does that ends between the server's answer to
// its first report, of 1 scan, and the next write: the server has it, the spool does
// not know; 2 and 4 scans wait in sheets.
func inDoubt(t *testing.T, s *testServer, dir string) {
	t.Helper()
	d := &faultyDisk{Disk: files.OS{}}
	sp := must(spool.Open(spool.Options{Dir: dir, LicenseKey: s.Key, Vendor: s.Ring, Use: scan, Disk: d}))
	must(sp.CheckIn(context.Background()))
	check(sp.Add("QR", 1))
	before := s.uses(1)
	d.at, d.forever = d.done+7, true // its state with the report takes five, the sheet that goes one, and then
	if err := sp.Send(context.Background()); err == nil || s.uses(1) != before+1 {
		t.Fatalf("error %v, %d scans counted", err, s.uses(1)-before)
	}
	sp.Die()
	for _, count := range []uint32{2, 4} { // a sheet each: what a former run left is not added to
		sp := open(t, s, dir)
		mustAdd(t, sp, count)
		check(sp.Close())
	}
}

// TestDamageNeverCountsTwice: damage to any file, at places over all of it, leads to
// a report of it and to nothing that counts twice; what was not damaged counts.
func TestDamageNeverCountsTwice(t *testing.T) {
	s := startServer()
	defer s.Close()
	damages := map[string]func(b []byte, i, n int) []byte{
		"turned": func(b []byte, i, n int) []byte { b[i*(len(b)-1)/(n-1)] ^= 0x10; return b },
		"cut":    func(b []byte, i, n int) []byte { return b[:i*(len(b)-1)/(n-1)] },
	}
	// What may be counted, beside the 1 that was before: all, without damage.
	for name, want := range map[string]uint64{"device": 6, "1/state": 0, "1/sheet-2": 4, "1/sheet-3": 2} {
		for how, damage := range damages {
			const places = 3
			for i := range places {
				t.Run(fmt.Sprintf("%s %s %d", name, how, i), func(t *testing.T) {
					dir := t.TempDir()
					inDoubt(t, s, dir)
					path := filepath.Join(dir, name)
					check(os.WriteFile(path, damage(must(os.ReadFile(path)), i, places), 0o600))
					before, devices := s.uses(1), s.streams()
					mustGoOn(t, s, dir, filepath.Base(path))
					if n := s.uses(1) - before; n != want+8 {
						t.Errorf("%d scans counted, want %d", n, want+8)
					}
					if n := s.streams() - devices; (n == 1) != (name == "1/state") {
						t.Errorf("%d new streams", n)
					}
				})
			}
		}
	}
}

// mustGoOn opens a damaged spool, which must say that the file is, and adds 8 scans
// and sends.
func mustGoOn(t *testing.T, s *testServer, dir, name string) {
	t.Helper()
	sp := open(t, s, dir)
	if err := sp.Damaged(); !errors.Is(err, spool.ErrDamaged) || !strings.Contains(err.Error(), name) {
		t.Errorf("%v is said of a damaged %s", err, name)
	}
	must(sp.CheckIn(context.Background()))
	mustAdd(t, sp, 8)
	mustSend(t, sp)
	check(sp.Close())
	if err := open(t, s, dir).Damaged(); err != nil {
		t.Errorf("opened once more: %v", err)
	}
}

// TestMissingState: sheets without a state may have been sent.
func TestMissingState(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	inDoubt(t, s, dir)
	check(os.Remove(filepath.Join(dir, "1", "state")))
	before := s.uses(1)
	mustGoOn(t, s, dir, "state")
	if n := s.uses(1) - before; n != 8 {
		t.Errorf("%d scans counted, want 8", n)
	}
}

// TestCopiedSheet: a sheet under another number would count twice.
func TestCopiedSheet(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	inDoubt(t, s, dir)
	check(os.WriteFile(filepath.Join(dir, "1", "sheet-9"), must(os.ReadFile(filepath.Join(dir, "1", "sheet-3"))), 0o600))
	before := s.uses(1)
	mustGoOn(t, s, dir, "sheet-9")
	if n := s.uses(1) - before; n != 6+8 {
		t.Errorf("%d scans counted, want 14", n)
	}
}

// TestSheetsThatWereTaken: a sheet that comes back, because the power went before
// its removal was on the disk, is nothing.
func TestSheetsThatWereTaken(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	inDoubt(t, s, dir)
	before := s.uses(1)
	third := must(os.ReadFile(filepath.Join(dir, "1", "sheet-3")))
	sp := open(t, s, dir)
	mustSend(t, sp)
	check(sp.Close())
	check(os.WriteFile(filepath.Join(dir, "1", "sheet-3"), third, 0o600))
	mustSend(t, open(t, s, dir))
	if n := s.uses(1) - before; n != 6 {
		t.Errorf("%d scans counted, want 6", n)
	}
}

// TestTornWrite: a write that stopped at any byte is nothing, and goes away.
func TestTornWrite(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	inDoubt(t, s, dir)
	for _, name := range []string{"state", "sheet-3", "sheet-4"} {
		next := must(spool.Encode("sheet", map[string]any{"number": 3, "item": 1}))
		for n := range len(next) + 1 {
			check(os.WriteFile(filepath.Join(dir, "1", name+".new"), next[:n], 0o600))
			sp := open(t, s, dir)
			if err := sp.Damaged(); err != nil {
				t.Fatalf("%s.new of %d bytes: %v", name, n, err)
			}
			check(sp.Close())
			for _, left := range filesIn(t, dir) {
				if strings.HasSuffix(left, ".new") {
					t.Fatalf("%s of %d bytes is left", left, n)
				}
			}
		}
	}
	before := s.uses(1)
	mustSend(t, open(t, s, dir))
	if n := s.uses(1) - before; n != 6 {
		t.Errorf("%d scans counted, want 6", n)
	}
}

// TestLaterVersion: what a later version wrote is left alone.
func TestLaterVersion(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	inDoubt(t, s, dir)
	path := filepath.Join(dir, "1", "state")
	check(os.WriteFile(path, spool.Later(must(os.ReadFile(path))), 0o600))
	names := filesIn(t, dir)
	if _, err := spool.Open(spool.Options{Dir: dir, LicenseKey: s.Key, Vendor: s.Ring, Use: scan}); !errors.Is(err, spool.ErrVersion) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one of the version that names %s", err, path)
	}
	if got := filesIn(t, dir); fmt.Sprint(got) != fmt.Sprint(names) {
		t.Errorf("files %v, before %v", got, names)
	}
}

// TestForgottenGrant: a grant that does not verify under the application's vendor
// keys is not of use; usage is sent all the same.
func TestForgottenGrant(t *testing.T) {
	s := startServer()
	defer s.Close()
	other := startServer()
	defer other.Close()
	dir := t.TempDir()
	inDoubt(t, s, dir)
	before := s.uses(1)
	sp := must(spool.Open(spool.Options{Dir: dir, LicenseKey: s.Key, Vendor: other.Ring, Use: scan}))
	defer sp.Close()
	if sp.Valid() || sp.Grant() != nil {
		t.Error("a grant under another vendor's key is valid")
	}
	mustSend(t, sp)
	if n := s.uses(1) - before; n != 6 {
		t.Errorf("%d scans counted, want 6", n)
	}
}
