package main

import (
	"fmt"

	"muster/license"

	"github.com/spf13/cobra"
)

func (p *program) activate() *cobra.Command {
	var s signing
	var uuids []string
	c := &cobra.Command{
		Use:   "activate --key FILE --uuid UUID IN",
		Short: "Bind a draft to one to five servers, so that they can import it",
		Args:  cobra.ExactArgs(1),
		RunE: p.operation(func(args []string) error {
			return p.activateFile(s, uuids, args[0])
		}),
	}
	s.addFlags(c)
	s.addTrustFlag(c)
	c.Flags().StringArrayVar(&uuids, "uuid", nil, "server UUID, as the server's home page shows it (repeatable, up to 5; required)")
	if err := c.MarkFlagRequired("uuid"); err != nil {
		panic(err) // the flag is defined above
	}
	return c
}

func (p *program) activateFile(s signing, uuids []string, in string) error {
	at, err := clock(s.at)
	if err != nil {
		return err
	}
	servers, err := uuidFlags(uuids)
	if err != nil {
		return err
	}
	key, f, err := p.readSigned(s, in)
	if err != nil {
		return err
	}
	f, err = license.Activate(f, servers, at)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	return p.issue(s, key, f, fmt.Sprintf("license %s, activated for %d server(s) as %s", f.LicenseID, len(servers), f.Alias),
		"send it to the customer, who imports it in the portal of the server.")
}
