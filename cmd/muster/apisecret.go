package main

import (
	"strings"

	"github.com/spf13/pflag"

	"muster/admin/alerts"
)

// secretMax bounds a file with a password or secret, bytes.
const secretMax = 4 << 10

// readSecret reads a secret from a file, "-" for the standard input; nil for no file.
func (s *session) readSecret(path string) (*string, error) {
	if path == "" {
		return nil, nil
	}
	text, err := s.readInput(path, secretMax)
	if err != nil {
		return nil, err
	}
	secret := strings.TrimRight(string(text), "\r\n")
	return &secret, nil
}

// trustFlags say which certificate of another server is believed.
type trustFlags struct {
	ca, pin string
	any     bool
}

func (t *trustFlags) add(f *pflag.FlagSet) {
	f.StringVar(&t.ca, "trust-ca", "", "file with the certificate that the server's is signed by, PEM (default: the system's roots)")
	f.StringVar(&t.pin, "trust-sha256", "", "SHA-256 of the server's very certificate")
	f.BoolVar(&t.any, "trust-any", false, "believe any certificate: whoever stands between reads along")
}

func (t *trustFlags) read(s *session) (trust alerts.Trust, err error) {
	switch {
	case t.ca != "" && t.pin == "" && !t.any:
		text, err := s.readInput(t.ca, 32<<10)
		return alerts.Trust{Mode: alerts.TrustCA, CA: string(text)}, err
	case t.ca == "" && t.pin != "" && !t.any:
		return alerts.Trust{Mode: alerts.TrustPinned, Pin: t.pin}, nil
	case t.ca == "" && t.pin == "" && t.any:
		return alerts.Trust{Mode: alerts.TrustAny}, nil
	case t.ca == "" && t.pin == "":
		return trust, nil
	}
	return trust, usageError("give one of --trust-ca, --trust-sha256 and --trust-any")
}
