package spool_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFullDisk: on a disk that is really full, what is added is refused and what
// was durable stays; nothing is sent that could not be kept. When there is room
// again all goes on, and the ledger is exact. [CLI-3]
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("can't mount a small disk here: %v", err)
	}
	t.Cleanup(func() { check(unix.Unmount(dir, unix.MNT_DETACH)) })
	s := startServer()
	defer s.Close()
	sp := granted(t, s, dir)
	l := ledger{}
	l.add(sp, false)
	filler := must(os.Create(filepath.Join(dir, "filler")))
	for err := error(nil); err == nil; {
		_, err = filler.Write(make([]byte, 4096))
	}
	if err := sp.Add("QR", 1<<20); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("added on a full disk: %v", err)
	}
	if err := sp.Send(context.Background()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("sent from a full disk: %v", err)
	}
	if s.uses(1) != 0 {
		t.Errorf("%d scans counted, that were not kept as sent", s.uses(1))
	}
	sp.Die()
	check(errors.Join(filler.Close(), os.Remove(filler.Name())))
	sp = open(t, s, dir)
	l.add(sp, false)
	mustSend(t, sp)
	if err := l.check(s.uses(1)); err != nil || l.doubts != 0 {
		t.Error(err, l.doubts)
	}
	if sp.Damaged() != nil || sp.Dropped() != 0 {
		t.Errorf("damaged: %v, dropped %d", sp.Damaged(), sp.Dropped())
	}
}
