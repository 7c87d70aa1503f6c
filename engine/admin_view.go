package engine

import (
	"slices"

	"muster/protocol"
)

// What administration needs to read beside the catalog itself.

// Code is a licensing verdict, for readers of [Core.Tallies] that know nothing
// of the wire.
type Code = protocol.Code

// NextObjectID is an id that no object of the kind ever had, deleted ones
// included, so that a name which was given out never means something else.
// Like every method that serves edits, it is called in the decider.
func (c *Core) NextObjectID(kind ObjectKind) uint32 { return c.nextID(kind) }

// ItemByName finds an item by its name "LicenseId/ItemId".
func (c *Catalog) ItemByName(name string) (*Item, bool) {
	i := slices.IndexFunc(c.Items, func(i *Item) bool { return i != nil && i.Name() == name })
	if i < 0 {
		return nil, false
	}
	return c.Items[i], true
}
