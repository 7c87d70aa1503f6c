package spool

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"muster/client"
	"muster/internal/files"
	"muster/license"
	"muster/protocol"
)

// sheetsMax bounds the sheets of a folder, 16 MiB: 262,144 lines, half a year of
// three modules that are used in every slot.
const sheetsMax = 4096

// ErrFull means that so much usage waits that no more is taken.
var ErrFull = fmt.Errorf("spool: %d sheets of usage wait for the server: connect, and send them", sheetsMax)

// ErrClosed means that the spool was closed.
var ErrClosed = errors.New("spool: closed")

// kept is what the state file holds.
type kept struct {
	State client.State `json:"state"`
	// Servers are the handshake keys of the license key it was used with: a stream
	// and the number of an item mean something to those servers alone.
	Servers []string `json:"servers"`
	// Taken is the newest sheet whose lines are in State's queue, were
	// acknowledged, or were dropped. So were all before it.
	Taken uint64 `json:"taken"`
	// Dropped counts what was too old to be sent.
	Dropped uint64 `json:"dropped,omitempty"`
}

// sheet is usage that waits: the lines of one report.
type sheet struct {
	Number uint64          `json:"number"`
	Item   uint32          `json:"item"`
	Lines  []protocol.Line `json:"lines"`
}

func sum(lines []protocol.Line) (n uint64) {
	for _, l := range lines {
		n += uint64(l.Count)
	}
	return n
}

// folder is what one process has on disk. Its lock is held as long as it is open.
type folder struct {
	path string
	disk files.Disk
	lock io.Closer

	mu     sync.Mutex
	kept   kept
	sheets []sheet // that were not taken, in order
	open   bool    // the last one may be added to
	spent  []string
	closed bool
}

const stateName = "state"

func sheetName(number uint64) string { return "sheet-" + strconv.FormatUint(number, 10) }

// openFolder locks a folder and reads it. What is damaged is set aside in aside,
// and told by damage. [files.ErrLocked]: another process has it.
func openFolder(path, aside string, d files.Disk) (f *folder, damage, err error) {
	lock, err := d.Lock(filepath.Join(path, "lock"), false)
	if err != nil {
		return nil, nil, err
	}
	f = &folder{path: path, disk: d, lock: lock}
	// What a process that was killed has just renamed is seen, and may not be durable.
	if err = d.SyncDir(path); err == nil {
		damage, err = f.read(aside)
	}
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return f, damage, nil
}

func (f *folder) file(name string) string { return filepath.Join(f.path, name) }

// read reads the state and the sheets that it says were not taken. Without a
// state nothing says which those are: then all is set aside.
func (f *folder) read(aside string) (damage, err error) {
	path := f.file(stateName)
	lost := read(f.disk, path, stateName, &f.kept)
	switch {
	case lost == nil:
	case errors.Is(lost, ErrDamaged):
		f.kept = kept{}
	case !errors.Is(lost, os.ErrNotExist):
		return nil, lost
	}
	sheets, damage, err := f.readSheets(aside)
	switch {
	case err != nil:
		return nil, err
	case lost == nil:
		f.sheets = sheets
		return damage, nil
	case errors.Is(lost, os.ErrNotExist) && len(sheets) == 0:
		return damage, nil
	case errors.Is(lost, os.ErrNotExist):
		lost = fmt.Errorf("%s: %w: it is missing", path, ErrDamaged)
	}
	uses := uint64(0)
	for _, s := range sheets {
		uses += sum(s.Lines)
	}
	damage = errors.Join(damage, fmt.Errorf("%w; a count of %d that may not have been sent yet is not sent", lost, uses))
	return damage, f.setAside(aside, stateName, sheets)
}

// readSheets reads the sheets that were not taken, in order, and removes what a
// process that was killed has left.
func (f *folder) readSheets(aside string) (sheets []sheet, damage, err error) {
	names, err := f.disk.List(f.path)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		digits, isSheet := strings.CutPrefix(name, "sheet-")
		number, bad := strconv.ParseUint(digits, 10, 64)
		s := sheet{}
		switch {
		case strings.HasSuffix(name, files.BesideSuffix), isSheet && bad == nil && number <= f.kept.Taken:
			_ = f.disk.Remove(f.file(name)) // else next time
			continue
		case !isSheet || bad != nil:
			continue
		}
		bad = read(f.disk, f.file(name), "sheet", &s)
		if bad == nil && s.Number != number {
			bad = fmt.Errorf("%s: %w: it is sheet %d", f.file(name), ErrDamaged, s.Number)
		}
		switch {
		case bad == nil:
			sheets = append(sheets, s)
		case !errors.Is(bad, ErrDamaged):
			return nil, nil, bad
		default:
			damage = errors.Join(damage, fmt.Errorf("%w; what it counts is not sent", bad))
			if err := f.setAside(aside, name, nil); err != nil {
				return nil, nil, err
			}
		}
	}
	slices.SortFunc(sheets, func(a, b sheet) int { return int(a.Number) - int(b.Number) })
	return sheets, damage, nil
}

// setAside moves files out of the folder: one by name, and sheets. The sheets go
// first: as long as the damaged state is there, they are not read.
func (f *folder) setAside(aside, name string, sheets []sheet) error {
	if err := files.MakeDir(f.disk, aside); err != nil {
		return err
	}
	names := make([]string, 0, len(sheets)+1)
	for _, s := range sheets {
		names = append(names, sheetName(s.Number))
	}
	for _, n := range append(names, name) {
		to := filepath.Join(aside, filepath.Base(f.path)+"-"+n)
		if err := f.disk.Rename(f.file(n), to); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// write replaces a file of the folder.
func (f *folder) write(name, kind string, v any) error {
	if f.closed {
		return ErrClosed
	}
	data, err := encode(kind, v)
	if err != nil {
		return err
	}
	return files.Replace(f.disk, f.file(name), data)
}

// keep stores the client's state, and with it which sheets were taken; the files
// of those go then.
func (f *folder) keep(state client.State) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.kept
	next.State = state
	if err := f.write(stateName, stateName, &next); err != nil {
		return err
	}
	f.kept = next
	for _, name := range f.spent {
		_ = f.disk.Remove(f.file(name)) // it is nothing any more; who opens the folder tries again
	}
	f.spent = nil
	return nil
}

// add counts usage; it is on disk when add returns nil.
func (f *folder) add(item uint32, line protocol.Line) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open {
		last := f.sheets[len(f.sheets)-1]
		if lines, ok := with(last.Lines, line); ok && last.Item == item {
			last.Lines = lines
			if err := f.write(sheetName(last.Number), "sheet", &last); err != nil {
				return err
			}
			f.sheets[len(f.sheets)-1] = last
			return nil
		}
	}
	if len(f.sheets) == sheetsMax {
		return ErrFull
	}
	next := sheet{Number: f.newest() + 1, Item: item, Lines: []protocol.Line{line}}
	if err := f.write(sheetName(next.Number), "sheet", &next); err != nil {
		return err
	}
	f.sheets, f.open = append(f.sheets, next), true
	return nil
}

func (f *folder) newest() uint64 {
	if n := len(f.sheets); n > 0 {
		return f.sheets[n-1].Number
	}
	return f.kept.Taken
}

// with is a copy of lines with another one counted, in the line of its slot and
// module if there is room; false if it would be one line too many.
func with(lines []protocol.Line, l protocol.Line) ([]protocol.Line, bool) {
	lines = slices.Clone(lines)
	for i, have := range lines {
		if have.Slot == l.Slot && have.Module == l.Module && have.Count <= protocol.MaxLineCount-l.Count {
			lines[i].Count += l.Count
			return lines, true
		}
	}
	return append(lines, l), len(lines) < protocol.MaxReportLines
}

// oldest is the sheet to send next. Nothing is added to it from now on.
func (f *folder) oldest() (s sheet, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.sheets) == 0 {
		return sheet{}, false
	}
	if len(f.sheets) == 1 {
		f.open = false
	}
	return f.sheets[0], true
}

// take takes the oldest sheet from what waits, dropping a part of it. It is taken on
// disk when the state is kept that has the rest in its queue: see keep.
func (f *folder) take(dropped uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept.Taken, f.kept.Dropped = f.sheets[0].Number, f.kept.Dropped+dropped
	f.spent = append(f.spent, sheetName(f.sheets[0].Number))
	f.sheets = f.sheets[1:]
}

func (f *folder) dropped() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept.Dropped
}

// waits says whether the folder has something to send.
func (f *folder) waits() bool { return len(f.sheets) > 0 || len(f.kept.State.Queue) > 0 }

// serves says whether a server of this license key is one that the folder was
// used with.
func (f *folder) serves(key license.LicenseKey) bool {
	return slices.ContainsFunc(servers(key), func(s string) bool { return slices.Contains(f.kept.Servers, s) })
}

// servers are the handshake keys of a license key.
func servers(key license.LicenseKey) (list []string) {
	for _, a := range key.Addresses {
		list = append(list, hex.EncodeToString(a.HandshakeKey[:]))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// close gives the folder to whoever wants it next.
func (f *folder) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	return f.lock.Close()
}
