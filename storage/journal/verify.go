package journal

// Entry is one record of the journal. Body is valid until the callback that was
// given the entry returns.
type Entry struct {
	Index uint64
	Term  uint64
	Time  int64 // nanoseconds since 1970 UTC, as the appender said
	Kind  uint8
	Body  []byte
}

// Report says what a journal holds. If there is damage it covers what lies before.
type Report struct {
	Segments   int
	Bytes      int64  // of the segment files
	FirstIndex uint64 // of the first entry that is there, or will be; 0 without segments
	LastIndex  uint64
	Entries    uint64 // seals not counted
	Sealed     bool   // the last thing written is the seal of a clean stop
	Torn       Torn
}

// Torn is a tail that was being written when the process ended and was never
// acknowledged. Bytes is 0 if there is none.
type Torn struct {
	File   string
	Offset int64
	Bytes  int64
}

// Verify reads a whole journal without changing anything, checks all that Open
// checks and calls visit for each entry. The error is a *DamageError where
// acknowledged entries are lost, and the Report then says how far the journal is
// intact. On a journal in use, the entry being written looks torn. An error of
// visit ends the walk and is returned as it is.
func Verify(opt Options, visit func(Entry) error) (Report, error) {
	opt, err := opt.checked()
	if err != nil {
		return Report{}, err
	}
	w := walk{disk: opt.Disk, visit: visit}
	err = w.run()
	return w.report, err
}
