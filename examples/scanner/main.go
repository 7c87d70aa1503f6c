// Command scanner is a small application that uses muster: it has itself licensed,
// counts what it scans, and sends that. It scans nothing; the number of scans is
// its argument.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"muster/client"
	"muster/client/spool"
	"muster/license"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "scanner:", err)
		os.Exit(1)
	}
}

func run() error {
	vendorKey := flag.String("vendor-key", "acme.key.pub", "the vendor's public `file`; a real application has it built in")
	keyFile := flag.String("key", "scanner.key", "`file` with the license key, a setting that the operator gives")
	dir := flag.String("dir", "scanner-data", "`directory` for the grant and what is counted")
	product := flag.String("product", "DBR", "the `name` that the license has for the product")
	module := flag.String("module", "QR", "the `module` that the scans are counted for")
	flag.Parse()
	scans, err := strconv.ParseUint(flag.Arg(0), 10, 32)
	if err != nil || flag.NArg() != 1 {
		return errors.New("how many scans? for example: scanner --key scanner.key 3")
	}
	ring, err := trusted(*vendorKey)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(*keyFile)
	if err != nil {
		return err
	}
	s, err := spool.Open(spool.Options{
		Dir: *dir, LicenseKey: strings.TrimSpace(string(key)), Vendor: ring,
		Use: client.Use{Product: *product, Version: 11, Modules: []string{*module}},
	})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Damaged(); err != nil {
		fmt.Fprintln(os.Stderr, "scanner: usage was lost:", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if !s.Valid() { // a grant of the last run may still be good: that asks nobody
		if _, err := s.CheckIn(ctx); err != nil {
			return err
		}
	}
	grant := s.Grant()
	fmt.Printf("licensed by %s/%s until %s\n", grant.LicenseID, grant.ItemID, time.Unix(grant.ActiveUntil, 0).UTC().Format(time.DateTime))
	if err := s.Add(*module, uint32(scans)); err != nil { // on disk when this returns
		return err
	}
	if err := s.Send(ctx); err != nil {
		return fmt.Errorf("%w; the scans are kept on disk for the next run", err)
	}
	fmt.Printf("%d scans counted\n", scans)
	return nil
}

// trusted is a ring with the vendor's key of a file.
func trusted(file string) (*license.KeyRing, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	vendor, err := license.ParsePublicKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	ring := &license.KeyRing{}
	return ring, ring.Add(vendor)
}
