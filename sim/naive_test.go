package sim

import (
	"cmp"
	"slices"
	"strings"

	"muster/license"
	"muster/protocol"
)

// naive is the licensing rules written down a second time, to be obviously right:
// plain maps, brute force, nothing shared with the engine. TestModel holds the
// engine against it.
type naive struct {
	now      int64
	hour     int64
	items    map[string]*naiveItem
	projects map[string]*naiveProject
	blocked  map[int]bool

	seats    map[naiveKey]*naiveSeat     // held or ended; Project "" in the key
	grants   map[naiveKey]*naiveGrant    // what a client was granted through a project
	uses     map[string]uint64           // by item
	usesIn   map[naiveKey]uint64         // by item and project
	by       map[naiveCount]uint64       // uses, authorizations, denials by day and scope
	days     map[naiveCount]map[int]bool // clients with a report, by day and scope
	slots    map[naiveSlot]map[int]uint64
	overuse  map[string]uint64
	peaks    map[naiveCount]uint64
	freed    map[string][]int64 // days on which a seat was freed by hand
	undated  map[string]uint64
	replaced map[string]bool // items that a revision dropped
	revision uint32
}

type naiveItem struct {
	name, product       string
	way                 license.ChargeWay
	quota               uint64
	tolerance           uint64 // percent
	start, expiry, over int64  // over: after grace
	offline, lease      int64
	budget              uint64
	revoked             bool
	versions            int    // pinned fields, for the default order
	highest             uint64 // limit of all revisions
}

type naiveProject struct {
	id       string
	items    []string
	custom   bool
	disabled bool
	reserve  map[string]uint64
	most     map[string]uint64 // cap

	name, password string
	passwords      int // how often it was changed
}

type naiveKey struct {
	client        int
	item, project string
}

type naiveSeat struct {
	project string
	until   int64
	n       uint64 // instances, or one
}

type naiveGrant struct {
	until int64 // of metered items
	freed bool
}

// naiveCount is a number of the statistics: a measure on a day of UTC.
type naiveCount struct {
	what, project, item string
	day                 int64
}

type naiveSlot struct {
	item, project string
	slot          int64
}

func newNaive() *naive {
	return &naive{
		items: map[string]*naiveItem{}, projects: map[string]*naiveProject{}, blocked: map[int]bool{},
		seats: map[naiveKey]*naiveSeat{}, grants: map[naiveKey]*naiveGrant{}, uses: map[string]uint64{}, usesIn: map[naiveKey]uint64{},
		by: map[naiveCount]uint64{}, days: map[naiveCount]map[int]bool{}, slots: map[naiveSlot]map[int]uint64{},
		overuse: map[string]uint64{}, peaks: map[naiveCount]uint64{}, freed: map[string][]int64{},
		undated: map[string]uint64{}, replaced: map[string]bool{},
	}
}

// at lets time go on, never back.
func (m *naive) at(second int64) {
	m.now = max(m.now, second)
	if hour := m.now / 3600; hour != m.hour { // what is held goes on being held
		m.hour = hour
		for _, i := range m.items {
			m.peak(i, "")
			for id := range m.projects {
				m.peak(i, id)
			}
		}
	}
}

func (i *naiveItem) seated() bool {
	return i.period() > 0 || i.way == license.Server || i.bySlot()
}

func (i *naiveItem) bySlot() bool {
	return i.way == license.ConcurrentDevice || i.way == license.ConcurrentInstance
}

func (i *naiveItem) period() int64 {
	return map[license.ChargeWay]int64{
		license.DeviceYearly: 365 * 86400, license.DeviceQuarterly: 90 * 86400, license.DeviceMonthly: 30 * 86400, license.DeviceDaily: 86400,
	}[i.way]
}

func (i *naiveItem) limit() uint64 { return i.quota + (i.quota*i.tolerance+50)/100 }

// state is the code of the item's own state, 0 if it serves.
func (m *naive) state(i *naiveItem) protocol.Code {
	switch {
	case i.revoked || m.replaced[i.name]:
		return protocol.InvalidItem
	case m.now < i.start:
		return protocol.NotYetEffective
	case m.now >= i.over:
		return protocol.Expired
	}
	return protocol.OK
}

// held counts what is held of an item, through one project or through all.
func (m *naive) held(i *naiveItem, project string) (n uint64) {
	for k, s := range m.seats {
		if k.item == i.name && s.until > m.now && (project == "" || s.project == project) {
			n += s.n
		}
	}
	return n
}

// used is what counts against the quota.
func (m *naive) used(i *naiveItem, project string) uint64 {
	switch {
	case i.seated():
		return m.held(i, project)
	case project == "":
		return m.uses[i.name]
	}
	return m.usesIn[naiveKey{item: i.name, project: project}]
}

// reserved is what others have reserved and do not use.
func (m *naive) reserved(i *naiveItem, project string) (n uint64) {
	for id, p := range m.projects {
		if used := m.used(i, id); id != project && p.reserve[i.name] > used {
			n += p.reserve[i.name] - used
		}
	}
	return n
}

func (m *naive) strict(i *naiveItem) bool { return i.bySlot() && m.overuse[i.name] >= i.budget }

// end is when every grant given now ends at the latest.
func (m *naive) end(i *naiveItem) int64 {
	if m.now < i.expiry {
		return i.expiry
	}
	return i.over
}

func (m *naive) until(i *naiveItem) int64 {
	end := m.end(i)
	span := i.period()
	switch {
	case i.way == license.Server:
		span = i.lease
	case i.bySlot():
		span = 3600
	case span == 0:
		span = i.offline
	}
	if m.strict(i) {
		return min((m.now/180+2)*180, end)
	}
	return min(m.now+span, end)
}

// order is a project's usage order [PRJ-6].
func (m *naive) order(p *naiveProject) []*naiveItem {
	var items []*naiveItem
	for _, name := range p.items {
		items = append(items, m.items[name])
	}
	if p.custom {
		return items
	}
	rank := func(i *naiveItem) int {
		switch {
		case i.way == license.Domain:
			return 0
		case i.way == license.Server:
			return 1
		case i.period() > 0:
			return 2
		case i.bySlot():
			return 3
		}
		return 4
	}
	slices.SortFunc(items, func(a, b *naiveItem) int {
		return cmp.Or(cmp.Compare(a.expiry, b.expiry), cmp.Compare(b.versions, a.versions), cmp.Compare(rank(a), rank(b)),
			cmp.Compare(b.quota, a.quota), strings.Compare(a.name, b.name))
	})
	return items
}

// naiveVerdict is the answer to a check-in.
type naiveVerdict struct {
	code  protocol.Code
	item  string
	until int64
}

func (m *naive) checkIn(client int, project, product string, way license.ChargeWay, n uint64) naiveVerdict {
	p := m.projects[project]
	v := m.decide(client, p, product, way, n)
	if v.code != protocol.OK {
		m.by[naiveCount{"denials", project, "", m.now / 86400}]++
		return v
	}
	i := m.items[v.item]
	if i.way != license.ConcurrentInstance {
		n = 1
	}
	v.until = m.until(i)
	if i.seated() {
		k := naiveKey{client, i.name, ""}
		s := m.seats[k]
		if s == nil || s.until <= m.now {
			s = &naiveSeat{project: project}
			m.seats[k] = s
		}
		s.until = max(min(s.until, m.end(i)), v.until)
		s.n, v.until = n, s.until
	}
	g := naiveKey{client, i.name, project}
	m.grants[g] = &naiveGrant{until: v.until}
	m.by[naiveCount{"authorizations", project, i.name, m.now / 86400}]++
	m.peak(i, "")
	if i.seated() {
		m.peak(i, m.seats[naiveKey{client, i.name, ""}].project)
	}
	return v
}

func (m *naive) peak(i *naiveItem, project string) {
	if !i.seated() || i.bySlot() {
		return
	}
	k := naiveCount{"peak", project, i.name, m.now / 86400}
	m.peaks[k] = max(m.peaks[k], m.held(i, project))
}

func (m *naive) decide(client int, p *naiveProject, product string, way license.ChargeWay, n uint64) naiveVerdict {
	switch {
	case p.disabled:
		return naiveVerdict{code: protocol.ProjectDisabled}
	case m.blocked[client]:
		return naiveVerdict{code: protocol.ClientBlocked}
	}
	furthest, best := -1, naiveVerdict{code: protocol.NothingFits}
	var free, tolerated string
	for _, i := range m.order(p) {
		stage, code := m.check(i, product, way)
		if code == protocol.OK {
			var room string
			room, code = m.room(i, client, p, n)
			switch {
			case room == "own":
				return naiveVerdict{item: i.name}
			case room == "free" && free == "":
				free = i.name
			case room == "tolerated" && tolerated == "":
				tolerated = i.name
			}
			stage = 10
		}
		if code != protocol.OK && stage > furthest {
			furthest, best = stage, naiveVerdict{code: code, item: i.name}
		}
	}
	if found := cmp.Or(free, tolerated); found != "" {
		return naiveVerdict{item: found}
	}
	return best
}

func (m *naive) check(i *naiveItem, product string, way license.ChargeWay) (stage int, code protocol.Code) {
	switch {
	case i.product != product:
		return 0, protocol.ProductMismatch
	case way != 0 && i.way != way:
		return 4, protocol.ChargeWayMismatch
	}
	return 8, m.state(i)
}

// room says whether one more fits: "own", "free", "tolerated" or "".
func (m *naive) room(i *naiveItem, client int, p *naiveProject, n uint64) (string, protocol.Code) {
	own := m.seats[naiveKey{client, i.name, ""}]
	if own != nil && own.until <= m.now {
		own = nil
	}
	most, capped := p.most[i.name]
	if i.bySlot() {
		return m.roomBySlot(i, p, own, n)
	}
	if i.seated() && own != nil {
		return "own", protocol.OK
	}
	if capped && m.used(i, p.id) >= most {
		return "", protocol.LimitExceeded
	}
	switch used := m.used(i, "") + m.reserved(i, p.id); {
	case used < i.quota:
		return "free", protocol.OK
	case used < i.limit():
		return "tolerated", protocol.OK
	}
	return "", protocol.LimitExceeded
}

func (m *naive) roomBySlot(i *naiveItem, p *naiveProject, own *naiveSeat, n uint64) (string, protocol.Code) {
	most, capped := p.most[i.name]
	if i.way == license.ConcurrentInstance {
		if n > i.quota || capped && n > most {
			return "", protocol.MoreThanQuota
		}
	} else {
		n = 1
	}
	all, here := m.held(i, ""), m.held(i, p.id)
	if own != nil {
		all -= own.n
		if own.project == p.id {
			here -= own.n
		}
	}
	switch {
	case capped && here+n > most:
		return "", protocol.LimitExceeded
	case m.strict(i) && all+n+m.reserved(i, p.id) > i.quota:
		return "", protocol.LimitExceeded
	case own != nil:
		return "own", protocol.OK
	}
	return "free", protocol.OK
}

// report counts and says which code it is answered with.
func (m *naive) report(client int, project, item string, lines []protocol.Line) protocol.Code {
	i, g, session := m.items[item], m.grants[naiveKey{client, item, project}], project
	if g == nil { // of a license key before the present one
		for other := range m.projects {
			if g = m.grants[naiveKey{client, item, other}]; g != nil {
				project = other
				break
			}
		}
	}
	if g == nil {
		m.by[naiveCount{"denials", session, "", m.now / 86400}]++
		return protocol.InvalidItem
	}
	s := m.seats[naiveKey{client, item, ""}]
	if s != nil && s.until > m.now && i.period() > 0 && m.state(i) == protocol.OK {
		s.until = max(s.until, m.until(i))
	}
	for _, l := range lines {
		m.line(i, client, project, s, l)
	}
	if g.freed {
		m.by[naiveCount{"denials", session, "", m.now / 86400}]++
		return protocol.SeatFreed
	}
	return protocol.OK
}

func (m *naive) line(i *naiveItem, client int, project string, s *naiveSeat, l protocol.Line) {
	slot := int64(l.Slot)
	if slot*180 < m.now-m.now%180-30*86400 || slot*180 > m.now+300 {
		slot = m.now / 180
		m.undated[i.name]++
	}
	day := slot / 480
	m.uses[i.name] += uint64(l.Count)
	m.usesIn[naiveKey{item: i.name, project: project}] += uint64(l.Count)
	m.by[naiveCount{"uses", project, i.name, day}] += uint64(l.Count)
	for _, k := range []naiveCount{{"devices", project, i.name, day}, {"devices", "", i.name, day}, {"devices", project, "", day}} {
		if m.days[k] == nil {
			m.days[k] = map[int]bool{}
		}
		m.days[k][client] = true
	}
	if !i.bySlot() {
		return
	}
	for _, scope := range []string{project, ""} {
		k := naiveSlot{i.name, scope, slot}
		if m.slots[k] == nil {
			m.slots[k] = map[int]uint64{}
		}
		if _, counted := m.slots[k][client]; counted {
			continue
		}
		before := sum(m.slots[k])
		m.slots[k][client] = s.n
		if after := before + s.n; scope == "" {
			m.overuse[i.name] += max(after, i.quota) - max(before, i.quota)
		}
		peak := naiveCount{"peak", scope, i.name, day}
		m.peaks[peak] = max(m.peaks[peak], sum(m.slots[k]))
	}
}

func sum(m map[int]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

func (m *naive) release(client int, item string) {
	if s := m.seats[naiveKey{client, item, ""}]; s != nil && s.until > m.now {
		s.until = m.now
	}
}

// free frees a seat by hand; it says whether that is allowed [DEV-4].
func (m *naive) free(client int, item string) bool {
	i, s := m.items[item], m.seats[naiveKey{client, item, ""}]
	n := uint64(0)
	for _, day := range m.freed[item] {
		if m.now/86400-day < 30 {
			n++
		}
	}
	if s == nil || s.until <= m.now || !i.seated() || m.replaced[item] || n >= max(1, i.quota/10) {
		return false
	}
	m.freed[item] = append(m.freed[item], m.now/86400)
	s.until = m.now
	for k, g := range m.grants {
		if k.client == client && k.item == item {
			g.freed = true
		}
	}
	return true
}
