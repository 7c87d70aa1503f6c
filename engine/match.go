package engine

import (
	"net/netip"
	"slices"
	"strings"

	"muster/license"
	"muster/protocol"
)

// stage is how far an item got through the checks [ERR-1]. When no item serves,
// the answer is that of the item that got furthest.
type stage int

const (
	stageProduct stage = iota
	stageVersion
	stageEdition
	stageDeployment
	stageChargeWay
	stageModules
	stageDomain
	stageNetwork
	stageValidity
	stageDependency
	stageQuota
)

// terms checks whether what a device asks for is what the item permits. It
// returns OK when only the quota is left to check.
func (c *Core) terms(p *Project, i *Item, d *Decision) (stage, protocol.Code) {
	if at, code := i.permits(d.Request.CheckIn); code != protocol.OK {
		return at, code
	}
	if !i.reaches(d.Client) {
		return stageNetwork, protocol.Expired
	}
	if code := i.validity(c.now); code != protocol.OK {
		return stageValidity, code
	}
	if !c.requirement(p, i) {
		return stageDependency, protocol.RequirementMissing
	}
	return stageDependency, protocol.OK
}

// permits compares what is asked for with the item's permit.
func (i *Item) permits(in *protocol.CheckIn) (stage, protocol.Code) {
	switch {
	case i.Product != string(in.Product):
		return stageProduct, protocol.ProductMismatch
	case len(i.Versions) > 0 && !slices.Contains(i.Versions, uint16(min(in.Version, 1<<16-1))):
		return stageVersion, protocol.VersionMismatch
	case i.Edition != "" && i.Edition != string(in.Edition):
		return stageEdition, protocol.EditionMismatch
	case i.Deployment != "" && i.Deployment != string(in.Deployment):
		return stageDeployment, protocol.DeploymentMismatch
	case in.ChargeWay != 0 && i.ChargeWay != license.ChargeWay(in.ChargeWay):
		return stageChargeWay, protocol.ChargeWayMismatch
	case !i.hasModules(in.Modules):
		return stageModules, protocol.NothingFits
	}
	if i.ChargeWay == license.Domain && !i.licensesDomain(string(in.Validation)) {
		return stageDomain, protocol.DomainMismatch
	}
	return stageDomain, protocol.OK
}

// reaches says whether the item serves a client network; without a list it
// serves all. A client whose address is not known is in none.
func (i *Item) reaches(client netip.Addr) bool {
	return len(i.Networks) == 0 || slices.ContainsFunc(i.Networks, func(n netip.Prefix) bool { return n.Contains(client.Unmap()) })
}

// requirement says whether the item that this one depends on is in force in the
// same project.
func (c *Core) requirement(p *Project, i *Item) bool {
	if i.DependsOn == "" {
		return true
	}
	name := i.DependsOn
	if !strings.Contains(name, "/") {
		name = i.License.File.LicenseID + "/" + name
	}
	return slices.ContainsFunc(p.Items, func(other *Item) bool {
		return other.Name() == name && other.validity(c.now) == protocol.OK
	})
}

// validity checks the item's own state: suspended or revoked, its time, its grace [EXH-3].
func (i *Item) validity(now int64) protocol.Code {
	switch {
	case i.License.Suspended != "" || i.Removed || i.Revoked:
		return protocol.InvalidItem
	case now < i.Start:
		return protocol.NotYetEffective
	case now >= i.End():
		return protocol.Expired
	}
	return protocol.OK
}

// hasModules: an item that names no modules has them all.
func (i *Item) hasModules(wanted [][]byte) bool {
	if len(i.Modules) == 0 {
		return true
	}
	for _, m := range wanted {
		if !slices.ContainsFunc(i.Modules, func(name string) bool { return name == string(m) }) {
			return false
		}
	}
	return true
}

// match is the outcome of looking for an item.
type match struct {
	item  *Item
	holds bool // the client holds an active seat on it
	code  protocol.Code
}

// find looks for the item that serves a check-in [PRJ-6], [EXH-1]: the one the
// device already sits on, else the first with use below its quota, else the
// first within its tolerance. Without one it says why, by the item that got furthest.
func (c *Core) find(p *Project, d *Decision, seats *clientSeats) match {
	var free, tolerated *Item
	best, furthest := match{code: protocol.NothingFits}, stage(-1)
	for _, item := range p.Items {
		at, code := c.terms(p, item, d)
		if code == protocol.OK {
			_, own := seats.held(item.Ordinal)
			var room room
			room, code = c.room(p, item, d.Request.CheckIn.Instances, own)
			switch {
			case room != roomNone && own != nil && item.takesSeats():
				return match{item: item, holds: true}
			case room == roomFree && free == nil:
				free = item
			case room == roomTolerated && tolerated == nil:
				tolerated = item
			}
			at = stageQuota
		}
		if code != protocol.OK && at > furthest {
			best, furthest = match{item: item, code: code}, at
		}
	}
	if free == nil {
		free = tolerated
	}
	if free != nil {
		return match{item: free}
	}
	return best
}

// takesSeats says whether a device that holds a seat on the item stays there.
func (i *Item) takesSeats() bool {
	return i.ChargeWay.Period() > 0 || i.ChargeWay == license.Server || i.ChargeWay.BySlot()
}

// room is what an item has left for one more.
type room int

const (
	roomNone      room = iota
	roomTolerated      // within the tolerance: when nothing else is left
	roomFree           // below the quota
)

// room checks the quota, and the project's share of it, for a client that asks
// for so many instances; own is its held seat on the item, nil if it has none.
func (c *Core) room(p *Project, item *Item, instances uint32, own *seat) (room, protocol.Code) {
	switch {
	case item.ChargeWay == license.Domain:
		return roomFree, protocol.OK
	case item.ChargeWay.BySlot():
		return c.roomBySlot(p, item, instances, own)
	case own != nil && item.takesSeats():
		return roomFree, protocol.OK
	case c.shareUsed(item, p) >= p.capOf(item):
		return roomNone, protocol.LimitExceeded
	}
	switch used := c.used(item) + c.reserved(item, p); {
	case used < item.Quota:
		return roomFree, protocol.OK
	case used < item.Limit():
		return roomTolerated, protocol.OK
	}
	return roomNone, protocol.LimitExceeded
}

// roomBySlot: any number may be authorized until the overuse budget is spent,
// then at most the quota is reserved at a time [CDEV-1], [CDEV-3], [INST-1], [INST-3].
// A project's cap holds before and after.
func (c *Core) roomBySlot(p *Project, item *Item, instances uint32, own *seat) (room, protocol.Code) {
	asked, most := uint64(1), p.capOf(item)
	if item.ChargeWay == license.ConcurrentInstance {
		asked = max(1, uint64(instances))
		if asked > min(item.Quota, most, instancesMax) {
			return roomNone, protocol.MoreThanQuota
		}
	}
	others, inProject := c.itemState(item.Ordinal).held, c.shareUsed(item, p)
	if own != nil {
		others -= uint64(own.weight())
		if uint32(own.project) == p.Ordinal {
			inProject -= uint64(own.weight())
		}
	}
	switch {
	case inProject+asked > most:
		return roomNone, protocol.LimitExceeded
	case c.strict(item) && others+asked+c.reserved(item, p) > item.Quota:
		return roomNone, protocol.LimitExceeded
	}
	return roomFree, protocol.OK
}

func (c *Core) shareUsed(item *Item, p *Project) uint64 {
	return c.itemState(item.Ordinal).shareOf(p.Ordinal).used(item)
}
