package storage

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
)

// checkLogs reads Badger's logs, of values and of what is not in a table yet, and
// changes nothing. Badger takes the lengths in them as they are, and asks for as
// much memory; and it reads only the last value log to its end. A log that is
// being written when the power fails may end in anything but a length that was
// never written.
func checkLogs(path string) error {
	values, err := filesWith(path, ".vlog") // by number: the last one is being written
	if err != nil {
		return err
	}
	memory, err := filesWith(path, ".mem")
	if err != nil {
		return err
	}
	for i, name := range append(values, memory...) {
		if err := checkLog(name, i < len(values)-1); err != nil {
			return damagedFile(name, err)
		}
	}
	return nil
}

// removeEmptyLogs removes Badger's logs that have no byte. Badger makes a log and
// gives it its size in two steps; what was killed between them, Badger would not
// open again. Should an empty log have had entries, what points to them will find
// that it is gone.
func removeEmptyLogs(path string) error {
	for _, ext := range []string{".vlog", ".mem"} {
		names, err := filesWith(path, ext)
		if err != nil {
			return err
		}
		for _, name := range names {
			info, err := os.Stat(name)
			if err == nil && info.Size() == 0 {
				err = os.Remove(name)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// logHeaderBytes is what stands before the entries of a log: a key's id and a
// seed, which are not used.
const logHeaderBytes = 20

// checkLog checks a log: one that is whole, with nothing but zeros behind its last
// entry, or one that may end anywhere.
func checkLog(name string, whole bool) error {
	f, size, err := openSized(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := &logReader{r: bufio.NewReaderSize(f, 1<<20), left: size}
	if size < logHeaderBytes {
		return nil // a new one
	}
	if err := r.read(logHeaderBytes); err != nil {
		return err
	}
	for r.left > 0 {
		at := size - r.left
		switch err := r.entry(); {
		case errors.Is(err, errLogEnd), errors.Is(err, errLogSum) && !whole:
			return nil // where it ends
		case err != nil:
			return fmt.Errorf("at %d: %w", at, err)
		}
	}
	return nil
}

var (
	errLogLength = errors.New("an entry is longer than the file")
	errLogEnd    = errors.New("there is no entry")
	errLogSum    = errors.New("the checksum of an entry does not match")
)

// logReader reads a log and takes the checksum of what it reads.
type logReader struct {
	r    *bufio.Reader
	left int64 // bytes of the file
	sum  uint32
	buf  []byte
}

// read reads n bytes.
func (r *logReader) read(n int64) error {
	if n > r.left {
		return errLogLength
	}
	r.buf = slices.Grow(r.buf[:0], int(n))[:n]
	if _, err := io.ReadFull(r.r, r.buf); err != nil {
		return err
	}
	r.left -= n
	r.sum = crc32.Update(r.sum, castagnoli, r.buf)
	return nil
}

// ReadByte implements [io.ByteReader], for the start of an entry.
func (r *logReader) ReadByte() (byte, error) {
	if r.left == 0 {
		return 0, errLogEnd
	}
	err := r.read(1)
	return r.buf[0], err
}

// entry reads one: two bytes of kind, the lengths of key and value and a time as
// varints, key, value, and the checksum of all that.
func (r *logReader) entry() error {
	r.sum = 0
	for range 2 {
		if _, err := r.ReadByte(); err != nil {
			return err
		}
	}
	var lengths [3]uint64
	for i := range lengths {
		n, err := binary.ReadUvarint(r)
		if err != nil {
			return err
		}
		lengths[i] = n
	}
	key, value := uint64(uint32(lengths[0])), uint64(uint32(lengths[1]))
	if key == 0 {
		return errLogEnd
	}
	if err := r.read(int64(key + value)); err != nil {
		return err
	}
	sum := r.sum
	if err := r.read(crc32.Size); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(r.buf) != sum {
		return errLogSum
	}
	return nil
}
