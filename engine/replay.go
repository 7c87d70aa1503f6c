package engine

import (
	"errors"
	"fmt"

	"muster/protocol"
)

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
	e := reportEffect{stepEffect: r.step(), item: r.u32(), place: place(r.u32()), until: r.u32(), flags: r.u16(), record: r.u32()}
	for range r.u8() {
		lines = append(lines, protocol.Line{Slot: r.u32(), Module: r.u16(), Count: r.u32()})
	}
	e.lines = lines
	return e
}

func (r *reader) seat() seat {
	return seat{item: r.u32(), activeUntil: r.u32(), days: r.u32(), lastDay: r.u16(), project: r.u16(), instances: r.u16(), flags: r.u16()}
}

// prefetchReports does for the reports that a body begins with what prefetch does
// for requests, and returns how many bytes they take.
func (c *Core) prefetchReports(body []byte) (n int) {
	for range prefetchWindow {
		b := body[n:]
		if len(b) < reportHeadBytes || b[0] != effReport {
			break
		}
		c.prefetched += c.devices.touch(le.Uint32(b[1:]))
		n = min(n+reportHeadBytes+int(b[reportHeadBytes-1])*reportLineBytes, len(body))
	}
	return n
}

// replayOne decodes the first effect of the body and applies it.
func (c *Core) replayOne(r *reader) error {
	switch kind := r.u8(); kind {
	case effReport:
		e := r.report(c.replayLines[:0])
		c.replayLines = e.lines
		if !r.short {
			e.find(c)
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
		apply := c.decodeCounting(kind, r)
		if apply == nil {
			apply = c.decodeRare(kind, r)
		}
		if apply == nil {
			return fmt.Errorf("unknown effect kind %d: the journal was written by a newer muster", kind)
		}
		if !r.short {
			apply()
		}
	}
	switch {
	case r.short:
		return errShortEffect
	case c.missing:
		return errors.New("something is counted in a row that no entry made")
	}
	return nil
}

// decodeCounting decodes an effect on counters; nil for any other kind.
func (c *Core) decodeCounting(kind uint8, r *reader) (apply func()) {
	switch kind {
	case effCounter:
		e := counterEffect{r.u32(), counterKey{r.u32(), r.u32(), r.u32(), r.u16(), r.u16()}}
		return func() { c.applyCounter(&e) }
	case effCount:
		e := countEffect{r.u32(), r.u8() % counterValues, r.u64()}
		return func() { c.applyCount(&e) }
	case effSlotUse:
		e := slotUseEffect{row: r.u32(), slot: r.u32(), project: r.u32(), item: r.u32(), weight: r.u32(), overuse: r.u32(), scope: scope(r.u8())}
		return func() { e.find(c); c.applySlotUse(&e) }
	case effDayUse:
		e := dayUseEffect{place: place(r.u32()), day: r.u16(), project: r.u32(), item: r.u32(), scope: scope(r.u8())}
		return func() { e.find(c); c.applyDayUse(&e) }
	case effAuthorized:
		e := authorizedEffect{row: r.u32(), project: r.u32(), item: r.u32(), instances: r.u32(), record: r.u32(), scope: scope(r.u8())}
		return func() { e.find(c); c.applyAuthorized(&e) }
	case effDenied:
		e := deniedEffect{project: r.u32(), code: r.u16(), item: r.u32(), uuid: [16]byte(r.take(16)), record: r.u32()}
		return func() { e.find(c); c.applyDenied(&e) }
	case effPeak:
		e := peakEffect{project: r.u32(), item: r.u32(), hour: r.u32(), n: r.u64()}
		return func() { e.find(c); c.applyPeak(&e) }
	}
	return nil
}

// decodeRare decodes any other effect; nil for an unknown kind.
func (c *Core) decodeRare(kind uint8, r *reader) (apply func()) {
	switch kind {
	case effLink:
		e := linkEffect{r.u32(), r.u32()}
		return func() { c.applyLink(&e) }
	case effSeatRow:
		e := seatRowEffect{r.u32(), r.u32(), r.u32()}
		return func() { c.applySeatRow(&e) }
	case effFlags:
		e := flagsEffect{r.u32(), r.u16()}
		return func() { c.applyFlags(&e) }
	case effObject:
		e := objectEffect{key: ObjectKey{ObjectKind(r.u8()), r.u32()}}
		e.data = r.take(int(r.u32()))
		return func() { c.applyObject(&e) }
	case effSlotRow:
		e := slotRowEffect{r.u32(), place(r.u32()), r.u32(), r.u32()}
		return func() { c.applySlotRow(&e) }
	case effDetailPage:
		e := detailPageEffect{r.u32(), detailOwner{r.u32(), r.u16(), RecordKind(r.u8()) % recordKinds, r.u8() % ringParts}}
		return func() { c.applyDetailPage(&e) }
	case effClock:
		e := clockEffect{time: int64(r.u64())}
		for range min(int(r.u32()), len(r.b)/8) {
			e.items = append(e.items, clockLimit{r.u32(), r.u32()})
		}
		return func() { c.applyClock(&e) }
	case effGrants:
		e := grantsEffect{[32]byte(r.take(32)), [32]byte(r.take(32)), r.u32()}
		return func() { c.applyGrants(&e) }
	}
	return nil
}
