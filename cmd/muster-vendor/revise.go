package main

import (
	"fmt"
	"strconv"

	"muster/license"

	"github.com/spf13/cobra"
)

// revision is the flags of revise.
type revision struct {
	alias, quota, expiry, addFrom string
	items, uuids, bindings        []string
	revoke                        bool
	revokeGiven                   bool
}

func (p *program) revise() *cobra.Command {
	var s signing
	var r revision
	c := &cobra.Command{
		Use:   "revise --key FILE [--item ID] [changes] IN",
		Short: "Make the next revision: quota, expiry, revocation, servers, further items",
		Long: `revise makes the next revision of a license. The server that imports it updates the items in place and keeps usage.

  muster-vendor revise --key acme.key --item readers --quota 80 --expiry 2028-12-31 license.lic -o license-2.lic
  muster-vendor revise --key acme.key --uuid NEW-SERVER-UUID license.lic -o license-3.lic`,
		Args: cobra.ExactArgs(1),
	}
	c.RunE = p.operation(func(args []string) error {
		r.revokeGiven = c.Flags().Changed("revoke")
		return p.reviseFile(s, r, args[0])
	})
	s.addFlags(c)
	s.addTrustFlag(c)
	f := c.Flags()
	f.StringArrayVar(&r.items, "item", nil, "item to change (repeatable; may be left out when there is only one)")
	f.StringVar(&r.quota, "quota", "", "new quota of the item")
	f.StringVar(&r.expiry, "expiry", "", "new last day of the item, or moment of expiry")
	f.BoolVar(&r.revoke, "revoke", false, "revoke the item; --revoke=false takes it back")
	f.StringArrayVar(&r.uuids, "uuid", nil, "bind to this server instead of those before (repeatable, up to 5)")
	f.StringSliceVar(&r.bindings, "bindings", nil, "accept these binding modes instead of those before")
	f.StringVar(&r.alias, "alias", "", "new alias; only while the license is New")
	f.StringVar(&r.addFrom, "add-from", "", "YAML description whose Items are added")
	return c
}

func (p *program) reviseFile(s signing, r revision, in string) error {
	at, err := clock(s.at)
	if err != nil {
		return err
	}
	change, err := p.change(r)
	if err != nil {
		return err
	}
	key, f, err := p.readSigned(s, in)
	if err != nil {
		return err
	}
	if change.Items, err = r.itemChanges(f); err != nil {
		return err
	}
	next, err := license.Revise(f, change, at)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	return p.issue(s, key, next, fmt.Sprintf("license %s, revision %d after %d", next.LicenseID, next.Revision, f.Revision), nextAfterRevision(next))
}

func nextAfterRevision(f *license.File) string {
	if f.Status == license.New {
		return "activate it for the server UUID that the customer sends."
	}
	return "send it to the customer, who imports it over the older revision."
}

// change is all but the items, which need the file.
func (p *program) change(r revision) (change license.Change, err error) {
	change.Alias = r.alias
	if change.ServerUUIDs, err = uuidFlags(r.uuids); err != nil {
		return change, err
	}
	for _, name := range r.bindings {
		b, err := license.ParseBinding(name)
		if err != nil {
			return change, usagef("--bindings: %v", err)
		}
		change.Bindings = append(change.Bindings, b)
	}
	if r.addFrom == "" {
		return change, nil
	}
	text, err := p.read(r.addFrom)
	if err != nil {
		return change, err
	}
	header, items, err := parseDescription(text)
	if err == nil && len(header) > 0 {
		err = fmt.Errorf("line %d: %s is for a draft; a description to add from has Items only", header[0].Line, header[0].Name)
	}
	if err != nil {
		return change, fmt.Errorf("%s: %w", r.addFrom, err)
	}
	for _, fields := range items {
		it, err := license.ParseItem(fields)
		if err != nil {
			return change, fmt.Errorf("%s: nothing was written, since an item has faults:\n%w", r.addFrom, err)
		}
		change.Add = append(change.Add, it)
	}
	return change, nil
}

// itemChanges is the same change for each item named.
func (r revision) itemChanges(f *license.File) (changes []license.ItemChange, err error) {
	var change license.ItemChange
	if r.quota != "" {
		quota, err := strconv.ParseUint(r.quota, 10, 64)
		if err != nil {
			return nil, usagef("--quota: %q is not a whole number", r.quota)
		}
		change.Quota = &quota
	}
	if r.expiry != "" {
		expiry, err := timeFlag("expiry", r.expiry, true)
		if err != nil {
			return nil, err
		}
		change.Expiry = &expiry
	}
	if r.revokeGiven {
		change.Revoked = &r.revoke
	}
	if change == (license.ItemChange{}) {
		if len(r.items) > 0 {
			return nil, usagef("--item says which item, but not what to change; add --quota, --expiry or --revoke")
		}
		return nil, nil
	}
	items := r.items
	if len(items) == 0 {
		if len(f.Items) > 1 {
			return nil, usagef("the license has %d items; say with --item which of them to change", len(f.Items))
		}
		items = []string{f.Items[0].ID}
	}
	for _, id := range items {
		change.ID = id
		changes = append(changes, change)
	}
	return changes, nil
}
