package alerts

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
)

// TrustMode is which certificates are believed.
type TrustMode string

// The modes.
const (
	TrustSystem TrustMode = "system" // signed by one of the system's roots
	TrustCA     TrustMode = "ca"     // signed by the certificate that is given
	TrustPinned TrustMode = "pinned" // this very certificate, by its SHA-256
	TrustAny    TrustMode = "any"    // any: whoever stands between reads along
)

// Trust says how the other side of a TLS connection shows who it is.
type Trust struct {
	Mode TrustMode `json:"mode"`
	CA   string    `json:"ca,omitempty"`     // certificates, PEM
	Pin  string    `json:"sha256,omitempty"` // of the certificate, hexadecimal; colons may stand in it
}

// caMax bounds the certificates of a CA file, bytes.
const caMax = 32 << 10

// check completes the mode and says what is wrong.
func (t *Trust) check() error {
	if t.Mode == "" {
		t.Mode = TrustSystem
	}
	switch t.Mode {
	case TrustSystem, TrustAny:
	case TrustCA:
		if len(t.CA) > caMax || !x509.NewCertPool().AppendCertsFromPEM([]byte(t.CA)) {
			return fault("trust.ca", "expected certificates in PEM form, at most %d bytes", caMax)
		}
	case TrustPinned:
		if len(t.pin()) != sha256.Size {
			return fault("trust.sha256", "expected the SHA-256 of the server's certificate, 64 hexadecimal digits; \"openssl x509 -noout -fingerprint -sha256\" prints it")
		}
	default:
		return fault("trust.mode", "%q: expected system, ca, pinned or any", t.Mode)
	}
	return nil
}

func (t *Trust) pin() []byte {
	pin, _ := hex.DecodeString(strings.ReplaceAll(t.Pin, ":", ""))
	return pin
}

var errPin = errors.New("the certificate is not the pinned one; if the server has a new one, pin that")

// config is for a connection to a host.
func (t *Trust) config(host string) *tls.Config {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	switch t.Mode {
	case TrustCA:
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM([]byte(t.CA))
	case TrustPinned:
		c.InsecureSkipVerify = true // the pin says more than a chain and a name
		c.VerifyConnection = func(s tls.ConnectionState) error {
			sum := sha256.Sum256(s.PeerCertificates[0].Raw)
			if subtle.ConstantTimeCompare(sum[:], t.pin()) != 1 {
				return errPin
			}
			return nil
		}
	case TrustAny:
		c.InsecureSkipVerify = true // the operator said so
	}
	return c
}
