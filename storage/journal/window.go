package journal

import (
	"bytes"
	"fmt"
	"io"
)

// window reads a segment front to back in large reads. It holds windowBytes, or
// the largest entry met, whichever is more.
type window struct {
	file File
	name string
	size int64
	buf  []byte
	off  int64 // file offset of buf[0]
	n    int   // valid bytes in buf
}

// reset points the window at another file.
func (w *window) reset(file File, name string) error {
	size, err := file.Size()
	if err != nil {
		return fmt.Errorf("journal: size of %s: %w", name, err)
	}
	w.file, w.name, w.size, w.off, w.n = file, name, size, 0, 0
	return nil
}

// bytes returns n bytes of the file from off, which must lie within it. They
// are valid until the next call.
func (w *window) bytes(off int64, n int) ([]byte, error) {
	if off >= w.off && off+int64(n) <= w.off+int64(w.n) {
		return w.buf[off-w.off:][:n], nil
	}
	kept := 0
	want := int(min(int64(max(n, windowBytes)), w.size-off))
	buf := w.buf
	if want > len(buf) {
		buf = make([]byte, want)
	}
	if off >= w.off && off < w.off+int64(w.n) {
		kept = copy(buf, w.buf[off-w.off:w.n])
	}
	w.buf, w.off, w.n = buf, off, kept
	read, err := w.file.ReadAt(buf[kept:want], off+int64(kept))
	if read < want-kept {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("journal: read %s at %d: %w", w.name, off+int64(kept+read), err)
	}
	w.n = want
	return buf[:n], nil
}

// remains looks through the sectors from off to the end of the segment. It
// returns the end of the last one that is not zero (or off), and the offset of the
// first one at or behind from that holds an intact entry header which accept
// agrees to (or -1).
func (w *window) remains(at segment, off, from int64, accept func(header, int64) bool) (dirty, later int64, err error) {
	dirty = off
	for ; off+sectorBytes <= w.size; off += sectorBytes {
		sector, err := w.bytes(off, sectorBytes)
		if err != nil {
			return 0, 0, err
		}
		if bytes.Equal(sector, zeros[:sectorBytes]) {
			continue
		}
		dirty = off + sectorBytes
		if h, ok := parseHeader(sector, at, off); ok && off >= from && accept(h, off) {
			return dirty, off, nil
		}
	}
	return dirty, -1, nil
}
