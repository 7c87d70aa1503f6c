package main

import (
	"fmt"

	"muster/license"

	"github.com/spf13/cobra"
)

func (p *program) verify() *cobra.Command {
	var vendorKeys []string
	c := &cobra.Command{
		Use:   "verify FILE --vendor-key PUB",
		Short: "Check form, terms and signatures of a license file",
		Args:  cobra.ExactArgs(1),
		RunE: p.operation(func(args []string) error {
			f, err := p.readFile(args[0], vendorKeys)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "%s: good. License %s, revision %d, %s, signed by key %s of %s.\n", args[0], f.LicenseID, f.Revision, f.Status, f.KeyID, f.Vendor)
			if f.Status == license.New {
				fmt.Fprintln(p.stdout, "Next: activate it; as it is, no server imports it.")
			} else {
				fmt.Fprintf(p.stdout, "Next: import it on %s.\n", join(f.ServerUUIDs))
			}
			return nil
		}),
	}
	c.Flags().StringArrayVar(&vendorKeys, "vendor-key", nil, "public key of the vendor (repeatable; required)")
	if err := c.MarkFlagRequired("vendor-key"); err != nil {
		panic(err) // the flag is defined above
	}
	return c
}
