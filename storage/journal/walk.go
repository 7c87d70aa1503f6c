package journal

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// cursor is the state that the next entry must follow from.
type cursor struct {
	index  uint64
	term   uint64
	time   int64
	crc    uint32
	sealed bool
}

// walk reads a journal once, front to back, and changes nothing on disk.
type walk struct {
	disk  Disk
	visit func(Entry) error
	win   window

	segments []segment
	unused   []string // files to remove: spares and rolls that did not finish
	rolled   bool     // one of them is not blank: a roll had begun
	at       cursor
	end      int64 // offset behind the last entry, in the last segment
	last     int64 // offset of the last thing written there: an entry or the header page
	fault    string
	report   Report
}

// run reads everything. The journal's state is then in w.
func (w *walk) run() error {
	numbers, err := w.inventory()
	if err != nil {
		return err
	}
	for i, number := range numbers {
		if err := w.segment(number, i == len(numbers)-1); err != nil {
			return err
		}
	}
	return nil
}

// inventory lists the segments in use, in order.
func (w *walk) inventory() ([]uint64, error) {
	names, err := w.disk.List()
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	var numbers []uint64
	for _, name := range names {
		if number, ok := parseName(name); ok {
			numbers = append(numbers, number)
		} else if base, ok := strings.CutSuffix(name, ".fill"); ok {
			if _, ok := parseName(base + ".log"); ok {
				w.unused = append(w.unused, name)
			}
		}
	}
	slices.Sort(numbers)
	for len(numbers) > 0 {
		last := numbers[len(numbers)-1]
		unused, err := w.isUnused(last)
		if err != nil {
			return nil, err
		}
		if !unused {
			return numbers, nil
		}
		if len(numbers) == 1 && last != 1 {
			return nil, &DamageError{segment{number: last}.name(), 0, "no segment before it is left and it holds no entry"}
		}
		w.unused = append(w.unused, segment{number: last}.name())
		numbers = numbers[:len(numbers)-1]
	}
	return nil, nil
}

// isUnused reports whether the last segment has neither an intact header nor an
// entry: nothing was ever acknowledged in it.
func (w *walk) isUnused(number uint64) (bool, error) {
	at := segment{number: number}
	file, err := w.open(at.name())
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }() // only read
	if w.win.size < pageBytes {
		return false, nil // a segment gets its name at full size: let segment refuse it
	}
	page, err := w.win.bytes(0, pageBytes)
	if err != nil {
		return false, err
	}
	if _, ok, err := parsePage(page, number); ok || err != nil {
		return false, err
	}
	w.rolled = w.rolled || !bytes.Equal(page, zeros[:pageBytes])
	at.bytes = w.win.size
	_, later, err := w.win.remains(at, pageBytes, pageBytes, func(header, int64) bool { return true })
	return later < 0, err
}

func (w *walk) open(name string) (File, error) {
	file, err := w.disk.Open(name, false)
	if err != nil {
		return nil, fmt.Errorf("journal: open %s: %w", name, err)
	}
	if err := w.win.reset(file, name); err != nil {
		_ = file.Close() // only read
		return nil, err
	}
	return file, nil
}

// segment reads one segment; last is set for the one where a torn tail is allowed.
func (w *walk) segment(number uint64, last bool) error {
	file, err := w.open(segment{number: number}.name())
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	at, err := w.header(number)
	if err != nil {
		return err
	}
	w.segments = append(w.segments, at)
	w.report.Segments++
	w.report.Bytes += at.bytes
	w.end, w.last = pageBytes, 0
	for more := true; more; {
		if more, err = w.entry(at); err != nil {
			return err
		}
	}
	if last {
		return w.tail(at)
	}
	return nil
}

// header checks the header page of a segment, and that it goes on from the
// segment before.
func (w *walk) header(number uint64) (segment, error) {
	name := segment{number: number}.name()
	damage := func(format string, args ...any) (segment, error) {
		return segment{}, &DamageError{name, 0, fmt.Sprintf(format, args...)}
	}
	if w.win.size < pageBytes {
		return damage("the file has %d bytes and was cut", w.win.size)
	}
	page, err := w.win.bytes(0, pageBytes)
	if err != nil {
		return segment{}, err
	}
	at, ok, err := parsePage(page, number)
	switch {
	case err != nil:
		return segment{}, err
	case !ok:
		return damage("the segment header fails its checksum or belongs to another segment")
	case at.bytes != w.win.size:
		return damage("the file has %d bytes, its header says %d", w.win.size, at.bytes)
	case len(w.segments) == 0:
		w.at = cursor{index: at.first - 1, crc: at.previous}
		w.report.FirstIndex, w.report.LastIndex = at.first, at.first-1
		return at, nil
	}
	before := w.segments[len(w.segments)-1]
	if before.number+1 != number {
		return damage("segment %s before it is missing", segment{number: number - 1}.name())
	}
	if at.first != w.at.index+1 || at.previous != w.at.crc {
		return segment{}, w.damage(before, "a later segment was begun")
	}
	return at, nil
}

// entry reads the entry at w.end. It returns false where there is none that
// goes on from the one before, with the reason in w.fault.
func (w *walk) entry(at segment) (bool, error) {
	if w.end+sectorBytes > at.bytes {
		w.fault = "the segment is full"
		return false, nil
	}
	sector, err := w.win.bytes(w.end, sectorBytes)
	if err != nil {
		return false, err
	}
	h, ok := parseHeader(sector, at, w.end)
	if !ok {
		w.fault = "there is no intact entry header"
		return false, nil
	}
	if !w.at.precedes(h) {
		w.fault = fmt.Sprintf("an entry with index %d does not follow the one before it", h.index)
		return false, w.damage(at, "its header is intact")
	}
	raw, err := w.win.bytes(w.end, entryBytes(int(h.length)))
	if err != nil {
		return false, err
	}
	crc, ok := entryCRC(raw)
	if !ok {
		w.fault = "the entry fails its checksum"
		return false, nil
	}
	w.at = cursor{h.index, h.term, h.time, crc, h.kind == KindSeal}
	w.last, w.end = w.end, w.end+int64(len(raw))
	w.report.LastIndex, w.report.Sealed = h.index, w.at.sealed
	if w.at.sealed {
		return true, nil
	}
	w.report.Entries++
	return true, w.visit(Entry{h.index, h.term, h.time, h.kind, raw[headerBytes:][:h.length]})
}

// precedes reports whether an entry with that header was written right after.
func (c cursor) precedes(h header) bool {
	index := c.index + 1
	if h.kind == KindSeal {
		index = c.index
	}
	return h.index == index && h.previous == c.crc
}

// tail tells a torn tail of the last segment from damage.
func (w *walk) tail(at segment) error {
	from := w.end + sectorBytes
	if w.end+sectorBytes <= at.bytes {
		sector, err := w.win.bytes(w.end, sectorBytes)
		if err != nil {
			return err
		}
		if h, ok := parseHeader(sector, at, w.end); ok { // its body may look like anything
			from = w.end + int64(entryBytes(int(h.length)))
		}
	}
	// Entries written since can have gone only so far: at least a sector each.
	plausible := func(h header, off int64) bool {
		return h.index >= w.at.index && h.index <= w.at.index+uint64((off-w.end)/sectorBytes)+1
	}
	dirty, later, err := w.win.remains(at, w.end, from, plausible)
	switch {
	case err != nil:
		return err
	case later >= 0:
		return w.damage(at, fmt.Sprintf("a later entry stands at %d", later))
	case dirty > w.end && w.rolled:
		return w.damage(at, "a later segment was begun")
	case dirty > w.end:
		w.report.Torn = Torn{at.name(), w.end, dirty - w.end}
		w.report.Sealed = false
	}
	return nil
}

// damage reports damage at the place reached, with what proves that an entry
// there had been acknowledged.
func (w *walk) damage(at segment, proof string) error {
	return &DamageError{at.name(), w.end,
		fmt.Sprintf("entry %d is lost: %s, but %s", w.at.index+1, w.fault, proof)}
}
