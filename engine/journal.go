package engine

// Journal is the log that the decider writes to.
type Journal interface {
	// Buffer returns an empty buffer to build the next entry's body in, so that
	// the body is written from where it was built.
	Buffer() []byte
	// Append returns once the entry is durable. An error means that it is in
	// doubt: the process must end before any answer of the batch leaves.
	Append(kind uint8, term uint64, time int64, body []byte) (index uint64, err error)
}

// Checkpointer writes checkpoints. One pass at a time; the decider calls it
// between batches, and only Finish may take long.
type Checkpointer interface {
	// Begin starts a pass.
	Begin(start CheckpointStart)
	// Buffer returns room for a step, or false while the disk is behind.
	Buffer() (pages []Page, ids []PageID, ok bool)
	// Write takes the first n pages of the last Buffer.
	Write(n int)
	// Finish ends the pass: done is called with its outcome, from any goroutine.
	Finish(done func(error))
}
