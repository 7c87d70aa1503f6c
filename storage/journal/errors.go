package journal

import (
	"errors"
	"fmt"
)

var (
	// ErrInDoubt marks a failed write or sync of an entry. Whether the entry is on
	// disk is not known; the journal takes no further one and returns the same
	// error from then on. The next Open decides.
	ErrInDoubt = errors.New("it is not known whether the entry is on disk; stop, check the disk and start again")
	// ErrTooLarge is returned for a body above BodyBytesMax, or one that does not
	// fit into an empty segment. Nothing was written and the journal goes on.
	ErrTooLarge = errors.New("entry too large")
	// ErrNoSegment is returned when the next segment could not be made, for want
	// of space as a rule. Nothing was written; the next Append tries again.
	ErrNoSegment = errors.New("no room for the next journal segment; free space on the disk of the data directory")
	// ErrKind is returned for an entry of the kind KindSeal, which Close alone writes.
	ErrKind = errors.New("entry kind 255 is the seal of a clean stop")
	// ErrClosed is returned by Append and Close after Close.
	ErrClosed = errors.New("journal: closed")
	// ErrVersion is returned for a segment of another format version.
	ErrVersion = errors.New("unknown format version; start the release of muster that wrote it, or a newer one")
)

// DamageError says that acknowledged entries cannot be read back. All entries
// before the place are intact.
type DamageError struct {
	File   string // name of the segment; empty if there is none
	Offset int64  // where in it the first bad entry or header begins
	Reason string
}

// Error implements error.
func (e *DamageError) Error() string {
	file := e.File
	if file == "" {
		file = "directory without segments"
	}
	return fmt.Sprintf("journal damaged: %s, offset %d: %s; do not start on it: check the disk and restore the data directory from a backup",
		file, e.Offset, e.Reason)
}
