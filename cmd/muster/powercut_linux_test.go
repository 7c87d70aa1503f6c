package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"muster/bench"
)

// TestPowerCut cuts the file system of a server under load off from its disk,
// without writing its log (EXT4_IOC_SHUTDOWN): what was not synced is gone. Then it
// is mounted again and the server started. [CLI-3]
func TestPowerCut(t *testing.T) {
	disk := newLoopDisk(t)
	o := crashServer(t, filepath.Dir(disk.dir))  // the data directory is mounted
	o.Args = append(o.Args, "--disk-floor", "0") // it is a small disk
	crashLoop(t, o, cmp.Or(*crashCycles, 3), func(server *bench.Server) error {
		if err := disk.cut(); err != nil {
			return err
		}
		server.Kill() // if its journal has not ended it yet
		<-server.Ended()
		if err := disk.remount(); err != nil {
			return err
		}
		return server.Restart(o)
	})
}

// loopDisk is an ext4 file system in a file.
type loopDisk struct{ image, dir string }

// newLoopDisk mounts one, or skips the test where that can't be done.
func newLoopDisk(t *testing.T) *loopDisk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
	base := t.TempDir()
	d := &loopDisk{image: filepath.Join(base, "image"), dir: filepath.Join(base, "data")}
	file, err := os.Create(d.image)
	if err != nil {
		t.Fatal(err)
	}
	const bytes = 1 << 30 // sparse
	if err := file.Truncate(bytes); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", d.image).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4 (Debian package e2fsprogs): %v %s", err, out)
	}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.mount(); err != nil {
		t.Skipf("no loop mounts here: %v", err)
	}
	t.Cleanup(func() { // after that of the server, which ends it
		if err := system("umount", d.dir); err != nil {
			t.Error(err)
		}
	})
	return d
}

func system(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// mount gives the image a loop device that goes when it is unmounted.
func (d *loopDisk) mount() error { return system("mount", "-o", "loop", d.image, d.dir) }

func (d *loopDisk) remount() error {
	if err := system("umount", d.dir); err != nil {
		return err
	}
	return d.mount()
}

// cut is the power cut: nothing reaches the image any more, nor does the log of
// the file system.
func (d *loopDisk) cut() error {
	const (
		shutdown   = 0x8004587d // EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)
		noLogFlush = uint32(2)
	)
	dir, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	flag := noLogFlush
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), shutdown, uintptr(unsafe.Pointer(&flag))); e != 0 {
		return os.NewSyscallError("ioctl(EXT4_IOC_SHUTDOWN)", e)
	}
	return nil
}
