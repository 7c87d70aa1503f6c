package engine

import (
	"encoding/hex"
	"slices"
	"strings"
)

// What the operator sees of and does to single devices. Runs in the decider.

// DeviceView is a client UUID as the operator sees it.
type DeviceView struct {
	UUID    [16]byte
	Blocked bool
	Streams []StreamView
	Seats   []SeatView
}

// StreamView is one stream of a client UUID [CLI-9].
type StreamView struct {
	Number          uint32
	Changes         uint32 // taken so far
	FirstSeen       int64  // unix seconds, the day's first
	LastSeen        int64  // unix seconds
	Project         uint32 // ordinal of the one last used
	Forgiven, Clone bool   // [CLI-5]
	Retired         bool
}

// SeatView is a client's place on one item through one project: its seat there,
// held or ended. A seat is held once, by one of the places on its item [CLI-9].
type SeatView struct {
	Item            uint32 // ordinal
	Project         uint32 // ordinal
	ActiveUntil     int64  // unix seconds
	LastUse         int64  // unix seconds, begin of the newest day that a report counted, 0: none
	Instances       uint32 // concurrent-instance, else 0
	Held            bool
	Released, Freed bool
}

// DeviceFilter says which client UUIDs are looked for; a zero field fits all.
type DeviceFilter struct {
	Prefix  string // of the UUID, hexadecimal in upper case, without hyphens
	Item    uint32 // ordinal: that have a place on it
	Project uint32 // ordinal: that have a place in it
	Held    bool   // whose place holds a seat now
	Blocked bool
	Clone   bool
}

// deviceScanRows is how many rows of the device table a step looks at: some
// tens of microseconds.
const deviceScanRows = 4 << 10

// FindDevices looks for client UUIDs from a row on, in the order in which they
// first came, and returns at most limit of them. It looks at a bounded number of
// rows, so that decisions go on: next is where to go on, 0 when it is through.
func (c *Core) FindDevices(f *DeviceFilter, from uint32, limit int) (found []DeviceView, next uint32) {
	for n := from; n < c.devices.rows; n++ {
		if n-from == deviceScanRows || len(found) == limit {
			return found, n
		}
		d := c.device(n)
		if d.flags&flagSecondary == 0 && c.fits(f, client{n, d}) {
			if v, err := c.Device(d.uuid); err == nil {
				found = append(found, *v)
			}
		}
	}
	return found, 0
}

func (c *Core) fits(f *DeviceFilter, cl client) bool {
	if !hasPrefix(&cl.row.uuid, f.Prefix) || f.Blocked && cl.row.flags&flagBlocked == 0 {
		return false
	}
	if f.Clone {
		clone := false
		c.streams(cl, func(_ uint32, d *deviceRow) bool {
			clone = d.flags&flagClone != 0
			return !clone
		})
		if !clone {
			return false
		}
	}
	if f.Item == 0 && f.Project == 0 && !f.Held {
		return true
	}
	seats := clientSeats{c, cl, true}
	_, seat := seats.find(func(s *seat) bool {
		return s.item != 0 && (f.Item == 0 || s.item == f.Item) && (f.Project == 0 || uint32(s.project) == f.Project) && (!f.Held || s.held(c.second))
	})
	return seat != nil
}

// hasPrefix compares digit by digit, without making text of every UUID.
func hasPrefix(uuid *[16]byte, prefix string) bool {
	const digits = "0123456789ABCDEF"
	for i := range len(prefix) {
		digit := uuid[i/2] >> 4
		if i%2 == 1 {
			digit = uuid[i/2] & 15
		}
		if digits[digit] != prefix[i] {
			return false
		}
	}
	return true
}

// DeviceRecords returns what the latest records of a project say about a client
// UUID on a day, newest first; see [Core.Records].
func (c *Core) DeviceRecords(kind RecordKind, project, day uint32, uuid [16]byte) []Record {
	return slices.DeleteFunc(c.Records(kind, project, day), func(r Record) bool { return r.UUID != uuid })
}

func uuidText(uuid [16]byte) string {
	h := strings.ToUpper(hex.EncodeToString(uuid[:]))
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func (c *Core) knownClient(uuid [16]byte) (client, error) {
	cl, ok := c.client(&uuid)
	if !ok {
		return cl, editError(ErrNotFound, "", "no device with client UUID %s has been here", uuidText(uuid))
	}
	return cl, nil
}

// Device shows a client UUID.
func (c *Core) Device(uuid [16]byte) (*DeviceView, error) {
	cl, err := c.knownClient(uuid)
	if err != nil {
		return nil, err
	}
	v := &DeviceView{UUID: uuid, Blocked: cl.row.flags&flagBlocked != 0}
	c.streams(cl, func(n uint32, d *deviceRow) bool {
		v.Streams = append(v.Streams, StreamView{
			Number: n + 1, Changes: d.lastSeq, FirstSeen: int64(d.firstSeen) * 86400, LastSeen: int64(d.lastSeen), Project: uint32(d.project),
			Forgiven: d.flags&flagForgiven != 0, Clone: d.flags&flagClone != 0, Retired: d.flags&flagRetired != 0,
		})
		return true
	})
	seats := c.clientSeats(&uuid)
	seats.each(func(_ place, s *seat) bool {
		if s.item != 0 {
			v.Seats = append(v.Seats, SeatView{
				Item: s.item, Project: uint32(s.project), ActiveUntil: int64(s.activeUntil),
				LastUse: int64(s.lastDay) * 86400, Instances: uint32(s.instances), Held: s.held(c.second),
				Released: s.flags&seatReleased != 0, Freed: s.flags&seatFreed != 0,
			})
		}
		return true
	})
	return v, nil
}

// BlockDevice blocks a client UUID, or lets it in again [DEV-5]. Its reports are
// counted all the same.
func (c *Core) BlockDevice(uuid [16]byte, block bool) error {
	cl, err := c.knownClient(uuid)
	if err != nil {
		return err
	}
	flags := cl.row.flags &^ flagBlocked
	if block {
		flags |= flagBlocked
	}
	if flags != cl.row.flags {
		c.setFlags(cl.primary, flags)
	}
	return nil
}

// ClearClone forgives a client UUID that was found to be a clone; the next
// restored backup is forgiven once again [CLI-5].
func (c *Core) ClearClone(uuid [16]byte) error {
	cl, err := c.knownClient(uuid)
	if err != nil {
		return err
	}
	c.streams(cl, func(n uint32, d *deviceRow) bool {
		if d.flags&(flagClone|flagForgiven) != 0 {
			c.setFlags(n, d.flags&^(flagClone|flagForgiven))
		}
		return true
	})
	return nil
}

// freeDays is the time over which seats freed by hand are capped [DEV-4].
const freeDays = 30

// FreeSeat frees a held seat by hand [DEV-4]. The device may still run offline
// on its grant, so an item caps how many seats are freed in 30 days, counted by
// days of UTC; the device is answered 160 to its next report, and checks in again.
func (c *Core) FreeSeat(uuid [16]byte, item uint32) error {
	if _, err := c.knownClient(uuid); err != nil {
		return err
	}
	i := c.catalog.item(item)
	if i == nil {
		return editError(ErrNotFound, "item", "no item %d", item)
	}
	seats := c.clientSeats(&uuid)
	_, held := seats.held(item)
	switch {
	case held == nil:
		return editError(ErrConflict, "item", "device %s holds no seat on item %s now", uuidText(uuid), i.Name())
	case i.Removed:
		return editError(ErrInvalid, "item", "item %s is no longer in its license file: its seats serve nobody", i.Name())
	case !i.takesSeats():
		return editError(ErrInvalid, "item", "item %s has no seats: it is charged by %v", i.Name(), i.ChargeWay)
	}
	if n, most := c.freedByHand(item), i.FreeCapSeats(); n >= most {
		return editError(ErrConflict, "item", "item %s: %d seats were freed by hand in %d days, its license allows %d; wait, or ask the vendor for a higher FreeCap", i.Name(), n, freeDays, most)
	}
	c.count(counterKey{item: item, bucket: c.day(), span: spanFreed}, 0, 1)
	seats.each(func(at place, st *seat) bool { // every application of the device is told
		if st.item == item {
			freed := *st
			freed.flags |= seatFreed
			c.setSeat(at, freed)
		}
		return true
	})
	return nil
}

func (c *Core) day() uint32 { return uint32(c.now / 86400) }

// freedByHand counts the seats of an item freed today and in the 29 days before.
func (c *Core) freedByHand(item uint32) (n uint64) {
	for back := range uint32(freeDays) {
		n += c.value(counterKey{item: item, bucket: c.day() - back, span: spanFreed}, 0)
	}
	return n
}
