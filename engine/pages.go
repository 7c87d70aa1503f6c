package engine

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"unsafe"
)

// Geometry of state: an array of pages, each a header and 63 rows of 64 bytes.
// Rows are little-endian in memory and on disk.
const (
	PageBytes   = 4096
	RowBytes    = 64
	RowsPerPage = PageBytes/RowBytes - 1

	chunkPages = 512 // 2 MiB, one huge page
	chunkBytes = chunkPages * PageBytes
)

// Tables of the state, as numbered in page headers and on disk.
const (
	tableMeta = iota
	tableDevices
	tableSeats
	tableCounters
	tableSlots
	tableDetails
	// Tables is the number of tables.
	Tables
)

// pageHeader is the first row of a page.
type pageHeader struct {
	table  uint32
	number uint32
	index  uint64 // of the last journal entry applied to the page
	crc    uint32 // Castagnoli, of the page with this field zero; set when copied out
	owner  detailOwner
	_      [36]byte
}

type row = [RowBytes]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Page is one page of state, in memory or on its way to or from disk.
type Page [PageBytes]byte

func (p *Page) header() *pageHeader { return (*pageHeader)(unsafe.Pointer(p)) }

// Index is the index of the last journal entry that changed the page.
func (p *Page) Index() uint64 { return p.header().index }

// Seal writes the page's checksum and returns it.
func (p *Page) Seal() uint32 {
	p.header().crc = 0
	sum := crc32.Checksum(p[:], castagnoli)
	p.header().crc = sum
	return sum
}

// PageID names a page of a table.
type PageID struct {
	Table  uint8
	Number uint32
}

// Check verifies that the page is the one named and is intact, and returns its
// checksum.
func (p *Page) Check(id PageID) (uint32, error) {
	h := p.header()
	if h.table != uint32(id.Table) || h.number != id.Number {
		return 0, fmt.Errorf("page %d of table %d: header says page %d of table %d", id.Number, id.Table, h.number, h.table)
	}
	want := h.crc
	clean := *p
	binary.LittleEndian.PutUint32(clean[unsafe.Offsetof(h.crc):], 0)
	if got := crc32.Checksum(clean[:], castagnoli); got != want {
		return 0, fmt.Errorf("page %d of table %d: checksum %08x, expected %08x", id.Number, id.Table, got, want)
	}
	return want, nil
}

// table is a growing array of rows in pages. One goroutine uses it.
type table struct {
	id     uint8
	rows   uint32 // rows in use: the next new row's number
	chunks []unsafe.Pointer
	dirty  []uint64 // a bit a page
	alloc  func(bytes int) []byte

	// While the journal is replayed, loaded holds for each page the index it was
	// loaded with, and an entry not above it must not touch the page again.
	loaded []uint64
	trash  row // what such an entry writes to instead
}

func (t *table) pages() int { return (int(t.rows) + RowsPerPage - 1) / RowsPerPage }

func (t *table) page(n uint32) *Page {
	return (*Page)(unsafe.Add(t.chunks[n/chunkPages], uintptr(n%chunkPages)*PageBytes))
}

// at returns row i for reading; the caller has checked i < t.rows.
func (t *table) at(i uint32) unsafe.Pointer {
	p, r := i/RowsPerPage, i%RowsPerPage
	return unsafe.Add(t.chunks[p/chunkPages], uintptr(p%chunkPages)*PageBytes+uintptr(r+1)*RowBytes)
}

// edit returns row i for writing by the journal entry index, making it when it
// is new. During replay it returns a row nobody reads when the page already
// holds this entry: apply code must never read one row to decide about another.
func (t *table) edit(i uint32, index uint64) unsafe.Pointer {
	p := i / RowsPerPage
	if i >= t.rows {
		t.grow(i)
	}
	if t.loaded != nil && index <= t.loaded[p] {
		return unsafe.Pointer(&t.trash)
	}
	t.page(p).header().index = index
	t.dirty[p/64] |= 1 << (p % 64)
	return t.at(i)
}

// touch reads of row i what a change of it reads first, and the header of its
// page; 0 if there is no such row.
func (t *table) touch(i uint32) (sum uint32) {
	if i >= t.rows {
		return 0
	}
	p := i / RowsPerPage
	if t.loaded != nil {
		sum = uint32(t.loaded[p])
	}
	return sum + *(*uint32)(t.at(i)) + uint32(t.page(p).header().index)
}

// begin empties page n for an owner, by the journal entry index.
func (t *table) begin(n uint32, owner detailOwner, index uint64) {
	if last := n*RowsPerPage + RowsPerPage - 1; last >= t.rows {
		t.grow(last)
	}
	if t.loaded != nil && index <= t.loaded[n] {
		return
	}
	p := t.page(n)
	*p = Page{}
	*p.header() = pageHeader{table: uint32(t.id), number: n, index: index, owner: owner}
	t.dirty[n/64] |= 1 << (n % 64)
}

// grow makes row i the last one in use.
func (t *table) grow(i uint32) {
	t.rows = i + 1
	t.reserve(t.pages())
}

// reserve makes sure that n pages have memory and a header.
func (t *table) reserve(n int) {
	for len(t.chunks)*chunkPages < n {
		first := len(t.chunks) * chunkPages
		chunk := t.alloc(chunkBytes)
		t.chunks = append(t.chunks, unsafe.Pointer(unsafe.SliceData(chunk)))
		t.dirty = append(t.dirty, make([]uint64, chunkPages/64)...)
		for p := first; p < first+chunkPages; p++ {
			h := t.page(uint32(p)).header()
			h.table, h.number = uint32(t.id), uint32(p)
		}
		if t.loaded != nil {
			t.loaded = append(t.loaded, make([]uint64, chunkPages)...)
		}
	}
}

// load takes over a page from disk.
func (t *table) load(number uint32, p *Page) {
	t.reserve(int(number) + 1)
	*t.page(number) = *p
	t.loaded[number] = p.Index()
}
