package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// The frozen part of the format: see the package comment for the layout.
const (
	// FormatVersion is the version written into every segment header.
	FormatVersion = 1
	// KindSeal is the kind of the entry that Close writes.
	KindSeal = 255

	segmentMagic = "musterJL"
	entryMagic   = "MJE1"

	sectorBytes  = 512  // entries start and end on sectors
	pageBytes    = 4096 // the segment header; apart, so that appends never rewrite it
	headerBytes  = 64
	trailerBytes = 4
)

// Limits.
const (
	// BodyBytesMax is the largest body of an entry.
	BodyBytesMax = 16 << 20
	// SegmentBytesDefault is the size of a segment if Options names none.
	SegmentBytesDefault = 64 << 20
	// SegmentBytesMin and SegmentBytesMax bound Options.SegmentBytes; offsets are
	// 32 bits wide.
	SegmentBytesMin = pageBytes + sectorBytes
	SegmentBytesMax = 1 << 30

	fillStepBytes = 1 << 20
	// firstSegmentBytes is the most that the first segment has.
	firstSegmentBytes = 4 << 20
	windowBytes       = 1 << 20

	// A default segment holds at least one entry of the largest size.
	_ = uint(SegmentBytesDefault - pageBytes - BodyBytesMax - headerBytes - trailerBytes - sectorBytes)
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	zeros      = alignedBytes(fillStepBytes)
)

// entryBytes is what an entry with a body of that length takes on disk.
func entryBytes(length int) int {
	return (headerBytes + length + trailerBytes + sectorBytes - 1) &^ (sectorBytes - 1)
}

// header is the fixed part in front of a body.
type header struct {
	kind     uint8
	index    uint64
	term     uint64
	time     int64
	segment  uint64
	offset   uint32
	length   uint32
	previous uint32
}

// seal writes the header and both checksums around the body that stands at
// entry[headerBytes:], and returns the entry's CRC.
func (h *header) seal(entry []byte) uint32 {
	clear(entry[:headerBytes])
	copy(entry, entryMagic)
	entry[4] = h.kind
	binary.LittleEndian.PutUint64(entry[8:], h.index)
	binary.LittleEndian.PutUint64(entry[16:], h.term)
	binary.LittleEndian.PutUint64(entry[24:], uint64(h.time))
	binary.LittleEndian.PutUint64(entry[32:], h.segment)
	binary.LittleEndian.PutUint32(entry[40:], h.offset)
	binary.LittleEndian.PutUint32(entry[44:], h.length)
	binary.LittleEndian.PutUint32(entry[48:], h.previous)
	headerCRC := crc32.Checksum(entry[:headerBytes-4], castagnoli)
	binary.LittleEndian.PutUint32(entry[headerBytes-4:], headerCRC)

	end := len(entry) - trailerBytes
	clear(entry[headerBytes+int(h.length) : end])
	entryCRC := crc32.Update(headerCRC, castagnoli, entry[headerBytes:end])
	binary.LittleEndian.PutUint32(entry[end:], entryCRC)
	return entryCRC
}

// parseHeader reads the header of an entry that should stand at that place. It
// reports false for anything that is not an intact header written for it.
func parseHeader(sector []byte, at segment, offset int64) (header, bool) {
	if string(sector[:len(entryMagic)]) != entryMagic ||
		crc32.Checksum(sector[:headerBytes-4], castagnoli) != binary.LittleEndian.Uint32(sector[headerBytes-4:]) {
		return header{}, false
	}
	h := header{
		kind:     sector[4],
		index:    binary.LittleEndian.Uint64(sector[8:]),
		term:     binary.LittleEndian.Uint64(sector[16:]),
		time:     int64(binary.LittleEndian.Uint64(sector[24:])),
		segment:  binary.LittleEndian.Uint64(sector[32:]),
		offset:   binary.LittleEndian.Uint32(sector[40:]),
		length:   binary.LittleEndian.Uint32(sector[44:]),
		previous: binary.LittleEndian.Uint32(sector[48:]),
	}
	ok := h.segment == at.number && int64(h.offset) == offset &&
		h.length <= BodyBytesMax && offset+int64(entryBytes(int(h.length))) <= at.bytes
	return h, ok
}

// entryCRC checks a whole entry whose header is intact; false means that body,
// padding or the CRC itself is not what was written.
func entryCRC(entry []byte) (uint32, bool) {
	end := len(entry) - trailerBytes
	headerCRC := binary.LittleEndian.Uint32(entry[headerBytes-4:])
	crc := crc32.Update(headerCRC, castagnoli, entry[headerBytes:end])
	return crc, crc == binary.LittleEndian.Uint32(entry[end:])
}

// segment is what a segment's name and header page say.
type segment struct {
	number   uint64
	first    uint64 // index of its first entry
	bytes    int64  // size of the file
	previous uint32 // CRC of the entry before its first
}

func (s segment) name() string { return fmt.Sprintf("%016x.log", s.number) }

func fillName(number uint64) string { return fmt.Sprintf("%016x.fill", number) }

// parseName returns the segment number in the name of a segment file.
func parseName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, ".log")
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, ok && err == nil && name == segment{number: number}.name()
}

// page encodes the segment header.
func (s segment) page() []byte {
	page := make([]byte, pageBytes)
	copy(page, segmentMagic)
	binary.LittleEndian.PutUint32(page[8:], FormatVersion)
	binary.LittleEndian.PutUint32(page[12:], s.previous)
	binary.LittleEndian.PutUint64(page[16:], s.number)
	binary.LittleEndian.PutUint64(page[24:], s.first)
	binary.LittleEndian.PutUint64(page[32:], uint64(s.bytes))
	sealPage(page)
	return page
}

func sealPage(page []byte) {
	crc := crc32.Checksum(page[:pageBytes-4], castagnoli)
	binary.LittleEndian.PutUint32(page[pageBytes-4:], crc)
}

// parsePage decodes a segment header; false means that it is not intact. The
// error is ErrVersion only.
func parsePage(page []byte, number uint64) (segment, bool, error) {
	if !bytes.HasPrefix(page, []byte(segmentMagic)) ||
		crc32.Checksum(page[:pageBytes-4], castagnoli) != binary.LittleEndian.Uint32(page[pageBytes-4:]) {
		return segment{}, false, nil
	}
	s := segment{
		number:   binary.LittleEndian.Uint64(page[16:]),
		first:    binary.LittleEndian.Uint64(page[24:]),
		bytes:    int64(binary.LittleEndian.Uint64(page[32:])),
		previous: binary.LittleEndian.Uint32(page[12:]),
	}
	if version := binary.LittleEndian.Uint32(page[8:]); version != FormatVersion {
		return segment{}, false, fmt.Errorf("journal: %s has format version %d, this program knows %d: %w",
			segment{number: number}.name(), version, FormatVersion, ErrVersion)
	}
	return s, s.number == number && s.first > 0, nil
}
