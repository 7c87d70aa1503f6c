package engine

import (
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"muster/license"
)

// Catalog is an immutable picture of what may be granted: license files, items,
// projects, settings. The decider replaces it as a whole when the operator
// changes something; readers take it from [Core.Catalog] and need no lock.
type Catalog struct {
	Server   license.UUID
	Mode     license.Binding
	Licenses []*License // in order of import
	Items    []*Item    // by ordinal; [0] is nil
	Projects []*Project // by ordinal; [0] and deleted ones are nil
	Modules  []string   // by ordinal; [0] is ""
	// Addresses are what goes into license keys, "tcp://host:port" [PRJ-4].
	Addresses []string
	// VendorKeys are the trusted vendor keys added at run time [FILE-5].
	VendorKeys []license.PublicKey

	byProjectID map[string]*Project
	defaults    map[string]*Project // by organization
}

// License is an imported license file.
type License struct {
	Ordinal  uint32
	Text     []byte // as imported
	Imported int64  // unix seconds
	File     *license.File
	// Suspended says why its items answer 113, or is empty [SRV-2].
	Suspended string
}

// Item is a license item on this server.
type Item struct {
	license.Item
	Ordinal uint32
	License *License
	// Removed: a newer revision of the file no longer has the item.
	Removed bool
	// Projects are the ordinals of the projects it serves.
	Projects []uint32
	// Proof is what a device needs to verify a grant, ProofID its short name.
	Proof   []byte
	ProofID uint64
	// Usage is written by the decider and may be read at any time.
	Usage *Usage

	modules  []license.GrantModule
	reserves []reserve // by project [PRJ-7]
	// registrable are the domains of a domain item, reduced [DOM-1].
	registrable []string
	span        int64 // seconds that an authorization or use keeps a seat and its grant
}

// grantSpan is the item's active time, lease or offlineFor [GRANT-1].
func grantSpan(i *license.Item) int64 {
	if period := i.ChargeWay.Period(); period > 0 {
		return int64(period / time.Second)
	}
	switch i.ChargeWay {
	case license.Server:
		return i.ActiveTime
	case license.ConcurrentDevice, license.ConcurrentInstance:
		return 3600
	}
	return i.OfflineFor
}

// Name is the item's name on this server: "LicenseId/ItemId".
func (i *Item) Name() string { return i.License.File.LicenseID + "/" + i.ID }

// End is the unix second at which the item serves nobody any more [EXH-3].
func (i *Item) End() int64 { return i.Expiry + i.Grace }

// grantsEnd is the unix second beyond which no grant given now lasts: expiry, or
// the end of the grace that it serves [EXH-3].
func (i *Item) grantsEnd(now int64) int64 {
	if now < i.Expiry {
		return i.Expiry
	}
	return i.End()
}

// State is the item's state at a unix second, in the words of the domain.
func (i *Item) State(now int64) string {
	switch {
	case i.License.Suspended != "":
		return "suspended"
	case i.Revoked || i.Removed:
		return "revoked"
	case now < i.Start:
		return "not yet effective"
	case now < i.Expiry:
		return "active"
	case now < i.End():
		return "in grace"
	}
	return "expired"
}

// Usage is an item's shard of counters: written by the decider once a batch,
// read by anyone, alone on its cache lines.
type Usage struct {
	_              [64]byte
	Uses           atomic.Uint64 // scans or pages in the item's life
	Held           atomic.Uint64 // seats held now
	Authorizations atomic.Uint64
	Reports        atomic.Uint64
	Overuse        atomic.Uint64                 // drawn from the budget, of items that count by slot [CDEV-2]
	shares         atomic.Pointer[[]*ShareUsage] // by project ordinal
	_              [64]byte
}

// ShareUsage is the part of an item's usage that came through one project [PRJ-2].
type ShareUsage struct {
	Uses atomic.Uint64
	Held atomic.Uint64
}

// UsedBy is what a project uses of the item: seats held, or scans and pages.
func (i *Item) UsedBy(p *Project) uint64 {
	if i.takesSeats() {
		return i.Usage.Of(p.Ordinal).Held.Load()
	}
	return i.Usage.Of(p.Ordinal).Uses.Load()
}

// Of is the usage through a project, zero if there was none.
func (u *Usage) Of(project uint32) *ShareUsage {
	if shares := u.shares.Load(); shares != nil && project < uint32(len(*shares)) && (*shares)[project] != nil {
		return (*shares)[project]
	}
	return &ShareUsage{}
}

// Project is a set of items that a license key opens [PRJ-1].
type Project struct {
	Ordinal      uint32
	ID           string
	Name         string
	Organization string
	Items        []*Item // in usage order [PRJ-6]
	Custom       bool    // the order was set by the operator
	Password     string
	Generation   uint32        // of the password; tickets carry it
	Old          []OldPassword // still valid for a grace [PRJ-3]
	Validation   Validation    // who may use it [PRJ-5]
	Shares       []Share       // of its items, where the operator set one [PRJ-7]
	Disabled     bool
	Default      bool // of its organization
	Created      int64
	Revision     uint64 // index of the journal entry that last wrote it
}

// Share is a project's part of an item that serves others too [PRJ-7], in the
// unit of the item's quota.
type Share struct {
	Item    uint32  `json:"item"`              // ordinal
	Reserve uint64  `json:"reserve,omitempty"` // kept free for the project
	Cap     *uint64 `json:"cap,omitempty"`     // the project gets no more; nil: no cap
}

// reserve is what one project has reserved of an item.
type reserve struct {
	project uint32
	amount  uint64
}

// capOf is the most that the project gets of an item.
func (p *Project) capOf(i *Item) uint64 {
	for _, s := range p.Shares {
		if s.Item == i.Ordinal && s.Cap != nil {
			return *s.Cap
		}
	}
	return math.MaxUint64
}

// OldPassword is a replaced session password that is valid until a second.
type OldPassword struct {
	Password   string
	Generation uint32
	Until      int64
}

// GenerationValid says whether tickets of a password generation are accepted.
func (p *Project) GenerationValid(generation uint32, now int64) bool {
	return generation == p.Generation || slices.ContainsFunc(p.Old, func(o OldPassword) bool {
		return o.Generation == generation && now < o.Until
	})
}

// Project finds a project by its id.
func (c *Catalog) Project(id string) (*Project, bool) {
	p, ok := c.byProjectID[id]
	return p, ok
}

// DefaultProject finds an organization's default project [CLI-1].
func (c *Catalog) DefaultProject(organization string) (*Project, bool) {
	p, ok := c.defaults[organization]
	return p, ok
}

// Item finds an item by its name or by its ordinal; nil if there is none.
func (c *Catalog) item(ordinal uint32) *Item {
	if ordinal >= uint32(len(c.Items)) {
		return nil
	}
	return c.Items[ordinal]
}

func (c *Catalog) project(ordinal uint32) *Project {
	if ordinal >= uint32(len(c.Projects)) {
		return nil
	}
	return c.Projects[ordinal]
}

// License finds an imported license file by its license id.
func (c *Catalog) License(id string) (*License, bool) {
	i := slices.IndexFunc(c.Licenses, func(l *License) bool { return l.File.LicenseID == id })
	if i < 0 {
		return nil, false
	}
	return c.Licenses[i], true
}

// defaultOrder sorts items into the default usage order [PRJ-6]: nearest expiry,
// most specific permit, least restrictive charge way, larger quota, item name.
func defaultOrder(a, b *Item) int {
	return firstNonZero(
		int(a.Expiry-b.Expiry),
		pinned(b)-pinned(a),
		restriction(a.ChargeWay)-restriction(b.ChargeWay),
		compareUint(b.Quota, a.Quota),
		strings.Compare(a.Name(), b.Name()),
	)
}

func firstNonZero(values ...int) int {
	for _, v := range values {
		if v != 0 {
			return v
		}
	}
	return 0
}

func compareUint(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// pinned counts how many of version, edition, deployment and modules an item fixes.
func pinned(i *Item) (n int) {
	for _, set := range []bool{len(i.Versions) > 0, i.Edition != "", i.Deployment != "", len(i.Modules) > 0} {
		if set {
			n++
		}
	}
	return n
}

// restriction ranks charge ways: domain, server, device, concurrent, metered.
func restriction(w license.ChargeWay) int {
	switch w {
	case license.Domain:
		return 0
	case license.Server:
		return 1
	case license.ConcurrentDevice, license.ConcurrentInstance:
		return 3
	case license.Scan, license.Page:
		return 4
	}
	return 2
}
