package storage

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"slices"

	"muster/engine"
	"muster/storage/journal"
)

// manifest says what a complete checkpoint consists of.
//
//	0  8  magic "musterMF"
//	8  4  version 1
//	   8  begin: replay starts behind this journal index
//	   8  previous: begin of the checkpoint before
//	then for each table, a count first:
//	   4  rows, 4 pages, and for each page 8 index and 4 checksum
//	then the objects: 4 count, and for each 1 kind, 4 id, 8 index, 4 checksum
//	last 4  CRC-32C of all before
type manifest struct {
	begin, previous uint64
	rows            [engine.Tables]uint32
	pages           [engine.Tables][]pageMark
	objects         map[engine.ObjectKey]pageMark
}

// pageMark is how a page or object was copied.
type pageMark struct {
	index uint64
	crc   uint32
}

const (
	manifestMagic   = "musterMF"
	manifestVersion = 1
)

func (m *manifest) encode() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte(manifestMagic), manifestVersion)
	b = le.AppendUint64(le.AppendUint64(b, m.begin), m.previous)
	b = le.AppendUint32(b, engine.Tables)
	for t := range m.pages {
		b = le.AppendUint32(le.AppendUint32(b, m.rows[t]), uint32(len(m.pages[t])))
		for _, p := range m.pages[t] {
			b = le.AppendUint32(le.AppendUint64(b, p.index), p.crc)
		}
	}
	b = le.AppendUint32(b, uint32(len(m.objects)))
	byID := func(a, b engine.ObjectKey) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID)) }
	for _, k := range slices.SortedFunc(maps.Keys(m.objects), byID) {
		o := m.objects[k]
		b = le.AppendUint32(append(b, byte(k.Kind)), k.ID)
		b = le.AppendUint32(le.AppendUint64(b, o.index), o.crc)
	}
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

const manifestName = "manifest"

// readManifest reads the manifest file; a missing one is an empty checkpoint.
func readManifest(disk journal.Disk) (*manifest, error) {
	m := &manifest{objects: map[engine.ObjectKey]pageMark{}}
	b, err := readFile(disk, manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if err := m.decode(b); err != nil {
		return nil, fmt.Errorf("manifest in %s: %w; restore the data directory from a backup", disk, err)
	}
	return m, nil
}

var errManifest = errors.New("damaged")

func (m *manifest) decode(b []byte) error {
	le := binary.LittleEndian
	if len(b) < 12 || string(b[:8]) != manifestMagic {
		return errManifest
	}
	if crc32.Checksum(b[:len(b)-4], castagnoli) != le.Uint32(b[len(b)-4:]) {
		return fmt.Errorf("%w: checksum mismatch", errManifest)
	}
	if v := le.Uint32(b[8:]); v != manifestVersion {
		return fmt.Errorf("version %d, this muster reads %d: use the muster version that wrote it, or a newer one", v, manifestVersion)
	}
	r := &fields{b: b[12 : len(b)-4]}
	m.begin, m.previous = r.u64(), r.u64()
	if r.u32() != engine.Tables {
		return errManifest
	}
	for t := range m.pages {
		m.rows[t] = r.u32()
		for range r.count(12) {
			m.pages[t] = append(m.pages[t], pageMark{r.u64(), r.u32()})
		}
	}
	for range r.count(17) {
		key := engine.ObjectKey{Kind: engine.ObjectKind(r.u8()), ID: r.u32()}
		m.objects[key] = pageMark{r.u64(), r.u32()}
	}
	if r.short || len(r.b) > 0 {
		return errManifest
	}
	return nil
}

// fields reads little-endian fields.
type fields struct {
	b     []byte
	short bool
}

func (f *fields) take(n int) []byte {
	if n > len(f.b) {
		f.short, f.b = true, nil
		return make([]byte, n)
	}
	p := f.b[:n]
	f.b = f.b[n:]
	return p
}

func (f *fields) u8() uint8   { return f.take(1)[0] }
func (f *fields) u32() uint32 { return binary.LittleEndian.Uint32(f.take(4)) }
func (f *fields) u64() uint64 { return binary.LittleEndian.Uint64(f.take(8)) }

// count reads a count of records of a size, none that the rest can't hold.
func (f *fields) count(size int) int {
	n := int(f.u32())
	if n > len(f.b)/size {
		f.short = true
		return 0
	}
	return n
}
