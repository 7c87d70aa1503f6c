package engine

import (
	"cmp"
	"slices"
)

// The latest reports, authorizations and denials of every project and day are
// kept one by one [STAT-1], [STAT-4]: each kind in a ring of records that is a
// few pages long. Pages are used again after 35 days, the oldest first.

// RecordKind is what a ring holds.
type RecordKind uint8

// The kinds, frozen.
const (
	ReportRecords RecordKind = iota
	AuthorizationRecords
	DenialRecords
	recordKinds
)

const (
	recordsPerPage = RowsPerPage * recordsPerRow
	ringParts      = 8 // pages of a ring
	ringRecords    = ringParts * recordsPerPage
	detailDays     = 35
)

// At least the last 1,000 of each are kept.
var _ [ringRecords - 1000]struct{}

// detailOwner says in a page's header whose records the page holds.
type detailOwner struct {
	project uint32
	day     uint16 // 0: nobody's
	kind    RecordKind
	part    uint8 // of the ring
}

func (o detailOwner) ring() ringKey { return ringKey{o.project, o.day, o.kind} }

type ringKey struct {
	project uint32
	day     uint16
	kind    RecordKind
}

// ring is derived from its pages: which they are, and where the next record goes.
type ring struct {
	day   uint16
	next  uint32
	pages [ringParts]uint32 // page + 1, 0: none yet
}

// rings finds the rings. today's are found by project without hashing.
type rings struct {
	all   map[ringKey]*ring
	today [recordKinds][]*ring // by project; may be of an earlier day
	pages []uint32             // in use, oldest first
}

// indexDetails finds every ring by its pages.
func (c *Core) indexDetails() {
	c.rings = rings{all: map[ringKey]*ring{}}
	for n := range uint32(c.details.pages()) {
		if o := c.details.page(n).header().owner; o.day != 0 {
			c.rings.ring(o.ring()).pages[o.part] = n + 1
			c.rings.pages = append(c.rings.pages, n)
		}
	}
	slices.SortFunc(c.rings.pages, func(a, b uint32) int {
		pa, pb := c.details.page(a).header(), c.details.page(b).header()
		return cmp.Or(cmp.Compare(pa.owner.day, pb.owner.day), cmp.Compare(pa.index, pb.index))
	})
	for _, r := range c.rings.all {
		r.next = c.ringHead(r)
	}
}

func (r *rings) ring(k ringKey) *ring {
	found := r.all[k]
	if found == nil {
		found = &ring{day: k.day}
		r.all[k] = found
	}
	return found
}

// ringHead is the place behind a ring's newest record: time falls there. Among
// records of the same second any order is as good.
func (c *Core) ringHead(r *ring) uint32 {
	last := uint32(0)
	for n := range uint32(ringRecords) {
		rec := c.recordAt(r, n)
		if rec == nil || rec.time < last {
			return n
		}
		last = rec.time
	}
	return 0
}

// recordAt is record n of a ring, nil if there is none.
func (c *Core) recordAt(r *ring, n uint32) *record {
	page := r.pages[n/recordsPerPage]
	if page == 0 {
		return nil
	}
	at := (page-1)*recordsPerPage + n%recordsPerPage
	rec := &(*recordRow)(c.details.at(at / recordsPerRow))[at%recordsPerRow]
	if rec.time == 0 {
		return nil
	}
	return rec
}

// nextRecord is the place of the next record of a kind in a project, today.
func (c *Core) nextRecord(kind RecordKind, project uint32) (at uint32) {
	day := uint16(c.day())
	today := &c.rings.today[kind]
	for uint32(len(*today)) <= project {
		*today = append(*today, nil)
	}
	r := (*today)[project]
	if r == nil || r.day != day {
		r = c.rings.ring(ringKey{project, day, kind})
		(*today)[project] = r
	}
	n := r.next
	if r.next++; r.next == ringRecords {
		r.next = 0
	}
	part := n / recordsPerPage
	if r.pages[part] == 0 {
		c.newDetailPage(detailOwner{project: project, day: day, kind: kind, part: uint8(part)})
	}
	return (r.pages[part]-1)*recordsPerPage + n%recordsPerPage
}

// newDetailPage gives a ring a page: the oldest when its time is over or when
// there are as many as may be, else a new one.
func (c *Core) newDetailPage(owner detailOwner) {
	n := uint32(c.details.pages())
	if old := c.rings.pages; len(old) > 0 {
		day := c.details.page(old[0]).header().owner.day
		if uint32(day)+detailDays < uint32(owner.day) || n >= DetailPagesMax {
			n = old[0]
			c.rings.pages = old[1:]
		}
	}
	e := detailPageEffect{page: n, owner: owner}
	c.body = e.append(c.body)
	c.applyDetailPage(&e)
}

// takePage notes in life that a page went from its ring to another.
func (r *rings) takePage(n uint32, from, to detailOwner) {
	if from.day != 0 {
		old := r.ring(from.ring())
		old.pages[from.part] = 0
		if old.pages == ([ringParts]uint32{}) && from.day != to.day {
			delete(r.all, from.ring())
		}
	}
	r.ring(to.ring()).pages[to.part] = n + 1
	r.pages = append(r.pages, n)
}

// Record is one of the latest reports, authorizations or denials.
type Record struct {
	UUID   [16]byte
	Time   int64  // unix seconds
	Item   uint32 // ordinal, 0: of no item
	Slot   uint32 // that a report's first line names
	Count  uint32 // scans or pages of a report, instances of an authorization
	Module uint16 // ordinal of a report's module, 0: none in particular
	Code   Code   // of a denial
}

// Records returns the latest records of a project on a day (days since 1970),
// newest first. It runs in the decider.
func (c *Core) Records(kind RecordKind, project, day uint32) []Record {
	r := c.rings.all[ringKey{project, uint16(day), kind}]
	if r == nil {
		return nil
	}
	var out []Record
	for back := range uint32(ringRecords) {
		rec := c.recordAt(r, (r.next+ringRecords-1-back)%ringRecords)
		if rec == nil {
			continue // not written yet, or its page went to another day
		}
		v := Record{UUID: rec.uuid, Time: int64(rec.time), Item: uint32(rec.item), Slot: rec.slot, Count: rec.count}
		if kind == DenialRecords {
			v.Code = Code(rec.detail)
		} else {
			v.Module = rec.detail
		}
		out = append(out, v)
	}
	return out
}
