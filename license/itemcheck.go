package license

import (
	"net/netip"
	"slices"
	"strings"
)

var (
	deployments = []string{"browser", "mobile", "server", "desktop", "embedded"}
	pageModules = []string{"core", "webcam", "pdfr", "ocr"} // [PAGE-1]
)

// itemCheck gathers what is wrong with one item.
type itemCheck struct {
	Item
	faults []*Error
}

func (c *itemCheck) bad(field, format string, args ...any) {
	e := fault(BadValue, field, format, args...)
	e.Item = c.ID
	c.faults = append(c.faults, e)
}

func (c *itemCheck) missing(field, what string) {
	e := missing(field, what)
	e.Item = c.ID
	c.faults = append(c.faults, e)
}

func missing(field, what string) *Error {
	return fault(MissingField, field, "is missing: %s", what)
}

// check lists all that is wrong with the item taken by itself.
func (it Item) check() []*Error {
	c := itemCheck{Item: it}
	c.names()
	c.permits()
	c.amounts()
	c.validity()
	if it.ChargeWay == 0 {
		c.missing("ChargeWay", "say how use is counted, such as scan or device-monthly")
		return c.faults
	}
	if !it.ChargeWay.valid() {
		c.bad("ChargeWay", "%d is not a charge way", uint8(it.ChargeWay))
		return c.faults
	}
	c.chargeWayTerms()
	c.domainTerms()
	return c.faults
}

func (c *itemCheck) names() {
	switch {
	case c.ID == "":
		c.missing("ItemId", "give the item a name that is unique in its file")
	case !token(c.ID, 32, "._-"):
		c.bad("ItemId", "%q is not an item id; use 1 to 32 of A-Z a-z 0-9 . _ -", c.ID)
	}
	switch {
	case c.Product == "":
		c.missing("Product", "name the product code that the application passes")
	case !token(c.Product, 64, "._-"):
		c.bad("Product", "%q is not a product code; use 1 to 64 of A-Z a-z 0-9 . _ -", c.Product)
	}
	if c.Description != "" && !printable(c.Description, 200) {
		c.bad("Description", "is one line of at most 200 printable characters, without blanks at its ends")
	}
	license, item, elsewhere := strings.Cut(c.DependsOn, "/")
	if !elsewhere {
		item, license = license, "this"
	}
	if c.DependsOn != "" && (!token(license, 32, "_-") || !token(item, 32, "._-")) {
		c.bad("DependsOn", "%q is neither an item id nor LicenseId/ItemId", c.DependsOn)
	}
}

func (c *itemCheck) permits() {
	if c.Edition != "" && !token(c.Edition, 32, "._-") {
		c.bad("Edition", "%q is not an edition; use 1 to 32 of A-Z a-z 0-9 . _ -", c.Edition)
	}
	if c.Deployment != "" && !slices.Contains(deployments, c.Deployment) {
		c.bad("Deployment", "%q is not a deployment type; choose one of %s", c.Deployment, strings.Join(deployments, ", "))
	}
	checkList(c, "Versions", c.Versions, ListMax, func(uint16) string { return "" })
	checkList(c, "Networks", c.Networks, ListMax, func(n netip.Prefix) string {
		if n.IsValid() && n == n.Masked() {
			return ""
		}
		return "is not a network; the bits after the prefix must be zero, as in 10.0.0.0/8"
	})
	checkList(c, "Modules", c.Modules, ListMax, func(m string) string {
		switch {
		case !token(m, 32, "._-"):
			return "is not a module name; use 1 to 32 of A-Z a-z 0-9 . _ -"
		case c.ChargeWay == Page && !slices.Contains(pageModules, m):
			return "is not a module of charge way page; choose among " + strings.Join(pageModules, ", ")
		}
		return ""
	})
}

// checkList holds a list to its length, to distinct entries, and each entry to what complain says of it.
func checkList[T comparable](c *itemCheck, field string, list []T, most int, complain func(T) string) {
	if len(list) > most {
		c.bad(field, "has %d entries; at most %d are allowed", len(list), most)
		return
	}
	for i, v := range list {
		if complaint := complain(v); complaint != "" {
			c.bad(field, "\"%v\" %s", v, complaint)
		} else if slices.Contains(list[:i], v) {
			c.bad(field, "names %v twice", v)
		}
	}
}

func (c *itemCheck) amounts() {
	if c.Quota > QuotaMax {
		c.bad("Quota", "%d is above the largest quota, %d", c.Quota, uint64(QuotaMax))
	}
	if c.Tolerance < ownDefault || c.Tolerance > 100 {
		c.bad("Tolerance", "%d is not a percentage from 0 to 100; leave the line out for the charge way's own", c.Tolerance)
	}
	c.duration("Grace", c.Grace, 0)
	c.duration("OfflineFor", c.OfflineFor, 0)
}

func (c *itemCheck) duration(field string, seconds, least int64) {
	if seconds < least || seconds > durationMax {
		c.bad(field, "is from %s to %s", FormatDuration(least), FormatDuration(durationMax))
	}
}

func (c *itemCheck) validity() {
	switch {
	case c.Start < 0 || c.Start > timeMax:
		c.bad("Start", "lies outside the years 1970 to 9999")
	case c.Expiry <= c.Start:
		c.bad("Expiry", "is not after Start; choose a later date")
	case c.Expiry > timeMax:
		c.bad("Expiry", "lies outside the years 1970 to 9999")
	}
}

// chargeWayTerms refuses terms that mean nothing for the item's charge way: nobody would enforce them.
func (c *itemCheck) chargeWayTerms() {
	way := c.ChargeWay
	if c.FromFirstUse && !way.countsDevices() {
		c.bad("FromFirstUse", "is for the device ways only, not for %s", way)
	}
	if way == ConcurrentInstance && c.Deployment != "server" {
		c.bad("Deployment", "is server for charge way %s, and nothing else", way)
	}
	switch {
	case c.FreeCap != ownDefault && !way.countsDevices():
		c.bad("FreeCap", "is for the device ways only, not for %s", way)
	case c.FreeCap < ownDefault || c.FreeCap > QuotaMax:
		c.bad("FreeCap", "%d is not a number of seats from 0 to %d", c.FreeCap, uint64(QuotaMax))
	}
	switch {
	case c.OveruseBudget != ownDefault && !way.hasOveruse():
		c.bad("OveruseBudget", "is for the concurrent ways only, not for %s", way)
	case c.OveruseBudget < ownDefault || c.OveruseBudget > 1000*QuotaMax:
		c.bad("OveruseBudget", "%d is not a number of slots from 0 to %d", c.OveruseBudget, uint64(1000*QuotaMax))
	}
	if way == Server {
		c.duration("ActiveTime", c.ActiveTime, activeTimeMin)
	} else if c.ActiveTime != 0 {
		c.bad("ActiveTime", "is for charge way server only, not for %s", way)
	}
}

func (c *itemCheck) domainTerms() {
	if c.ChargeWay != Domain {
		if len(c.Domains) > 0 {
			c.bad("Domains", "is for charge way domain only, not for %s", c.ChargeWay)
		}
		if len(c.ExtraSuffixes) > 0 {
			c.bad("ExtraSuffixes", "is for charge way domain only, not for %s", c.ChargeWay)
		}
		return
	}
	if len(c.Domains) == 0 {
		c.missing("Domains", "name the domains that are licensed, such as example.com")
	}
	c.hostNames("Domains", c.Domains, DomainsMax)
	c.hostNames("ExtraSuffixes", c.ExtraSuffixes, ListMax)
}

func (c *itemCheck) hostNames(field string, list []string, most int) {
	checkList(c, field, list, most, func(name string) string {
		if hostName(name) {
			return ""
		}
		return "is not a domain name; write it in lower case without wildcards, foreign scripts as xn--…"
	})
}
