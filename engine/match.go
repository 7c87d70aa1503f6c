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
	return stageModules, protocol.OK
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
	seat  place // of the client's seat on the item, if held
	holds bool  // the client holds an active seat on it
	code  protocol.Code
}

// find looks for the item that serves a check-in [PRJ-6], [EXH-1]: the one the
// device already sits on, else the first with use below its quota, else the
// first within its tolerance. Without one it says why, by the item that got furthest.
func (c *Core) find(p *Project, d *Decision, seats *clientSeats) match {
	var tolerated *Item
	best := match{code: protocol.NothingFits}
	furthest := stage(-1)
	for _, item := range p.Items {
		at, code := c.terms(p, item, d)
		if code == protocol.OK {
			if pl, ok := seats.active(item.Ordinal); ok && item.takesSeats() {
				return match{item: item, seat: pl, holds: true}
			}
			at, code = stageQuota, protocol.LimitExceeded
			if used := c.used(item); used < item.Quota {
				if furthest <= stageQuota {
					best, furthest = match{item: item}, stageQuota+1
				}
				continue
			} else if used < item.Limit() && tolerated == nil {
				tolerated = item
			}
		}
		if at > furthest {
			best, furthest = match{item: item, code: code}, at
		}
	}
	if best.code != protocol.OK && tolerated != nil {
		return match{item: tolerated}
	}
	return best
}

// takesSeats says whether a device holds a seat against the item's quota.
func (i *Item) takesSeats() bool { return i.ChargeWay.Period() > 0 }

// used is what counts against the item's quota: seats held, or scans and pages.
func (c *Core) used(item *Item) uint64 {
	if item.takesSeats() {
		return c.itemState(item.Ordinal).expiries.held
	}
	return c.value(counterKey{item: item.Ordinal}, valueUses)
}
