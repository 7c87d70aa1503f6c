package engine

import (
	"encoding/binary"

	"muster/protocol"
)

// Effects are what the journal holds: decisions, self-contained, so that replay
// needs no clock, no catalog and no randomness. An entry's body is a sequence of
// effects; each begins with its kind. Integers are little-endian. The kinds and
// layouts are frozen: a new meaning gets a new kind.
const (
	effReport     = 1 // a report: step, seat refresh and counts
	effStep       = 2 // a stream's sequence went on, nothing else
	effStream     = 3 // a stream row was made or given to another stream
	effLink       = 4 // a stream row's successor
	effSeat       = 5 // a seat's new content
	effSeatRow    = 6 // a new row of further seats
	effFlags      = 7 // a device row's flags
	effCounter    = 8 // a counter row was given to a key
	effCount      = 9 // something else than a report was counted
	effObject     = 10
	effGrants     = 11 // the Merkle root of the batch's grants
	effSlotRow    = 12 // a row that remembers a seat's slots was begun
	effSlotUse    = 13 // a seat was counted in a slot
	effDayUse     = 14 // a seat was counted on a day
	effAuthorized = 15 // a check-in was granted
	effDenied     = 16 // a check-in or report was refused
	effPeak       = 17 // more are in use at a time than before in an hour or day
	effDetailPage = 18 // a page of details was given to a ring
	effClock      = 19 // the clock was set back
)

// EntryKind is the journal entry kind of a batch of effects.
const EntryKind = 1

// reportBytes and lineBytes bound what one report adds to an entry.
const (
	reportBytes = 36
	lineBytes   = 10
)

// What stands behind "Not on disk" in an effect is found by its find method,
// from what is on disk: in life before the effect is written, so that rows which
// it needs are made first, and in replay before it is applied.

type stepEffect struct {
	row, seq, tag, project uint32
}

type reportEffect struct {
	stepEffect
	item   uint32
	place  place  // of the seat that the report refreshes
	until  uint32 // the seat's activeUntil after it
	flags  uint16 // the seat's flags after it
	record uint32 // place among the latest reports
	lines  []protocol.Line

	// Not on disk.
	quotaRow uint32
	cells    []lineCells
}

type streamEffect struct {
	row        uint32
	uuid       [16]byte
	generation uint16
	flags      uint16
	lastSeq    uint32
	lastTag    uint32
	project    uint32
}

type linkEffect struct{ row, next uint32 }

type seatEffect struct {
	place place
	seat  seat
}

type seatRowEffect struct {
	row, owner uint32
	previous   uint32 // seat row + 1 that points to it, 0: the owner's device row does
}

type flagsEffect struct {
	row   uint32
	flags uint16
}

type counterEffect struct {
	row uint32
	key counterKey
}

type countEffect struct {
	row   uint32
	value uint8
	delta uint64
}

type objectEffect struct {
	key  ObjectKey
	data []byte // empty: deleted
}

type slotRowEffect struct {
	row    uint32
	owner  place
	item   uint32
	bucket uint32
}

// scope says for which of a seat's counters something is new: another of the
// client's seats may have counted there already.
type scope uint8

const (
	ofBoth    scope = 1 << iota // of the project and the item together
	ofItem                      // of the item, in all projects
	ofProject                   // of the project, all its items
)

type slotUseEffect struct {
	row           uint32 // of the seat's slots
	slot          uint32
	project, item uint32
	weight        uint32 // 1, or instances
	overuse       uint32 // drawn from the item's budget
	scope         scope

	// Not on disk.
	inBoth, inItem, budget cell
}

type dayUseEffect struct {
	place         place
	day           uint16
	project, item uint32
	scope         scope

	// Not on disk.
	cells [3]cell // by bit of scope
}

type authorizedEffect struct {
	row           uint32 // of the stream
	project, item uint32
	instances     uint32
	record        uint32 // place among the latest authorizations
	scope         scope  // where the client is new

	// Not on disk.
	itemTotal, total, hour, day cell
	newTotals, newDays          [3]cell // by bit of scope
}

type deniedEffect struct {
	project uint32
	code    uint16
	item    uint32
	uuid    [16]byte
	record  uint32 // place among the latest denials

	// Not on disk.
	total, hour, day cell
}

type peakEffect struct {
	project, item uint32
	hour          uint32
	n             uint64

	// Not on disk.
	inHour, inDay cell
}

type detailPageEffect struct {
	page  uint32
	owner detailOwner
}

type grantsEffect struct {
	root  [32]byte
	chain [32]byte // the chain's new head
	size  uint32
}

var le = binary.LittleEndian

func appendStep(b []byte, kind byte, e *stepEffect) []byte {
	b = le.AppendUint32(append(b, kind), e.row)
	b = le.AppendUint32(b, e.seq)
	b = le.AppendUint32(b, e.tag)
	return le.AppendUint32(b, e.project)
}

// What a report takes without its lines, and a line of it.
const (
	reportHeadBytes = 36
	reportLineBytes = 10
)

func (e *reportEffect) append(b []byte) []byte {
	b = appendStep(b, effReport, &e.stepEffect)
	b = le.AppendUint32(b, e.item)
	b = le.AppendUint32(b, uint32(e.place))
	b = le.AppendUint32(b, e.until)
	b = le.AppendUint16(b, e.flags)
	b = le.AppendUint32(b, e.record)
	b = append(b, byte(len(e.lines)))
	for _, l := range e.lines {
		b = le.AppendUint32(b, l.Slot)
		b = le.AppendUint16(b, l.Module)
		b = le.AppendUint32(b, l.Count)
	}
	return b
}

func (e *streamEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effStream), e.row)
	b = append(b, e.uuid[:]...)
	b = le.AppendUint16(b, e.generation)
	b = le.AppendUint16(b, e.flags)
	b = le.AppendUint32(b, e.lastSeq)
	b = le.AppendUint32(b, e.lastTag)
	return le.AppendUint32(b, e.project)
}

func (e *linkEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effLink), e.row)
	return le.AppendUint32(b, e.next)
}

func (e *seatEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effSeat), uint32(e.place))
	b = le.AppendUint32(b, e.seat.item)
	b = le.AppendUint32(b, e.seat.activeUntil)
	b = le.AppendUint32(b, e.seat.days)
	b = le.AppendUint16(b, e.seat.lastDay)
	b = le.AppendUint16(b, e.seat.project)
	b = le.AppendUint16(b, e.seat.instances)
	return le.AppendUint16(b, e.seat.flags)
}

func (e *seatRowEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effSeatRow), e.row)
	b = le.AppendUint32(b, e.owner)
	return le.AppendUint32(b, e.previous)
}

func (e *flagsEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effFlags), e.row)
	return le.AppendUint16(b, e.flags)
}

func (e *counterEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effCounter), e.row)
	b = le.AppendUint32(b, e.key.project)
	b = le.AppendUint32(b, e.key.item)
	b = le.AppendUint32(b, e.key.bucket)
	b = le.AppendUint16(b, e.key.module)
	return le.AppendUint16(b, e.key.span)
}

func (e *countEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effCount), e.row)
	return le.AppendUint64(append(b, e.value), e.delta)
}

func (e *objectEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effObject, byte(e.key.Kind)), e.key.ID)
	b = le.AppendUint32(b, uint32(len(e.data)))
	return append(b, e.data...)
}

func (e *slotRowEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effSlotRow), e.row)
	b = le.AppendUint32(b, uint32(e.owner))
	b = le.AppendUint32(b, e.item)
	return le.AppendUint32(b, e.bucket)
}

func (e *slotUseEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effSlotUse), e.row)
	b = le.AppendUint32(b, e.slot)
	b = le.AppendUint32(b, e.project)
	b = le.AppendUint32(b, e.item)
	b = le.AppendUint32(b, e.weight)
	b = le.AppendUint32(b, e.overuse)
	return append(b, byte(e.scope))
}

func (e *dayUseEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effDayUse), uint32(e.place))
	b = le.AppendUint16(b, e.day)
	b = le.AppendUint32(b, e.project)
	b = le.AppendUint32(b, e.item)
	return append(b, byte(e.scope))
}

func (e *authorizedEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effAuthorized), e.row)
	b = le.AppendUint32(b, e.project)
	b = le.AppendUint32(b, e.item)
	b = le.AppendUint32(b, e.instances)
	b = le.AppendUint32(b, e.record)
	return append(b, byte(e.scope))
}

func (e *deniedEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effDenied), e.project)
	b = le.AppendUint16(b, e.code)
	b = le.AppendUint32(b, e.item)
	b = append(b, e.uuid[:]...)
	return le.AppendUint32(b, e.record)
}

func (e *peakEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effPeak), e.project)
	b = le.AppendUint32(b, e.item)
	b = le.AppendUint32(b, e.hour)
	return le.AppendUint64(b, e.n)
}

func (e *detailPageEffect) append(b []byte) []byte {
	b = le.AppendUint32(append(b, effDetailPage), e.page)
	b = le.AppendUint32(b, e.owner.project)
	b = le.AppendUint16(b, e.owner.day)
	return append(b, byte(e.owner.kind), e.owner.part)
}

func (e *grantsEffect) append(b []byte) []byte {
	b = append(append(b, effGrants), e.root[:]...)
	b = append(b, e.chain[:]...)
	return le.AppendUint32(b, e.size)
}
