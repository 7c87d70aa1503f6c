package spool_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"muster/client"
	"muster/client/spool"
	"muster/license"
)

// TestFolderForEachProcess: as many folders as run at once, and one that comes later
// takes a free one with what is in it. [CLI-9]
func TestFolderForEachProcess(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	first, second := granted(t, s, dir), granted(t, s, dir)
	if first.Path() == second.Path() || first.Grant().Client != second.Grant().Client {
		t.Fatal("two processes are to have a folder each and one client UUID")
	}
	mustAdd(t, first, 1)
	mustAdd(t, second, 2)
	mustSend(t, second)
	if s.uses(1) != 2 {
		t.Errorf("%d scans counted: the first process is there, and sends by itself", s.uses(1))
	}
	path := first.Path()
	first.Die()
	again := open(t, s, dir)
	if again.Path() != path || !again.Valid() {
		t.Errorf("a new process has %s, valid %v; want the folder that is free", again.Path(), again.Valid())
	}
	mustSend(t, again)
	if s.uses(1) != 3 || s.streams() != 2 {
		t.Errorf("%d scans, %d streams; want 3 and 2", s.uses(1), s.streams())
	}
}

// TestAbandonedIsAdopted: what a process has left, a report in doubt and usage that
// was not sent, is sent by another one, in its stream. [CLI-3] [CLI-9]
func TestAbandonedIsAdopted(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	inDoubt(t, s, dir)
	other := openUse(t, s, dir, client.Use{Product: "Reader", Version: 9, ChargeWay: license.Scan})
	if filepath.Base(other.Path()) != "2" || other.Grant() != nil {
		t.Fatalf("another application has folder %s", other.Path())
	}
	mustSend(t, other)
	if s.uses(1) != 7 || s.streams() != 1 {
		t.Errorf("%d scans, %d streams; want 7 and 1", s.uses(1), s.streams())
	}
	if !open(t, s, dir).Valid() {
		t.Error("the grant of the adopted folder is gone")
	}
}

// TestFoldersAreBounded: a ninth process is told so, and gets the folder of one that ends.
func TestFoldersAreBounded(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	var all []*spool.Spool
	for range spool.FoldersMax {
		all = append(all, open(t, s, dir))
	}
	o := spool.Options{Dir: dir, LicenseKey: s.Key, Vendor: s.Ring, Use: scan}
	if _, err := spool.Open(o); !errors.Is(err, spool.ErrTaken) {
		t.Errorf("error %v", err)
	}
	check(all[4].Close())
	if sp := open(t, s, dir); sp.Path() != all[4].Path() {
		t.Errorf("it has %s", sp.Path())
	}
}

// TestOtherUseTakesNoGrant: when all folders were used, an application with another
// use goes on in one of them, with its stream and without its grant; what waits
// there is charged to the item it was used under.
func TestOtherUseTakesNoGrant(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	var all []*spool.Spool
	for range spool.FoldersMax {
		all = append(all, granted(t, s, dir))
	}
	mustAdd(t, all[0], 5)
	for _, sp := range all {
		check(sp.Close())
	}
	sp := openUse(t, s, dir, client.Use{Product: "Reader", ChargeWay: license.DeviceYearly})
	if sp.Path() != all[0].Path() || sp.Grant() != nil {
		t.Errorf("it has %s and the grant %v", sp.Path(), sp.Grant())
	}
	must(sp.CheckIn(context.Background()))
	mustAdd(t, sp, 3)
	mustSend(t, sp)
	if s.uses(1) != 5 || s.uses(2) != 3 {
		t.Errorf("%d and %d uses of the two items, want 5 and 3", s.uses(1), s.uses(2))
	}
	if n := s.streams(); n != spool.FoldersMax {
		t.Errorf("%d streams", n)
	}
}

// TestOtherServer: usage for one server does not go to another, where the number of
// its item means something else; a folder in which nothing waits is used again.
func TestOtherServer(t *testing.T) {
	s, other := startServer(), startServer()
	defer s.Close()
	defer other.Close()
	dir := t.TempDir()
	first, empty := granted(t, s, dir), granted(t, s, dir)
	mustAdd(t, first, 5)
	check(first.Close())
	check(empty.Close())
	sp := granted(t, other, dir)
	if filepath.Base(sp.Path()) != "3" {
		t.Errorf("it has %s, and there was room for a folder of its own", sp.Path())
	}
	mustAdd(t, sp, 7)
	mustSend(t, sp)
	if s.uses(1) != 0 || other.uses(1) != 7 {
		t.Errorf("%d and %d scans, want 0 and 7", s.uses(1), other.uses(1))
	}
	for range spool.FoldersMax - 3 {
		granted(t, other, dir)
	}
	if last := granted(t, other, dir); last.Path() != empty.Path() {
		t.Errorf("the last one has %s", last.Path())
	}
	if _, err := spool.Open(spool.Options{Dir: dir, LicenseKey: other.Key, Vendor: other.Ring, Use: scan}); !errors.Is(err, spool.ErrTaken) {
		t.Errorf("the folder in which usage waits was given away: %v", err)
	}
	mustSend(t, open(t, s, dir))
	if s.uses(1) != 5 {
		t.Errorf("%d scans, want 5", s.uses(1))
	}
}

// TestUUIDOfTheApplication: a hard-bound client UUID is not stored; after it has
// changed, what waits is sent for the device that used it. [CLI-4]
func TestUUIDOfTheApplication(t *testing.T) {
	s := startServer()
	defer s.Close()
	o := spool.Options{Dir: t.TempDir(), LicenseKey: s.Key, Vendor: s.Ring, Use: scan, UUID: license.UUID{1}}
	first := must(spool.Open(o))
	g := must(first.CheckIn(context.Background()))
	mustAdd(t, first, 5)
	check(first.Close())
	if _, err := os.Stat(filepath.Join(o.Dir, "device")); !errors.Is(err, os.ErrNotExist) || g.Client != o.UUID {
		t.Errorf("client %x; the file of a random one: %v", g.Client, err)
	}
	o.UUID = license.UUID{2}
	second := must(spool.Open(o))
	defer second.Close()
	if g := must(second.CheckIn(context.Background())); g.Client != o.UUID {
		t.Errorf("client %x", g.Client)
	}
	mustSend(t, second)
	if s.uses(1) != 5 || s.streams() != 2 {
		t.Errorf("%d scans, %d streams; want 5 and 2", s.uses(1), s.streams())
	}
}
