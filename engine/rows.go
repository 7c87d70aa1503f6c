package engine

import "unsafe"

// deviceRow is one stream of a client UUID. The first row of a UUID, the one the
// index knows, is its primary: it also holds the UUID's seats and flags. The
// client UUID of a row never changes.
type deviceRow struct {
	uuid       [16]byte
	generation uint16 // of the stream's token
	flags      uint16
	lastSeq    uint32
	lastTag    uint32
	lastSeen   uint32 // unix seconds
	firstSeen  uint16 // day
	project    uint16 // ordinal of the project last used
	seat       seat   // primary: the first seat
	moreSeats  uint32 // primary: seat row + 1 of further seats, 0: none
	nextStream uint32 // row + 1 of the UUID's next stream, 0: none
}

// Flags of a device row. All belong to the stream, but for flagBlocked: that is
// the UUID's and stands in its primary row.
const (
	flagForgiven = 1 << iota // a restored backup was forgiven once [CLI-5]
	flagClone                // presented in an interleaved way: 151 until cleared [CLI-5]
	flagBlocked              // blocked by the operator [DEV-5]
	flagSecondary
	flagRetired // the stream made room for another; its token is dormant [CLI-9]
	flagResumed // with flagRetired: it asked for its place and may go on
)

// seat is a client UUID's place on one item through one project. A client holds
// at most one seat on an item at a time [CLI-9]; its other places on the item
// say on which days it came through another project. A seat stays after it
// ended, so that late reports find the item that granted it.
type seat struct {
	item        uint32 // ordinal, 0: free place
	activeUntil uint32 // unix seconds, end of the grant; the seat is held until then unless its flags end it
	days        uint32 // bit n: a report counted on the day lastDay - n
	lastDay     uint16 // newest day a report counted
	project     uint16 // ordinal
	instances   uint16
	flags       uint16
}

// Flags of a seat.
const (
	seatUsed     = 1 << iota // a report came: first use is past [DEV-1]
	seatReleased             // given back by the device [CLI-6]
	seatFreed                // freed by the operator [DEV-4]
	seatBeside               // no seat: granted while the client holds one through another project

	// seatEnded are those with which a seat is not held, though its grant may last.
	seatEnded = seatReleased | seatFreed | seatBeside
)

// seatRow holds further seats of one client UUID.
type seatRow struct {
	next  uint32 // seat row + 1, 0: none
	seats [seatsPerRow]seat
}

const seatsPerRow = 3

// counterRow counts for one key; what each value means depends on the key's span.
type counterRow struct {
	key    counterKey
	values [counterValues]uint64
}

const counterValues = 6

// slotRow remembers in which slots a seat was counted, for items that count
// devices or instances a slot: a late report must not count one twice.
type slotRow struct {
	owner  uint32 // place of the seat
	item   uint32 // of the seat then; the place may have gone to another item
	bucket uint32 // slot / slotsPerRow
	_      uint32
	bits   [slotsPerRow / 64]uint64
}

// slotsPerRow is how many slots a row remembers, somewhat over 19 hours; the
// rows of a seat are used again in a circle that is longer than 30 days [SLOT-1].
const (
	slotsPerRow    = 384
	slotRowsCircle = LateSeconds/180/slotsPerRow + 2
)

// counterKey names a counter row.
type counterKey struct {
	project uint32 // ordinal, 0: all projects
	item    uint32 // ordinal
	bucket  uint32
	module  uint16 // ordinal, 0: all modules
	span    uint16
}

// record is one line of the latest reports, authorizations and denials of a
// project and day [STAT-1], [STAT-4].
type record struct {
	uuid   [16]byte
	time   uint32 // unix seconds, 0: free place
	slot   uint32 // that a report's first line names
	count  uint32 // scans or pages of a report, instances of an authorization
	item   uint16 // ordinal, 0: none
	detail uint16 // module ordinal of a report, code of a denial
}

// recordRow holds the records of a detail page.
type recordRow [recordsPerRow]record

const recordsPerRow = 2

// metaRow is the single row of the meta table.
type metaRow struct {
	chain [32]byte // hash chain over the grant batches
	time  int64    // of the last entry, unix nanoseconds
	_     [24]byte
}

// Every row overlays 64 bytes exactly.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(deviceRow{})-RowBytes]
	_ = [1]struct{}{}[unsafe.Sizeof(seatRow{})-RowBytes]
	_ = [1]struct{}{}[unsafe.Sizeof(counterRow{})-RowBytes]
	_ = [1]struct{}{}[unsafe.Sizeof(metaRow{})-RowBytes]
	_ = [1]struct{}{}[unsafe.Sizeof(slotRow{})-RowBytes]
	_ = [1]struct{}{}[unsafe.Sizeof(recordRow{})-RowBytes]
	_ = [1]struct{}{}[unsafe.Sizeof(pageHeader{})-RowBytes]
)
