package engine

import (
	"fmt"
	"sync/atomic"

	"muster/license"
	"muster/protocol"
)

// Config is what a core is made with.
type Config struct {
	// Server is the server's identity [SRV-1].
	Server license.ServerIdentity
	// Trusted are the vendor keys configured at start [FILE-5]; more can be
	// added to the catalog.
	Trusted *license.KeyRing
	// TokenKey keys the PRF of stream tokens. It must stay the same for the life
	// of the data, or every device gets a new stream.
	TokenKey [16]byte
	// DevicesMax bounds the device table, at most the constant of that name.
	DevicesMax uint32
	// Alloc returns zeroed memory for pages, outside the Go heap if possible.
	Alloc func(bytes int) []byte
}

// Core is the decision core. One goroutine, the decider, calls its methods,
// except [Core.Catalog] and [Core.Tallies], which any goroutine may.
type Core struct {
	config  Config
	trusted *license.KeyRing
	tokens  tokenKey

	meta, devices, seats, counters, slots, details table

	byUUID      *index
	counterRows counterRows
	lineCache   lineCache
	rings       rings
	slotRows    map[slotKey]uint32
	objects     map[ObjectKey]*object
	parsed      parsedFiles
	catalog     *Catalog
	items       []*itemState // by ordinal

	live   bool   // derived state is kept up
	index  uint64 // of the entry being decided or replayed
	time   int64  // of the batch, unix nanoseconds
	now    int64  // the same in seconds
	second uint32 // the same as rows hold it
	hour   uint32 // whose peaks are begun
	body   []byte // effects of the batch

	grants         grantBatch
	replayLines    []protocol.Line
	cells          []lineCells // of the report being decided or replayed
	missing        bool        // a replayed effect counts in a row that no entry made
	catalogChanged bool
	published      atomic.Pointer[Catalog]
	tally          tallies
	checkpoint     checkpointPass
	prefetched     uint32 // keeps the touching of rows from being optimized away
}

// New makes an empty core that awaits loading and replay: call LoadPage and
// LoadObject for what a checkpoint holds, Replay for every journal entry behind
// it, then Start.
func New(config Config) *Core {
	c := &Core{
		config:  config,
		objects: map[ObjectKey]*object{}, parsed: parsedFiles{},
		tokens: newTokenKey(config.TokenKey),
	}
	if c.config.DevicesMax == 0 || c.config.DevicesMax > DevicesMax {
		c.config.DevicesMax = DevicesMax
	}
	for id := range uint8(Tables) {
		t := c.table(id)
		t.id, t.alloc, t.loaded = id, config.Alloc, []uint64{}
	}
	return c
}

func (c *Core) table(id uint8) *table {
	switch id {
	case tableMeta:
		return &c.meta
	case tableDevices:
		return &c.devices
	case tableSeats:
		return &c.seats
	case tableCounters:
		return &c.counters
	case tableSlots:
		return &c.slots
	case tableDetails:
		return &c.details
	}
	panic(fmt.Sprintf("engine: no table %d", id))
}

// LoadRows says how many rows of a table the checkpoint knows.
func (c *Core) LoadRows(tableID uint8, rows uint32) {
	t := c.table(tableID)
	t.rows = rows
	t.reserve(t.pages())
}

// LoadPage takes over a checked page of a checkpoint.
func (c *Core) LoadPage(id PageID, p *Page) error {
	if id.Table >= Tables {
		return fmt.Errorf("page of table %d: this muster knows %d tables", id.Table, Tables)
	}
	c.table(id.Table).load(id.Number, p)
	return nil
}

// LoadObject takes over a catalog object of a checkpoint.
func (c *Core) LoadObject(key ObjectKey, index uint64, data []byte) {
	c.objects[key] = &object{data: data, index: index, loaded: index}
}

// Replay applies one journal entry. Entries come in order, beginning behind the
// checkpoint.
func (c *Core) Replay(index uint64, time int64, body []byte) error {
	if c.counterRows.rows == nil {
		c.indexCounters()
	}
	c.begin(index, time)
	c.applyTime(time)
	r := &reader{b: body}
	for touched := len(body); len(r.b) > 0; {
		if len(r.b) <= touched {
			touched = len(r.b) - c.prefetchReports(r.b)
		}
		if err := c.replayOne(r); err != nil {
			return fmt.Errorf("journal entry %d: %w", index, err)
		}
	}
	return nil
}

func (c *Core) begin(index uint64, time int64) {
	c.index, c.time = index, time
	c.now = time / 1e9
	c.second = uint32(c.now)
}

// Start ends loading and replay: it derives the index, the seat counts and the
// catalog, and the core is ready to decide from entry last+1 on.
func (c *Core) Start(last uint64) error {
	for id := range uint8(Tables) {
		c.table(id).loaded = nil
	}
	c.index = last
	c.live = true
	if c.meta.rows == 0 {
		c.meta.grow(0)
	}
	c.begin(last, (*metaRow)(c.meta.at(0)).time)
	if err := c.derive(); err != nil {
		return err
	}
	c.Publish()
	return nil
}

// derive builds everything that follows from rows and objects.
func (c *Core) derive() error {
	c.hour = Hour.At(c.now)
	c.items = nil
	c.indexCounters()
	if err := c.rebuild(); err != nil {
		return err
	}
	c.indexDetails()
	c.indexSlots()
	c.indexDevices()
	c.indexShares()
	return nil
}

func (c *Core) indexSlots() {
	c.slotRows = make(map[slotKey]uint32, c.slots.rows)
	for n := range c.slots.rows {
		r := c.slotRow(n)
		c.slotRows[slotKey{place(r.owner), r.bucket % slotRowsCircle}] = n
	}
}

func (c *Core) indexDevices() {
	c.byUUID = newIndex(c.devices.rows)
	for n := range c.devices.rows {
		if n%prefetchWindow == 0 {
			for ahead := n; ahead < min(n+prefetchWindow, c.devices.rows); ahead++ {
				c.prefetched += c.byUUID.touch(&c.device(ahead).uuid)
			}
		}
		d := c.device(n)
		if d.flags&flagSecondary != 0 {
			continue
		}
		c.byUUID.add(&d.uuid, n, &c.devices)
		c.countSeat(&d.seat)
	}
	for n := range c.seats.rows {
		for i := range c.seatRow(n).seats {
			c.countSeat(&c.seatRow(n).seats[i])
		}
	}
}

// growUsage gives every item of the catalog its quota row's values once.
func (c *Core) growUsage() {
	for _, item := range c.catalog.Items {
		if item != nil {
			c.itemState(item.Ordinal).touched = true
		}
	}
	c.tally.grow(len(c.catalog.Projects))
}

// Begin starts a batch at a wall clock time in unix nanoseconds; its effects are
// appended to buffer. Time never runs backwards for decisions.
func (c *Core) Begin(wall int64, buffer []byte) {
	c.begin(c.index+1, max(wall, c.time))
	c.body = buffer
	c.grants.reset()
	c.pass()
	c.turnHour()
}

// Time is the batch's time in unix nanoseconds: what the journal entry carries.
func (c *Core) Time() int64 { return c.time }

// Now is the batch's time in unix seconds.
func (c *Core) Now() int64 { return c.now }

// Index is the journal index of the batch under way, or of the last one.
func (c *Core) Index() uint64 { return c.index }

// Close ends the batch and returns its effects, the body of one journal entry;
// it is valid until the next Begin. No effects mean that nothing needs to be
// written and that the index is used again.
func (c *Core) Close() []byte {
	c.sealGrants()
	if len(c.body) == 0 {
		c.index--
		return nil
	}
	c.applyTime(c.time)
	return c.body
}

// Full says that the batch should be closed: its entry is long enough.
func (c *Core) Full() bool { return len(c.body) >= BatchBytesMax }

// Publish shows what the last batch changed to readers. Call it once the
// batch's entry is durable.
func (c *Core) Publish() {
	for ordinal, st := range c.items {
		if st == nil || !st.touched {
			continue
		}
		st.publish()
		key := counterKey{item: uint32(ordinal)}
		st.usage.Uses.Store(c.value(key, valueUses))
		st.usage.Authorizations.Store(c.value(key, valueAuthorizations))
		st.usage.Reports.Store(c.value(key, valueReports))
		st.usage.Overuse.Store(c.value(key, valueOveruse))
	}
	c.tally.publish()
	if c.catalogChanged {
		c.parsed.keep(c.catalog.Licenses)
		c.published.Store(c.catalog)
		c.catalogChanged = false
	}
}

// Catalog returns the catalog as of the last durable batch. Any goroutine may call it.
func (c *Core) Catalog() *Catalog { return c.published.Load() }

// Current returns the catalog with the changes of the batch under way. It is for
// edits, which run in the decider.
func (c *Core) Current() *Catalog { return c.catalog }

// Pages is how many pages there are, of all tables.
func (c *Core) Pages() (n int) {
	for id := range uint8(Tables) {
		n += c.table(id).pages()
	}
	return n
}

// Clients is how many client UUIDs there are.
func (c *Core) Clients() (n uint32) {
	for i := range c.byUUID.shards {
		n += uint32(c.byUUID.shards[i].used)
	}
	return n
}

// Devices is the number of rows in the device table, that is of streams.
func (c *Core) Devices() uint32 { return c.devices.rows }
