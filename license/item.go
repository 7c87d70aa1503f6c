package license

import (
	"math"
	"math/bits"
	"net/netip"
)

// Limits of an item. Relations between them are asserted in TestLimits.
const (
	QuotaMax   = 1_000_000_000_000_000 // so that 1000 × quota fits an int64 [CDEV-2]
	ListMax    = 64                    // entries of Versions, Modules, Networks, ExtraSuffixes
	DomainsMax = 256                   // entries of Domains
)

const (
	day = 24 * 60 * 60 // seconds

	durationMax       = 3650 * day
	activeTimeMin     = 30 // seconds; below it a lease would end between two check-ins
	defaultGrace      = 7 * day
	defaultOfflineFor = 7 * day
	defaultActiveTime = 15 * 60
	ownDefault        = -1 // of Tolerance, FreeCap and OveruseBudget
)

// Item is one license item: what may be used, how much of it, and how its use is counted (domain, section 2). NewItem
// fills in the defaults; a literal has none.
type Item struct {
	ID          string // [A-Za-z0-9._-]{1,32}, unique in its file
	Description string // up to 200 printable characters
	Product     string // product code, [A-Za-z0-9._-]{1,64}

	Versions   []uint16 // major versions; empty = any
	Edition    string   // [A-Za-z0-9._-]{1,32}; "" = any
	Deployment string   // browser, mobile, server, desktop, embedded; "" = any
	Modules    []string // [A-Za-z0-9._-]{1,32} each; empty = all; of Page: core, webcam, pdfr, ocr [PAGE-1]

	ChargeWay ChargeWay
	Quota     uint64 // in the unit of the charge way; 0 is legal: only history is kept
	Start     int64  // first second of validity, unix seconds UTC
	Expiry    int64  // first second after validity, unix seconds UTC

	Grace      int64 // seconds served after Expiry; default 7 days [EXH-3]
	OfflineFor int64 // seconds that a grant of Scan, Page or Domain lasts offline; default 7 days [GRANT-1]
	Tolerance  int16 // percent over the quota; -1 = the charge way's own: see TolerancePercent

	FromFirstUse bool   // device ways: active time starts at first use, not at authorization [DEV-1]
	DependsOn    string // id of an item of the same file, or "LicenseId/ItemId" [ERR-1]

	Networks      []netip.Prefix // client networks that are served; empty = all
	Domains       []string       // domain way: the domains licensed, lower case [DOM-1]
	ExtraSuffixes []string       // domain way: multi-tenant suffixes beside the public list, lower case [DOM-1]

	FreeCap       int64 // device ways: seats freed by hand in 30 days; -1 = default: see FreeCapSeats [DEV-4]
	OveruseBudget int64 // concurrent ways: device-slots or instance-slots; -1 = default: see OveruseSlots [CDEV-2]
	ActiveTime    int64 // server way: seconds of a lease, default 15 minutes; 0 for all others [SRVR-1]

	Revoked bool // withdrawn by the vendor: 113
}

// NewItem is an item of a charge way with every default filled in. Concurrent instances are for the server deployment
// only [INST-1]. The zero charge way may be given when it is not known yet.
func NewItem(way ChargeWay) Item {
	it := Item{
		Grace: defaultGrace, OfflineFor: defaultOfflineFor,
		Tolerance: ownDefault, FreeCap: ownDefault, OveruseBudget: ownDefault,
	}
	it.setChargeWay(way)
	return it
}

// setChargeWay also fills in the defaults that only this way has, where nothing was said yet.
func (it *Item) setChargeWay(way ChargeWay) {
	it.ChargeWay = way
	if way == Server && it.ActiveTime == 0 {
		it.ActiveTime = defaultActiveTime
	}
	if way == ConcurrentInstance && it.Deployment == "" {
		it.Deployment = "server"
	}
}

// TolerancePercent is the tolerance in force: the item's own, or else 5 for scan and page [SCAN-2], 10 for the device
// ways [DEV-3], 0 for all others.
func (it Item) TolerancePercent() uint64 {
	if it.Tolerance >= 0 {
		return uint64(it.Tolerance)
	}
	return it.ChargeWay.tolerancePercent()
}

// Limit is the quota with its tolerance, rounded half up: the first use that would go above it is refused with 120
// [SCAN-2], [DEV-3]. It stops at the largest uint64.
func (it Item) Limit() uint64 {
	percent := it.TolerancePercent()
	hundreds, rest := it.Quota/100, it.Quota%100
	over, extra := bits.Mul64(hundreds, percent)
	extra, carry1 := bits.Add64(extra, (rest*percent+50)/100, 0)
	limit, carry2 := bits.Add64(it.Quota, extra, 0)
	if over|carry1|carry2 != 0 {
		return math.MaxUint64
	}
	return limit
}

// FreeCapSeats is how many seats the operator may free by hand in 30 days: FreeCap, or else a tenth of the quota, but at
// least one, so that the stolen laptop of a small team can be dealt with [DEV-4].
func (it Item) FreeCapSeats() uint64 {
	if it.FreeCap >= 0 {
		return uint64(it.FreeCap)
	}
	return max(1, it.Quota/10)
}

// OveruseSlots is the budget of device-slots or instance-slots above the quota: OveruseBudget, or else 1000 × quota
// [CDEV-2], [INST-2].
func (it Item) OveruseSlots() uint64 {
	if it.OveruseBudget >= 0 {
		return uint64(it.OveruseBudget)
	}
	return 1000 * min(it.Quota, QuotaMax)
}
