package sim

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"

	"muster/internal/files"
	"muster/storage/journal"
	"muster/storage/journal/simdisk"
)

// simFiles is a device's disk: a simulated disk for each directory.
type simFiles map[string]*simdisk.Disk

// crash is what is left of it when the process was killed or the power cut.
func (f simFiles) crash(r *rand.Rand, power bool) {
	for _, dir := range slices.Sorted(maps.Keys(f)) { // in order, so that a seed repeats
		if power {
			f[dir] = f[dir].Crash(r)
		} else {
			f[dir] = f[dir].Kill()
		}
	}
}

// simProcess is what one process of a device does with its disk. It ends in the
// middle of it, when dies says so, and then nothing of what it does has effect.
type simProcess struct {
	simFiles
	killed bool
	locks  map[string]bool
	dies   int // before that operation from now; 0: it does not
	fails  int // that one does, for want of room
}

// op begins an operation that changes something.
func (p *simProcess) op() error {
	if p.dies--; p.dies == 0 {
		p.killed = true
	}
	if p.killed {
		return errKilled
	}
	if p.fails--; p.fails == 0 {
		return syscall.ENOSPC
	}
	return nil
}

func (p *simProcess) at(path string) (*simdisk.Disk, string, error) {
	d, ok := p.simFiles[filepath.Dir(path)]
	switch {
	case p.killed:
		return nil, "", errKilled
	case !ok:
		return nil, "", fs.ErrNotExist
	}
	return d, filepath.Base(path), nil
}

// Create implements files.Disk.
func (p *simProcess) Create(path string) (files.File, error) {
	d, name, err := p.at(path)
	if err = errors.Join(err, p.op()); err != nil {
		return nil, err
	}
	f, err := d.Create(name)
	return &simFile{f, p, 0}, err
}

// simFile is a file that is being written.
type simFile struct {
	journal.File
	p   *simProcess
	end int64
}

func (f *simFile) Write(b []byte) (int, error) {
	err := f.p.op()
	if err != nil {
		b = b[:len(b)/2] // some of it was written
	}
	n, wrote := f.WriteAt(b, f.end)
	f.end += int64(n)
	return n, errors.Join(err, wrote)
}

func (f *simFile) Sync() error {
	if err := f.p.op(); err != nil {
		return err
	}
	return f.File.Sync()
}

// Read implements files.Disk.
func (p *simProcess) Read(path string) ([]byte, error) {
	d, name, err := p.at(path)
	if err != nil {
		return nil, err
	}
	f, err := d.Open(name, false)
	if err != nil {
		return nil, err
	}
	return d.Contents(name), f.Close()
}

// List implements files.Disk.
func (p *simProcess) List(path string) ([]string, error) {
	d, _, err := p.at(filepath.Join(path, "any"))
	if err != nil {
		return nil, err
	}
	return d.List()
}

// MakeDir implements files.Disk. Directories are few and made at the first start:
// they are durable at once.
func (p *simProcess) MakeDir(path string) error {
	if p.killed {
		return errKilled
	}
	if p.simFiles[path] == nil {
		p.simFiles[path] = simdisk.New()
	}
	return nil
}

// Rename implements files.Disk.
func (p *simProcess) Rename(from, to string) error {
	d, name, err := p.at(from)
	if err = errors.Join(err, p.op()); err != nil {
		return err
	}
	return d.Rename(name, filepath.Base(to))
}

// Remove implements files.Disk.
func (p *simProcess) Remove(path string) error {
	d, name, err := p.at(path)
	if err = errors.Join(err, p.op()); err != nil {
		return err
	}
	return d.Remove(name)
}

// SyncDir implements files.Disk.
func (p *simProcess) SyncDir(path string) error {
	d, _, err := p.at(filepath.Join(path, "any"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // above the spool's directory
	}
	if err = errors.Join(err, p.op()); err != nil {
		return err
	}
	return d.SyncDir()
}

// Lock implements files.Disk.
func (p *simProcess) Lock(path string, _ bool) (io.Closer, error) {
	if p.locks[path] {
		return nil, files.ErrLocked
	}
	p.locks[path] = true
	return simLock{p, path}, nil
}

type simLock struct {
	p    *simProcess
	path string
}

func (l simLock) Close() error { delete(l.p.locks, l.path); return nil }
