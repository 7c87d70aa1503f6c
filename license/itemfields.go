package license

import (
	"net/netip"
	"strconv"
)

func always(*Item) bool { return true }

func parseText(s string) (string, error) { return s, nil }

// itemFields is the grammar of one license item.
var itemFields = []fieldRule[Item]{
	textField("ItemId", required, func(it *Item) *string { return &it.ID }),
	textField("Description", optional, func(it *Item) *string { return &it.Description }),
	textField("Product", required, func(it *Item) *string { return &it.Product }),
	listField("Versions", func(it *Item) *[]uint16 { return &it.Versions }, parseVersion),
	textField("Edition", optional, func(it *Item) *string { return &it.Edition }),
	textField("Deployment", optional, func(it *Item) *string { return &it.Deployment }),
	listField("Modules", func(it *Item) *[]string { return &it.Modules }, parseText),
	{
		name: "ChargeWay", required: true,
		read: func(it *Item, s string) error {
			way, err := ParseChargeWay(s)
			it.setChargeWay(way)
			return err
		},
		write: func(it *Item) []string { return one(it.ChargeWay.String(), true) },
	},
	{
		name: "Quota", required: true,
		read:  func(it *Item, s string) (err error) { it.Quota, err = parseCountUpTo(s, QuotaMax); return err },
		write: func(it *Item) []string { return one(strconv.FormatUint(it.Quota, 10), true) },
	},
	timeField("Start", required, false, func(it *Item) *int64 { return &it.Start }),
	timeField("Expiry", required, true, func(it *Item) *int64 { return &it.Expiry }),
	durationField("Grace", func(it *Item) *int64 { return &it.Grace }, always),
	durationField("OfflineFor", func(it *Item) *int64 { return &it.OfflineFor }, always),
	countField("Tolerance", 100, func(it *Item) *int16 { return &it.Tolerance }),
	boolField("FromFirstUse", func(it *Item) *bool { return &it.FromFirstUse }),
	textField("DependsOn", optional, func(it *Item) *string { return &it.DependsOn }),
	listField("Networks", func(it *Item) *[]netip.Prefix { return &it.Networks }, parseNetwork),
	listField("Domains", func(it *Item) *[]string { return &it.Domains }, parseText),
	listField("ExtraSuffixes", func(it *Item) *[]string { return &it.ExtraSuffixes }, parseText),
	countField("FreeCap", QuotaMax, func(it *Item) *int64 { return &it.FreeCap }),
	countField("OveruseBudget", 1000*QuotaMax, func(it *Item) *int64 { return &it.OveruseBudget }),
	durationField("ActiveTime", func(it *Item) *int64 { return &it.ActiveTime }, func(it *Item) bool { return it.ActiveTime != 0 }),
	boolField("Revoked", func(it *Item) *bool { return &it.Revoked }),
}

// ParseItem makes an item of its fields, under the names and in the forms that a license text has, with defaults for
// what is not said. The error lists every fault, one *Error a line.
func ParseItem(fields []Field) (Item, error) {
	it, faults := readItem(section{fields: fields})
	return it, joinFaults(append(faults, unreported(it.check(), faults)...))
}

func readItem(from section) (Item, []*Error) {
	it := NewItem(0)
	faults := readFields(itemFields, &it, from)
	for _, f := range faults {
		f.Item = it.ID
	}
	return it, faults
}

// unreported leaves out the faults of fields that could not even be read: they would only repeat it.
func unreported(more, reported []*Error) (rest []*Error) {
	type place struct {
		section int
		field   string
	}
	seen := map[place]bool{}
	for _, f := range reported {
		seen[place{f.section, f.Field}] = true
	}
	for _, f := range more {
		if !seen[place{f.section, f.Field}] {
			rest = append(rest, f)
		}
	}
	return rest
}
