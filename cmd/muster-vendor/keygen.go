package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"muster/license"

	"github.com/spf13/cobra"
)

func (p *program) keygen() *cobra.Command {
	var vendor, out, passphraseFile string
	c := &cobra.Command{
		Use:   "keygen --vendor NAME --out FILE",
		Short: "Make a signing key: FILE (private) and FILE.pub",
		Args:  cobra.NoArgs,
		RunE: p.operation(func([]string) error {
			return p.makeKey(vendor, out, passphraseFile)
		}),
	}
	f := c.Flags()
	f.StringVar(&vendor, "vendor", "", "name of the vendor; all keys of one vendor have the same (required)")
	f.StringVar(&out, "out", "", "file for the private key, mode 0600 (required)")
	f.StringVar(&passphraseFile, "passphrase-file", "", "encrypt the private key with the first line of this file; - is standard input")
	for _, name := range []string{"vendor", "out"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // the flags are defined above
		}
	}
	return c
}

func (p *program) makeKey(vendor, out, passphraseFile string) error {
	passphrase, err := p.readPassphrase(passphraseFile)
	if err != nil {
		return err
	}
	key, err := license.GenerateKey(vendor, rand.Reader)
	if err != nil {
		return err
	}
	private, err := key.Marshal(passphrase, rand.Reader)
	if err != nil {
		return err
	}
	public, err := key.Public().MarshalText()
	if err != nil {
		return err
	}
	// The public half first: if one of the two is in the way, no private key is left lying about.
	if err := writeNew(out+".pub", public, 0o644); err != nil {
		return err
	}
	if err := writeNew(out, private, 0o600); err != nil {
		return errors.Join(err, os.Remove(out+".pub"))
	}
	fmt.Fprintf(p.stdout, "%s: private key %s of %s\n%s.pub: its public key\n", out, key.ID, vendor, out)
	if len(passphrase) == 0 {
		fmt.Fprintln(p.stdout, "The private key is not encrypted; --passphrase-file would do that.")
	}
	fmt.Fprintf(p.stdout, "Next: keep %s offline and a copy of it in a safe; build %s.pub into your applications and give it to your customers' servers; then draft a license.\n", out, out)
	return nil
}
