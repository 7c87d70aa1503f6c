package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
)

const bufferBytesFirst = 64 << 10

// Journal is an open journal. See the package comment for which goroutine may
// call what.
type Journal struct {
	// Found is what Open found, before it dropped a torn tail.
	Found Report

	opt    Options
	spare  *spare
	active segment
	file   File  // of the active segment
	offset int64 // where in it the next entry goes
	at     cursor
	buf    []byte // one entry: header, body, padding, CRC
	failed error  // poisoned or closed: no further append
	last   atomic.Uint64

	releasing sync.Mutex // one Release at a time
	mu        sync.Mutex // guards what follows
	segments  []segment  // the last one is active and is never released
	bytes     int64
}

// Buffer returns an empty slice to build the next body in, with append. A body
// that begins there is written where it stands, with no copy; one that outgrows
// the capacity is copied once, and the next Buffer is large enough. It is valid
// until the next Append.
func (j *Journal) Buffer() []byte {
	if j.buf == nil {
		j.buf = alignedBytes(bufferBytesFirst)
	}
	return j.buf[headerBytes : headerBytes : len(j.buf)-trailerBytes]
}

// Append writes an entry, syncs it and returns its index, which is the last one
// plus 1. The term and the time (nanoseconds since 1970 UTC) are kept as
// given. body may come from Buffer (no copy) or from anywhere (copied once).
//
// ErrInDoubt means that the entry may or may not be on disk; it is final.
// ErrTooLarge, ErrKind and ErrNoSegment mean that it is not, and the journal goes on.
func (j *Journal) Append(kind uint8, term uint64, unixNano int64, body []byte) (uint64, error) {
	if kind == KindSeal {
		return 0, fmt.Errorf("journal: %w", ErrKind)
	}
	return j.write(kind, j.at.index+1, term, unixNano, body)
}

// write is Append for entries of all kinds.
func (j *Journal) write(kind uint8, index, term uint64, unixNano int64, body []byte) (uint64, error) {
	if j.failed != nil {
		return 0, j.failed
	}
	if limit := j.opt.SegmentBytes - pageBytes; len(body) > BodyBytesMax || int64(entryBytes(len(body))) > limit {
		return 0, fmt.Errorf("journal: body of %d bytes, at most %d in a segment of %d: %w",
			len(body), min(BodyBytesMax, limit-headerBytes-trailerBytes), j.opt.SegmentBytes, ErrTooLarge)
	}
	if j.offset+int64(entryBytes(len(body))) > j.active.bytes {
		if err := j.roll(); err != nil {
			return 0, err
		}
	}
	entry := j.frame(body)
	h := header{
		kind: kind, index: index, term: term, time: unixNano,
		segment: j.active.number, offset: uint32(j.offset),
		length: uint32(len(body)), previous: j.at.crc,
	}
	crc := h.seal(entry)
	if _, err := j.file.WriteAt(entry, j.offset); err != nil {
		return 0, j.poison("write", err)
	}
	if err := j.file.Sync(); err != nil {
		return 0, j.poison("sync", err)
	}
	j.at = cursor{index, term, unixNano, crc, kind == KindSeal}
	j.offset += int64(len(entry))
	j.last.Store(index)
	j.spare.used(j.offset, j.active.bytes)
	return index, nil
}

// frame returns the buffer for an entry with that body in its place.
func (j *Journal) frame(body []byte) []byte {
	size := entryBytes(len(body))
	if !j.inBuffer(body) {
		if size > len(j.buf) {
			j.buf = alignedBytes(min(max(size, 2*len(j.buf)), entryBytes(BodyBytesMax)))
		}
		copy(j.buf[headerBytes:], body)
	}
	return j.buf[:size]
}

// inBuffer reports whether a body was built in Buffer and still stands there.
func (j *Journal) inBuffer(body []byte) bool {
	return cap(body) > 0 && len(j.buf) > 0 && &body[:1][0] == &j.buf[headerBytes]
}

// poison ends the journal: after a failed write or sync the kernel may drop the
// pages and report the next sync as good, so nothing may be tried again.
func (j *Journal) poison(what string, err error) error {
	j.failed = fmt.Errorf("journal: %s of entry %d to %s at %d failed: %w: %w",
		what, j.at.index+1, j.active.name(), j.offset, err, ErrInDoubt)
	return j.failed
}

// roll goes over to the spare segment, and waits for it if it is not ready.
func (j *Journal) roll() error {
	number := j.active.number + 1
	file, err := j.spare.take(number)
	if err != nil {
		return fmt.Errorf("journal: segment %d: %w: %w", number, ErrNoSegment, err)
	}
	old := j.file
	next := segment{number: number, first: j.at.index + 1, bytes: j.opt.SegmentBytes, previous: j.at.crc}
	if err := j.begin(file, next); err != nil {
		_ = file.Close() // poisoned: the first error tells more
		return j.poison("segment header", err)
	}
	_ = old.Close() // synced with its last entry: nothing to lose
	j.spare.begin(number + 1)
	return nil
}

// begin writes the header of a zero-filled segment and makes it the active one.
func (j *Journal) begin(file File, s segment) error {
	if _, err := file.WriteAt(s.page(), 0); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.active, j.file, j.offset = s, file, pageBytes
	j.segments = append(j.segments, s)
	j.bytes += s.bytes
	return nil
}

// Release gives up the segments that hold only entries below that index, oldest
// first. Entries below it that share a segment with later ones stay. Some of the
// files are kept for segments to come. An error leaves the journal in order; call
// Release again.
func (j *Journal) Release(below uint64) error {
	j.releasing.Lock()
	defer j.releasing.Unlock()
	for {
		j.mu.Lock()
		if len(j.segments) < 2 || j.segments[1].first > below {
			j.mu.Unlock()
			return nil
		}
		oldest := j.segments[0]
		j.mu.Unlock()
		if err := j.drop(oldest); err != nil {
			return fmt.Errorf("journal: release of %s: %w", oldest.name(), err)
		}
		j.mu.Lock()
		j.segments = j.segments[1:]
		j.bytes -= oldest.bytes
		j.mu.Unlock()
	}
}

// drop takes a segment's name away. Its file waits to be filled with zeros again,
// or goes, if enough of them wait.
func (j *Journal) drop(s segment) error {
	name := fillName(s.number)
	if err := j.opt.Disk.Rename(s.name(), name); err != nil && !errors.Is(err, fs.ErrNotExist) { // gone, if only the sync failed last time
		return err
	}
	// Synced one by one: if a later removal outlived a power cut and an earlier
	// one did not, the hole would look like damage.
	if err := j.opt.Disk.SyncDir(); err != nil {
		return err
	}
	if j.spare.released.put(name) {
		return nil
	}
	return j.opt.Disk.Remove(name)
}

// LastIndex returns the index of the last durable entry, 0 if there was none.
func (j *Journal) LastIndex() uint64 { return j.last.Load() }

// End says in which segment file the next entry goes, and where. It is for the
// goroutine that calls Append.
func (j *Journal) End() (file string, offset int64) { return j.active.name(), j.offset }

// FirstIndex returns the index of the oldest entry that is kept, or that the
// first entry will have.
func (j *Journal) FirstIndex() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.segments[0].first
}

// Bytes returns what the segments in use take on disk; the spare comes on top.
func (j *Journal) Bytes() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.bytes
}

// Close seals the journal, so that the last entry is known to have been
// acknowledged, and closes its files. A poisoned journal is closed without a seal
// and its error returned. The journal takes no entry afterwards.
func (j *Journal) Close() error {
	err := j.failed
	if errors.Is(err, ErrClosed) {
		return err
	}
	if err == nil && !j.at.sealed && j.at.index > 0 {
		_, err = j.write(KindSeal, j.at.index, j.at.term, j.at.time, nil)
	}
	j.failed = ErrClosed
	return errors.Join(err, j.spare.close(), j.file.Close())
}
