package engine

import "muster/protocol"

// Limits of the core. Each has a defined answer when it is reached.
const (
	// DevicesMax bounds the rows of the device table: rows are numbered in 27
	// bits of an index word. New devices are answered busy above the configured
	// limit, which may not exceed this.
	DevicesMax = 1<<27 - 2
	// StreamsMax is how many live streams one client UUID has [CLI-9]. For one
	// more, the one that was silent longest is retired.
	StreamsMax = 8
	// StreamRowsMax bounds the rows of one client UUID, retired streams included.
	// What a retired stream had counted is kept, so that its application, should
	// it come back, learns it. Beyond the bound the oldest one is forgotten.
	StreamRowsMax = 32
	// SeatsMax bounds the places of one client UUID, one for each item and project.
	// Those that ended more than 30 days ago make room; a check-in that would need
	// one more is answered busy.
	SeatsMax = 64
	// ProjectsMax and ItemsMax bound the projects and items that a server ever
	// had: rows hold their ordinals in 16 bits, and none is used twice.
	ProjectsMax = 1<<16 - 1
	ItemsMax    = 1<<16 - 1
	// passwordsMax bounds a project's password generations: tickets carry them in
	// 16 bits.
	passwordsMax = 1<<16 - 1
	// CounterRowsMax bounds the rows of counters, 1 GiB. Beyond it new series are
	// not recorded; quotas and totals are.
	CounterRowsMax = 1 << 24
	// DetailPagesMax bounds the pages of the latest reports, authorizations and
	// denials, 256 MiB. Beyond it the oldest are used again before their 35 days.
	DetailPagesMax = 1 << 16
	// ProjectItemsMax bounds the items of a project.
	ProjectItemsMax = 1000
	// BatchBytesMax closes a batch early, well below the largest journal entry.
	BatchBytesMax = 4 << 20
	// instancesMax bounds the instances of one device; a seat has 16 bits for them.
	instancesMax = 1<<16 - 1
	// CheckpointPages is how many pages one checkpoint step copies: a step stays
	// far below a millisecond.
	CheckpointPages = 64
	// LateSeconds is how far back a report line's slot may lie [SLOT-1].
	LateSeconds = 30 * 86400
	// AheadSeconds is how far ahead of the server's clock a slot may lie [SLOT-1].
	AheadSeconds = 300
	// busyTableFull is the retry-after of a full table, in milliseconds.
	busyTableFull = 60_000
)

// One report must fit an entry many times over, or the limits contradict each other.
var _ [BatchBytesMax - 1024*(reportBytes+protocol.MaxReportLines*lineBytes)]struct{}
