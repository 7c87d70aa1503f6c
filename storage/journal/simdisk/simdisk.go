// Package simdisk is a disk in memory that loses power: the journal.Disk that
// tests and the simulation run on.
//
// What it keeps apart is what a caller sees and what is durable. Each file has
// both contents, compared in sectors of 512 bytes; the directory has both lists of
// names. Sync and SyncDir carry one over to the other. Crash makes the disk
// that the next start finds: of every sector not yet synced, the old bytes, the
// new ones or a mixture cut anywhere within; of every change of the directory, done
// or not, independently of the others.
//
// A Sync that fails is as bad as on Linux: the sectors count as clean, a later
// Sync does not write them, and whether they are durable only a crash shows.
//
// Bytes that were durable and are overwritten by the same bytes survive. The disk
// rots only where Flip is called.
package simdisk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"muster/storage/journal"
)

const sectorBytes = 512

// ErrPowerOff is what every call returns once the power is off.
var ErrPowerOff = errors.New("simdisk: power is off")

// Op is a kind of call that changes the disk.
type Op uint8

// The calls that can be made to fail.
const (
	OpCreate Op = iota
	OpWrite
	OpSync
	OpRename
	OpRemove
	OpSyncDir
	opCount
)

// Disk implements journal.Disk. Its methods may be called from any goroutine.
type Disk struct {
	mu      sync.Mutex
	names   map[string]*file // as the caller sees them
	durable map[string]*file
	changes []change // since the last SyncDir

	calls    int
	offAfter int // calls until the power goes, -1 for never
	off      bool
	faults   [opCount]fault
}

// change is a change of the directory that may be lost or kept.
type change struct {
	add    string // "" for none
	remove string
	file   *file
}

type fault struct {
	after int // calls of the kind that still succeed, -1 for never
	err   error
}

// file holds what is seen, what is durable, and which sectors differ.
type file struct {
	seen    []byte
	durable []byte
	dirty   []bool // the next Sync writes them
	limbo   []bool // a Sync of them failed: no Sync writes them, but a Crash may
}

// New returns an empty disk.
func New() *Disk {
	d := &Disk{names: map[string]*file{}, durable: map[string]*file{}, offAfter: -1}
	for op := range d.faults {
		d.faults[op].after = -1
	}
	return d
}

// String names the disk in errors.
func (d *Disk) String() string { return "simulated disk" }

// FailAt makes the n-th next call of a kind return err, counted from 1. A write
// that fails leaves the first half of its sectors behind.
func (d *Disk) FailAt(op Op, n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[op] = fault{n - 1, err}
}

// PowerOffAt cuts the power at the n-th next call that changes anything, counted
// from 1. A write is then done and not synced, any other call is not done.
func (d *Disk) PowerOffAt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.offAfter = n - 1
}

// Calls returns how many calls have changed the disk so far.
func (d *Disk) Calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// begin accounts for a call that changes the disk and returns the error it must
// fail with.
func (d *Disk) begin(op Op) error {
	if d.off {
		return ErrPowerOff
	}
	d.calls++
	if d.offAfter == 0 {
		d.off = true
		return ErrPowerOff
	}
	d.offAfter = max(d.offAfter-1, -1)
	f := &d.faults[op]
	if f.after == 0 {
		f.after = -1
		return f.err
	}
	f.after = max(f.after-1, -1)
	return nil
}

// Create implements journal.Disk.
func (d *Disk) Create(name string) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin(OpCreate); err != nil {
		return nil, err
	}
	f := &file{}
	d.names[name] = f
	d.changes = append(d.changes, change{add: name, file: f})
	return &handle{disk: d, file: f, writable: true}, nil
}

// Open implements journal.Disk.
func (d *Disk) Open(name string, writable bool) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return nil, ErrPowerOff
	}
	f, ok := d.names[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &handle{disk: d, file: f, writable: writable}, nil
}

// Rename implements journal.Disk.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin(OpRename); err != nil {
		return err
	}
	f, ok := d.names[from]
	if !ok {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	delete(d.names, from)
	d.names[to] = f
	d.changes = append(d.changes, change{add: to, remove: from, file: f})
	return nil
}

// Remove implements journal.Disk.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin(OpRemove); err != nil {
		return err
	}
	if _, ok := d.names[name]; !ok {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(d.names, name)
	d.changes = append(d.changes, change{remove: name})
	return nil
}

// List implements journal.Disk.
func (d *Disk) List() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return nil, ErrPowerOff
	}
	return slices.Sorted(maps.Keys(d.names)), nil
}

// SyncDir implements journal.Disk.
func (d *Disk) SyncDir() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin(OpSyncDir); err != nil {
		return err
	}
	d.durable = maps.Clone(d.names)
	d.changes = d.changes[:0]
	return nil
}

// handle is a file opened by a caller.
type handle struct {
	disk     *Disk
	file     *file
	writable bool
	closed   bool
}

func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	switch {
	case h.closed:
		return 0, fs.ErrClosed
	case h.disk.off:
		return 0, ErrPowerOff
	case off < 0 || off > int64(len(h.file.seen)):
		return 0, io.EOF
	}
	n := copy(p, h.file.seen[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	switch {
	case h.closed:
		return 0, fs.ErrClosed
	case !h.writable:
		return 0, fmt.Errorf("simdisk: %w: opened for reading", fs.ErrPermission)
	case h.disk.off:
		return 0, ErrPowerOff
	}
	err := h.disk.begin(OpWrite)
	if err != nil && err != ErrPowerOff {
		p = p[:len(p)/2/sectorBytes*sectorBytes]
	}
	h.file.write(p, off)
	return len(p), err
}

func (h *handle) Sync() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.closed {
		return fs.ErrClosed
	}
	err := h.disk.begin(OpSync)
	if err == nil {
		h.file.sync()
	} else if err != ErrPowerOff {
		h.file.failSync()
	}
	return err
}

func (h *handle) Size() (int64, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	return int64(len(h.file.seen)), nil
}

func (h *handle) Close() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.closed {
		return fs.ErrClosed
	}
	h.closed = true
	return nil
}

func sectors(n int) int { return (n + sectorBytes - 1) / sectorBytes }

func (f *file) write(p []byte, off int64) {
	end := int(off) + len(p)
	if grow := end - len(f.seen); grow > 0 {
		f.seen = append(f.seen, make([]byte, grow)...)
		more := make([]bool, sectors(end)-len(f.dirty))
		f.dirty, f.limbo = append(f.dirty, more...), append(f.limbo, more...)
	}
	copy(f.seen[off:], p)
	for s := int(off) / sectorBytes; s < sectors(end); s++ {
		f.dirty[s], f.limbo[s] = true, false
	}
}

func (f *file) sync() {
	if grow := len(f.seen) - len(f.durable); grow > 0 {
		f.durable = append(f.durable, make([]byte, grow)...)
	}
	for s, dirty := range f.dirty {
		if dirty {
			copy(f.durable[s*sectorBytes:], f.sector(f.seen, s))
			f.dirty[s] = false
		}
	}
}

func (f *file) failSync() {
	for s, dirty := range f.dirty {
		if dirty {
			f.dirty[s], f.limbo[s] = false, true
		}
	}
}

func (f *file) sector(of []byte, s int) []byte {
	return of[s*sectorBytes : min((s+1)*sectorBytes, len(of))]
}

func (f *file) clone() *file {
	return &file{bytes.Clone(f.seen), bytes.Clone(f.durable), slices.Clone(f.dirty), slices.Clone(f.limbo)}
}
