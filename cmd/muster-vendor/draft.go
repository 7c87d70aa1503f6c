package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"muster/license"

	"github.com/spf13/cobra"
)

// fieldFlag is a flag that gives one field of the license text.
type fieldFlag struct{ flag, field, usage string }

var headerFlags = []fieldFlag{
	{"license-id", "LicenseId", "license id (default: made of date and chance)"},
	{"alias", "Alias", "name by which the operator sees the license (default: made at activation)"},
	{"organization", "OrganizationID", "id of the customer's organization"},
	{"bindings", "Bindings", "binding modes that are accepted (default: key, hardware)"},
}

var itemFlags = []fieldFlag{
	{"item-id", "ItemId", "item id (default: item-1)"},
	{"description", "Description", "what the item is, for people"},
	{"product", "Product", "product code that the application passes"},
	{"versions", "Versions", "major versions, such as 10,11 (default: any)"},
	{"edition", "Edition", "edition (default: any)"},
	{"deployment", "Deployment", "browser, mobile, server, desktop or embedded (default: any)"},
	{"modules", "Modules", "modules, such as 1D,QR (default: all)"},
	{"charge-way", "ChargeWay", "scan, page, device-yearly, device-quarterly, device-monthly, device-daily, concurrent-device, server, domain or concurrent-instance"},
	{"quota", "Quota", "quota, in what the charge way counts"},
	{"start", "Start", "first day or moment (default: now)"},
	{"expiry", "Expiry", "last day, or the moment from which it is expired"},
	{"grace", "Grace", "time served after expiry, such as 7d (default: 7d)"},
	{"offline-for", "OfflineFor", "time that a grant lasts offline (default: 7d)"},
	{"tolerance", "Tolerance", "percent above the quota (default: the charge way's)"},
	{"from-first-use", "FromFirstUse", "true: active time begins at first use"},
	{"depends-on", "DependsOn", "item, or LicenseId/ItemId, that must be there too"},
	{"networks", "Networks", "client networks that are served (default: all)"},
	{"domains", "Domains", "domains licensed, for charge way domain"},
	{"extra-suffixes", "ExtraSuffixes", "multi-tenant suffixes, for charge way domain"},
	{"free-cap", "FreeCap", "seats that may be freed by hand in 30 days (default: a tenth of the quota)"},
	{"overuse-budget", "OveruseBudget", "slots above the quota (default: 1000 times the quota)"},
	{"active-time", "ActiveTime", "lease, for charge way server (default: 15m)"},
}

func addFieldFlags(c *cobra.Command, flags []fieldFlag) {
	for _, f := range flags {
		c.Flags().String(f.flag, "", f.usage)
	}
}

// givenFields is the fields that the command line gives.
func givenFields(c *cobra.Command, flags []fieldFlag) (fields []license.Field) {
	for _, f := range flags {
		if flag := c.Flags().Lookup(f.flag); flag != nil && flag.Changed {
			fields = append(fields, license.Field{Name: f.field, Value: flag.Value.String()})
		}
	}
	return fields
}

// withDefault adds a field that is not there yet.
func withDefault(fields []license.Field, name, value string) []license.Field {
	if slices.ContainsFunc(fields, func(f license.Field) bool { return f.Name == name }) {
		return fields
	}
	return append(fields, license.Field{Name: name, Value: value})
}

func (p *program) draft() *cobra.Command {
	var s signing
	var from string
	c := &cobra.Command{
		Use:   "draft --key FILE {--from DESCRIPTION | item flags}",
		Short: "Draft a license: a signed file of status New",
		Long: `draft makes a license file of status New: signed, so that nobody can alter it, but not yet importable.

One item is given by flags. Several come from a YAML description with the names of the license text:

  OrganizationID: "100200300"
  Items:
    - ItemId: readers
      Product: barcode-reader
      ChargeWay: device-monthly
      Quota: 50
      Start: 2026-01-01
      Expiry: 2026-12-31
      Modules: [1D, QR]`,
		Args: cobra.NoArgs,
	}
	c.RunE = p.operation(func([]string) error {
		header, item := givenFields(c, headerFlags), givenFields(c, itemFlags)
		if from != "" && len(item) > 0 {
			return usagef("the items come either from --from or from flags, not from both")
		}
		return p.makeDraft(s, header, item, from)
	})
	s.addFlags(c)
	c.Flags().StringVar(&from, "from", "", "YAML description of the license; - is standard input")
	addFieldFlags(c, headerFlags)
	addFieldFlags(c, itemFlags)
	return c
}

func (p *program) makeDraft(s signing, header, item []license.Field, from string) error {
	at, err := clock(s.at)
	if err != nil {
		return err
	}
	item = withDefault(withDefault(item, "ItemId", "item-1"), "Start", license.FormatTime(at))
	items := [][]license.Field{item}
	if from != "" {
		text, err := p.read(from)
		if err != nil {
			return err
		}
		more, fromItems, err := parseDescription(text)
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		header, items = append(more, header...), fromItems
	}
	f, err := newDraft(header, items, at)
	if err != nil {
		return fmt.Errorf("nothing was written, since the license has faults:\n%w", err)
	}
	key, err := p.readKey(s)
	if err != nil {
		return err
	}
	return p.issue(s, key, f, fmt.Sprintf("draft of license %s, %d item(s)", f.LicenseID, len(f.Items)),
		"look at it with inspect, then activate it for the server UUID that the customer sends.")
}

func newDraft(header []license.Field, items [][]license.Field, at int64) (*license.File, error) {
	header = withDefault(header, "Bindings", "key, hardware")
	header = withDefault(header, "LicenseId", newLicenseID(at))
	return license.Draft(header, items, at)
}

// newLicenseID is unique enough for a vendor that counts nowhere: the day and 40 random bits.
func newLicenseID(at int64) string {
	var chance [5]byte
	rand.Read(chance[:]) // never fails
	return "L" + time.Unix(at, 0).UTC().Format("20060102") + "-" + hex.EncodeToString(chance[:])
}
