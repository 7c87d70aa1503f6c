package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"muster/protocol"
)

// Effects are what the journal holds: decisions, self-contained, so that replay
// needs no clock, no catalog and no randomness. An entry's body is a sequence of
// effects; each begins with its kind. Integers are little-endian. The kinds and
// layouts are frozen: a new meaning gets a new kind.
const (
	effReport  = 1 // a report: step, seat refresh and counts
	effStep    = 2 // a stream's sequence went on, nothing else
	effStream  = 3 // a stream row was made or given to another stream
	effLink    = 4 // a stream row's successor
	effSeat    = 5 // a seat's new content
	effSeatRow = 6 // a new row of further seats
	effFlags   = 7 // a device row's flags
	effCounter = 8 // a counter row was made for a key
	effCount   = 9 // something else than a report was counted
	effObject  = 10
	effGrants  = 11 // the Merkle root of the batch's grants
	effSlotRow = 12 // a row that remembers a seat's slots was begun
	effSlotUse = 13 // a seat was counted in a slot
)

// EntryKind is the journal entry kind of a batch of effects.
const EntryKind = 1

// reportBytes and lineBytes bound what one report adds to an entry.
const (
	reportBytes = 32
	lineBytes   = 10
)

type stepEffect struct {
	row, seq, tag, project uint32
}

type reportEffect struct {
	stepEffect
	item  uint32
	place place  // of the seat that the report refreshes
	until uint32 // the seat's activeUntil after it
	flags uint16 // the seat's flags after it
	lines []protocol.Line

	// Not on disk: the counter rows, found from item, project and lines.
	quotaRow uint32
	lineRows []uint32
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

type slotUseEffect struct {
	row      uint32 // of the seat's slots
	bit      uint16
	useRow   uint32 // counter row and value of the slot
	useValue uint8
	weight   uint32 // 1, or instances
	itemRow  uint32 // counter row of the item
	overuse  uint32 // drawn from its budget
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

func (e *reportEffect) append(b []byte) []byte {
	b = appendStep(b, effReport, &e.stepEffect)
	b = le.AppendUint32(b, e.item)
	b = le.AppendUint32(b, uint32(e.place))
	b = le.AppendUint32(b, e.until)
	b = le.AppendUint16(b, e.flags)
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
	b = le.AppendUint32(b, e.seat.lastSlot)
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
	b = le.AppendUint16(b, e.bit)
	b = le.AppendUint32(b, e.useRow)
	b = le.AppendUint32(append(b, e.useValue), e.weight)
	b = le.AppendUint32(b, e.itemRow)
	return le.AppendUint32(b, e.overuse)
}

func (e *grantsEffect) append(b []byte) []byte {
	b = append(append(b, effGrants), e.root[:]...)
	b = append(b, e.chain[:]...)
	return le.AppendUint32(b, e.size)
}

// reader reads the fields of effects; a short body sets short.
type reader struct {
	b     []byte
	short bool
}

var errShortEffect = errors.New("an effect is cut short")

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.short = true
		return make([]byte, min(n, 64))
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) u8() uint8   { return r.take(1)[0] }
func (r *reader) u16() uint16 { return le.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return le.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return le.Uint64(r.take(8)) }

func (r *reader) step() stepEffect {
	return stepEffect{row: r.u32(), seq: r.u32(), tag: r.u32(), project: r.u32()}
}

func (r *reader) report(lines []protocol.Line) reportEffect {
	e := reportEffect{stepEffect: r.step(), item: r.u32(), place: place(r.u32()), until: r.u32(), flags: r.u16()}
	for range r.u8() {
		lines = append(lines, protocol.Line{Slot: r.u32(), Module: r.u16(), Count: r.u32()})
	}
	e.lines = lines
	return e
}

func (r *reader) seat() seat {
	return seat{item: r.u32(), activeUntil: r.u32(), lastSlot: r.u32(), instances: r.u16(), flags: r.u16()}
}

// replayOne decodes the first effect of the body and applies it.
func (c *Core) replayOne(r *reader) error {
	switch kind := r.u8(); kind {
	case effReport:
		e := r.report(c.replayLines[:0])
		c.replayLines = e.lines
		if !r.short && !c.findRows(&e) {
			return errors.New("a report counts for a row that no entry made")
		}
		if !r.short {
			c.applyReport(&e)
		}
	case effStep:
		if e := r.step(); !r.short {
			c.applyStep(&e)
		}
	case effStream:
		e := streamEffect{row: r.u32(), uuid: [16]byte(r.take(16)), generation: r.u16(), flags: r.u16(), lastSeq: r.u32(), lastTag: r.u32(), project: r.u32()}
		if !r.short {
			c.applyStream(&e)
		}
	case effSeat:
		if e := (seatEffect{place(r.u32()), r.seat()}); !r.short {
			c.applySeat(&e)
		}
	default:
		return c.replayRare(kind, r)
	}
	if r.short {
		return errShortEffect
	}
	return nil
}

// findRows finds a replayed report's counter rows; entries before it made them.
func (c *Core) findRows(e *reportEffect) (ok bool) {
	if e.quotaRow, ok = c.counterRows.lookup(counterKey{item: e.item}); !ok {
		return false
	}
	c.lineRows = c.lineRows[:0]
	for i := range e.lines {
		row, ok := c.counterRows.lookup(counterKey{project: e.project, item: e.item, module: e.lines[i].Module})
		if !ok {
			return false
		}
		c.lineRows = append(c.lineRows, row)
	}
	e.lineRows = c.lineRows
	return true
}

func (c *Core) replayRare(kind uint8, r *reader) error {
	var apply func()
	switch kind {
	case effLink:
		e := linkEffect{r.u32(), r.u32()}
		apply = func() { c.applyLink(&e) }
	case effSeatRow:
		e := seatRowEffect{r.u32(), r.u32(), r.u32()}
		apply = func() { c.applySeatRow(&e) }
	case effFlags:
		e := flagsEffect{r.u32(), r.u16()}
		apply = func() { c.applyFlags(&e) }
	case effCounter:
		e := counterEffect{r.u32(), counterKey{r.u32(), r.u32(), r.u32(), r.u16(), r.u16()}}
		apply = func() { c.applyCounter(&e) }
	case effCount:
		e := countEffect{r.u32(), r.u8(), r.u64()}
		apply = func() { c.applyCount(&e) }
	case effObject:
		e := objectEffect{key: ObjectKey{ObjectKind(r.u8()), r.u32()}}
		e.data = r.take(int(r.u32()))
		apply = func() { c.applyObject(&e) }
	case effSlotRow:
		e := slotRowEffect{r.u32(), place(r.u32()), r.u32(), r.u32()}
		apply = func() { c.applySlotRow(&e) }
	case effSlotUse:
		e := slotUseEffect{row: r.u32(), bit: r.u16() % slotsPerRow, useRow: r.u32(), useValue: r.u8() % counterValues, weight: r.u32(), itemRow: r.u32(), overuse: r.u32()}
		apply = func() { c.applySlotUse(&e) }
	case effGrants:
		e := grantsEffect{[32]byte(r.take(32)), [32]byte(r.take(32)), r.u32()}
		apply = func() { c.applyGrants(&e) }
	default:
		return fmt.Errorf("unknown effect kind %d: the journal was written by a newer muster", kind)
	}
	if r.short {
		return errShortEffect
	}
	apply()
	return nil
}
