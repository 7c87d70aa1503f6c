package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"muster/license"

	"github.com/spf13/cobra"
)

func (p *program) inspect() *cobra.Command {
	var vendorKeys []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what a license file says",
		Args:  cobra.ExactArgs(1),
		RunE: p.operation(func(args []string) error {
			f, err := p.readFile(args[0], vendorKeys)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(p.stdout, f)
			}
			return writeSummary(p.stdout, f)
		}),
	}
	c.Flags().StringArrayVar(&vendorKeys, "vendor-key", nil, "also check the signature, with this public key (repeatable)")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// readFile reads a license file, and checks its signatures when there are keys to check them with.
func (p *program) readFile(path string, vendorKeys []string) (*license.File, error) {
	ring, err := p.readRing(vendorKeys)
	if err != nil {
		return nil, err
	}
	text, err := p.read(path)
	if err != nil {
		return nil, err
	}
	var f *license.File
	if len(vendorKeys) > 0 {
		f, err = license.Parse(text, ring)
	} else {
		f, err = license.ParseUnverified(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func writeSummary(out io.Writer, f *license.File) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("License", "%s, revision %d, %s", f.LicenseID, f.Revision, f.Status)
	if f.Alias != "" {
		line("Alias", "%s", f.Alias)
	}
	line("Organization", "%s", f.OrganizationID)
	if f.Trial != license.NotTrial {
		line("Trial", "%s", f.Trial)
	}
	line("Issued", "%s", license.FormatTime(f.Issued))
	if f.Status == license.Activated {
		line("Activated", "%s", license.FormatTime(f.Activated))
	}
	for _, u := range f.ServerUUIDs {
		line("Server", "%s", u)
	}
	line("Bindings", "%s", join(f.Bindings))
	if f.Vendor != "" {
		line("Signature", "valid, by key %s of %s", f.KeyID, f.Vendor)
	} else {
		line("Signature", "NOT CHECKED, by key %s", f.KeyID)
	}
	for _, it := range f.Items {
		fmt.Fprintln(w)
		writeItem(line, it)
	}
	fmt.Fprintf(w, "\nNext: %s\n", nextAfterInspect(f))
	return w.Flush()
}

func writeItem(line func(name, format string, args ...any), it license.Item) {
	name := it.ID
	if it.Revoked {
		name += " (REVOKED)"
	}
	line("Item", "%s", name)
	optional := func(name, value string) {
		if value != "" {
			line("  "+name, "%s", value)
		}
	}
	optional("Description", it.Description)
	optional("Product", it.Product)
	optional("Versions", join(it.Versions))
	optional("Edition", it.Edition)
	optional("Deployment", it.Deployment)
	optional("Modules", join(it.Modules))
	line("  Quota", "%d, %s; served up to %d", it.Quota, it.ChargeWay, it.Limit())
	line("  Valid", "%s to %s, then %s of grace", license.FormatTime(it.Start), license.FormatTime(it.Expiry), license.FormatDuration(it.Grace))
	optional("Depends on", it.DependsOn)
	optional("Networks", join(it.Networks))
	optional("Domains", join(it.Domains))
	optional("Extra suffixes", join(it.ExtraSuffixes))
}

func nextAfterInspect(f *license.File) string {
	switch {
	case f.Vendor == "":
		return "check the signature with --vendor-key, before you rely on any of this."
	case f.Status == license.New:
		return "activate it for the server UUID that the customer sends."
	}
	return "it can be imported by the servers named above."
}

func join[T any](list []T) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = fmt.Sprint(v)
	}
	return strings.Join(parts, ", ")
}

func writeJSON(out io.Writer, f *license.File) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(fileView(f))
}
