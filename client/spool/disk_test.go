package spool_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"muster/client/spool"
	"muster/internal/files"
)

// faultyDisk fails at one of its operations: before it was done or after, as a full
// disk does once or as the end of the process does from then on.
type faultyDisk struct {
	files.Disk
	at      int  // which operation, from 1
	after   bool // it was done all the same
	forever bool
	done    int
}

func (d *faultyDisk) try(do func() error) error {
	d.done++
	if d.done == d.at && d.after {
		_ = do()
	}
	if d.done == d.at || d.forever && d.done > d.at {
		return syscall.ENOSPC
	}
	return do()
}

func (d *faultyDisk) Create(path string) (f files.File, err error) {
	err = d.try(func() (err error) {
		f, err = d.Disk.Create(path)
		return err
	})
	return faultyFile{f, d}, err
}

func (d *faultyDisk) MakeDir(path string) error {
	return d.try(func() error { return d.Disk.MakeDir(path) })
}

func (d *faultyDisk) Remove(path string) error {
	return d.try(func() error { return d.Disk.Remove(path) })
}

func (d *faultyDisk) Rename(from, to string) error {
	return d.try(func() error { return d.Disk.Rename(from, to) })
}

func (d *faultyDisk) SyncDir(path string) error {
	return d.try(func() error { return d.Disk.SyncDir(path) })
}

// faultyFile fails as its disk does.
type faultyFile struct {
	files.File
	d *faultyDisk
}

func (f faultyFile) Write(b []byte) (n int, err error) {
	err = f.d.try(func() (err error) {
		n, err = f.File.Write(b)
		return err
	})
	return n, err
}

func (f faultyFile) Sync() error { return f.d.try(f.File.Sync) }

// ledger is what an application was told. Every count is another power of two, so
// that a sum shows which are in it.
type ledger struct {
	next            uint32
	durable, doubts uint64 // counts whose Add returned nil, and that failed
}

// add adds once; again says to try until it is told that the count is durable.
func (l *ledger) add(sp *spool.Spool, again bool) {
	count := uint32(1) << l.next
	l.next++
	err := sp.Add("QR", count)
	for range 2 {
		if err != nil && again {
			err = sp.Add("QR", count)
		}
	}
	if err == nil {
		l.durable += uint64(count)
	} else {
		l.doubts += uint64(count)
	}
}

// check compares with what the server counted: all that is durable, and of what is
// in doubt each whole or not at all.
func (l *ledger) check(counted uint64) error {
	if counted&^l.doubts != l.durable {
		return fmt.Errorf("%b was counted, %b is durable and %b in doubt", counted, l.durable, l.doubts)
	}
	return nil
}

// work is a day of an application. It returns nil on a whole disk.
func (l *ledger) work(sp *spool.Spool, again bool) error {
	ctx := context.Background()
	_, err := sp.CheckIn(ctx)
	for range 2 {
		l.add(sp, again)
		l.add(sp, again)
		err = errors.Join(err, sp.Send(ctx))
	}
	l.add(sp, again)
	return err
}

// TestEveryOperationFails: the disk is full once, at each operation in turn. The
// application tries again, and the ledger is exact. [CLI-3]
func TestEveryOperationFails(t *testing.T) {
	everyOperation(t, func(t *testing.T, s *testServer, at int, after bool) bool {
		l := ledger{}
		d := &faultyDisk{Disk: files.OS{}, at: at, after: after}
		o := spool.Options{Dir: t.TempDir(), LicenseKey: s.Key, Vendor: s.Ring, Use: scan, Disk: d}
		sp, err := spool.Open(o)
		if err != nil {
			sp = must(spool.Open(o))
		}
		defer sp.Close()
		before := s.uses(1)
		failed := l.work(sp, true)
		if sp.Grant() == nil { // the check-in was what failed, so nothing could be added
			check(l.work(sp, true))
		}
		if err := sp.Send(context.Background()); err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Error(err)
		}
		mustSend(t, sp)
		if err := l.check(s.uses(1) - before); err != nil {
			t.Error(err)
		}
		if failed != nil && !errors.Is(failed, syscall.ENOSPC) {
			t.Errorf("error %v", failed)
		}
		if sp.Damaged() != nil {
			t.Error(sp.Damaged())
		}
		return d.done >= at
	})
}

// TestDiesAtEveryOperation: the process ends at each operation of the disk in turn,
// and another one goes on. [CLI-3]
func TestDiesAtEveryOperation(t *testing.T) {
	everyOperation(t, func(t *testing.T, s *testServer, at int, after bool) bool {
		l := ledger{}
		d := &faultyDisk{Disk: files.OS{}, at: at, after: after, forever: true}
		o := spool.Options{Dir: t.TempDir(), LicenseKey: s.Key, Vendor: s.Ring, Use: scan, Disk: d}
		before := s.uses(1)
		if sp, err := spool.Open(o); err == nil {
			_ = l.work(sp, false)
			sp.Die()
		}
		later := open(t, s, o.Dir)
		mustSend(t, later)
		must(later.CheckIn(context.Background()))
		l.add(later, false)
		mustSend(t, later)
		if err := l.check(s.uses(1) - before); err != nil {
			t.Error(err)
		}
		if later.Damaged() != nil {
			t.Error(later.Damaged())
		}
		return d.done >= at
	})
}

// everyOperation runs do for each operation until there are no more.
func everyOperation(t *testing.T, do func(t *testing.T, s *testServer, at int, after bool) bool) {
	s := startServer()
	defer s.Close()
	for _, after := range []bool{false, true} {
		last := 0
		for more := true; more; {
			last++
			t.Run(fmt.Sprintf("operation %d, done %v", last, after), func(t *testing.T) { more = do(t, s, last, after) })
		}
		if last < 12 {
			t.Errorf("only %d operations", last)
		}
	}
}

// orderDisk writes down what is read and synced, in order.
type orderDisk struct {
	files.Disk
	done []string
}

func (d *orderDisk) SyncDir(path string) error {
	d.done = append(d.done, "sync "+filepath.Base(path))
	return d.Disk.SyncDir(path)
}

func (d *orderDisk) Read(path string) ([]byte, error) {
	d.done = append(d.done, "read "+filepath.Base(path))
	return d.Disk.Read(path)
}

// TestFolderIsSyncedBeforeItIsRead: a process that was killed right after a rename
// has left a state that is seen and not durable. Acted upon, and gone at a power cut,
// its report would be made again under another tag. Found by the simulation. [CLI-3]
func TestFolderIsSyncedBeforeItIsRead(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	check(granted(t, s, dir).Close())
	d := &orderDisk{Disk: files.OS{}}
	check(must(spool.Open(spool.Options{Dir: dir, LicenseKey: s.Key, Vendor: s.Ring, Use: scan, Disk: d})).Close())
	synced, read := slices.Index(d.done, "sync 1"), slices.Index(d.done, "read state")
	if synced < 0 || synced > read {
		t.Errorf("%q", d.done)
	}
}
