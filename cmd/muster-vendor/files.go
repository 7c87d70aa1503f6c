package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"muster/license"

	"github.com/spf13/cobra"
)

// signing is the flags that all commands share that sign.
type signing struct {
	keyFile, passphraseFile string
	trust                   []string
	out, at                 string
}

func (s *signing) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.keyFile, "key", "", "file of the vendor's private key (required)")
	f.StringVar(&s.passphraseFile, "passphrase-file", "", "file whose first line opens the private key; - is standard input")
	f.StringVarP(&s.out, "output", "o", "", "file to write; it must not exist (default: standard output)")
	f.StringVar(&s.at, "at", "", "moment to write into the file, such as 2026-01-31T12:00:00Z (default: now)")
	if err := c.MarkFlagRequired("key"); err != nil {
		panic(err) // the flag is defined above
	}
}

func (s *signing) addTrustFlag(c *cobra.Command) {
	c.Flags().StringArrayVar(&s.trust, "trust", nil, "further vendor key that may have signed the input, such as the one before a rotation (repeatable)")
}

// readKey opens the private key.
func (p *program) readKey(s signing) (license.PrivateKey, error) {
	text, err := p.read(s.keyFile)
	if err != nil {
		return license.PrivateKey{}, err
	}
	passphrase, err := p.readPassphrase(s.passphraseFile)
	if err != nil {
		return license.PrivateKey{}, err
	}
	key, err := license.ParsePrivateKey(text, passphrase)
	if license.KindOf(err) == license.PassphraseNeeded {
		return key, fmt.Errorf("%s: %w with --passphrase-file", s.keyFile, err)
	}
	if err != nil {
		return key, fmt.Errorf("%s: %w", s.keyFile, err)
	}
	return key, nil
}

// readPassphrase is the first line of a file, or nil when none is named.
func (p *program) readPassphrase(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	text, err := p.read(path)
	if err != nil {
		return nil, err
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return nil, fmt.Errorf("%s: the first line is empty; write the passphrase there", path)
	}
	return line, nil
}

// read is a whole file, up to a little more than any file of ours may have; - is standard input.
func (p *program) read(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(p.stdin, license.FileSizeMax+1))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, license.FileSizeMax+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

// readRing is the public keys of the files named.
func (p *program) readRing(paths []string) (*license.KeyRing, error) {
	ring := new(license.KeyRing)
	for _, path := range paths {
		text, err := p.read(path)
		if err != nil {
			return nil, err
		}
		key, err := license.ParsePublicKey(text)
		if err == nil {
			err = ring.Add(key)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return ring, nil
}

// readSigned opens the key and the license file that is to be signed anew. The file must be the vendor's own work: signed
// by the key itself or by one of --trust.
func (p *program) readSigned(s signing, path string) (license.PrivateKey, *license.File, error) {
	key, err := p.readKey(s)
	if err != nil {
		return key, nil, err
	}
	ring, err := p.readRing(s.trust)
	if err == nil {
		err = ring.Add(key.Public())
	}
	if err != nil {
		return key, nil, err
	}
	text, err := p.read(path)
	if err != nil {
		return key, nil, err
	}
	f, err := license.Parse(text, ring)
	if license.KindOf(err) == license.UnknownKey {
		return key, nil, fmt.Errorf("%s: %w; --trust names a vendor key file", path, err)
	}
	if err != nil {
		return key, nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, f, nil
}

// issue signs a file, writes it where it is wanted, and says what was done and what comes next.
func (p *program) issue(s signing, key license.PrivateKey, f *license.File, done, next string) error {
	text, err := f.Sign(key)
	if err != nil {
		return err
	}
	if s.out == "" {
		if _, err := p.stdout.Write(text); err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "%s\nNext: %s\n", done, next)
		return nil
	}
	if err := writeNew(s.out, text, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s: %s\nNext: %s\n", s.out, done, next)
	return nil
}

// writeNew writes a file that must not exist, and has it on disk when it returns.
func writeNew(path string, text []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is left as it is; choose another name or move it away", path)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func timeFlag(name, value string, endOfDay bool) (int64, error) {
	at, err := license.ParseTime(value, endOfDay)
	if err != nil {
		return 0, usagef("--%s: %v", name, err)
	}
	return at, nil
}

func uuidFlags(values []string) (servers []license.UUID, err error) {
	for _, value := range values {
		u, err := license.ParseUUID(value)
		if err != nil {
			return nil, usagef("--uuid: %v; the server shows it on its home page", err)
		}
		servers = append(servers, u)
	}
	return servers, nil
}
