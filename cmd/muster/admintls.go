package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"sync"
	"time"

	"muster/internal/notices"
	"muster/storage"
)

// Files of the admin plane's own certificate, in the data directory.
const (
	certFile    = "admin.crt"
	certKeyFile = "admin.key"
)

// certificate is the admin plane's, read anew when its files have changed: a
// renewed one is used without a restart.
type certificate struct {
	cert, key string // files
	log       *slog.Logger
	notices   *notices.Log

	mu     sync.Mutex
	loaded *tls.Certificate
	stamp  [2]time.Time // of the files when they were read
	looked time.Time
}

// certLook is how long the files are not looked at again.
const certLook = time.Second

// openCertificate reads a certificate; its faults are told at the start.
func openCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log, notices: notices.New(log)}
	loaded, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate of the admin API: %w; --admin-cert and --admin-key are files in PEM form that belong together", err)
	}
	c.loaded, c.stamp, c.looked = &loaded, c.stamps(), time.Now()
	return c, nil
}

func (c *certificate) stamps() (stamp [2]time.Time) {
	for i, path := range []string{c.cert, c.key} {
		if info, err := os.Stat(path); err == nil {
			stamp[i] = info.ModTime()
		}
	}
	return stamp
}

// get is for tls.Config. A changed pair that can't be read, because it is half
// written say, leaves the one before in use.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < certLook {
		return c.loaded, nil
	}
	c.looked = time.Now()
	stamp := c.stamps()
	if stamp == c.stamp {
		return c.loaded, nil
	}
	loaded, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		c.notices.Tell(slog.LevelWarn, "certificate", 1, "the changed certificate of the admin API can't be read; the one before stays in use: put files in PEM form that belong together", "error", err)
		return c.loaded, nil
	}
	c.loaded, c.stamp = &loaded, stamp
	c.log.Info("the admin API has a new certificate", "fingerprint", fingerprint(&loaded))
	return c.loaded, nil
}

// fingerprint is the SHA-256 of a certificate as browsers show it.
func fingerprint(c *tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	text := ""
	for i, b := range sum {
		if i > 0 {
			text += ":"
		}
		text += hex.EncodeToString([]byte{b})
	}
	return text
}

// adminTLS is the TLS configuration of the admin plane, nil for none: with the
// operator's certificate, or one that the server made for itself.
func (p *program) adminTLS() (*tls.Config, error) {
	cert, key := p.config.AdminCert, p.config.AdminKey
	switch {
	case cert == "" && !p.config.AdminTLS:
		return nil, nil
	case cert == "":
		cert, key = p.path(certFile), p.path(certKeyFile)
		if _, err := os.Stat(cert); errors.Is(err, fs.ErrNotExist) {
			if err := selfSigned(cert, key, p.config.AdminHosts, p.config.Admin); err != nil {
				return nil, fmt.Errorf("certificate of the admin API: %w", err)
			}
		}
	}
	c, err := openCertificate(cert, key, p.log)
	if err != nil {
		return nil, err
	}
	p.fingerprint = fingerprint(c.loaded)
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// selfSignedLife is how long a certificate of the server's own is good for.
// Nobody vouches for it but its fingerprint, so renewing it early helps nobody.
const selfSignedLife = 10 * 365 * 24 * time.Hour

// selfSigned makes a certificate for loopback names, this machine's name and
// addresses, and the names under which the API is reached.
func selfSigned(certPath, keyPath string, hosts []string, listen string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "muster"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(selfSignedLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, // so that who trusts it can
		DNSNames: append([]string{"localhost"}, hosts...), IPAddresses: ownAddresses(listen),
	}
	if name, err := os.Hostname(); err == nil {
		template.DNSNames = append(template.DNSNames, name)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	err = storage.WriteFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	if err != nil {
		return err
	}
	return storage.WriteFile(certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// ownAddresses are loopback, where the API listens, and this machine's addresses.
func ownAddresses(listen string) []net.IP {
	list := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if host, _, err := net.SplitHostPort(listen); err == nil {
		if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
			list = append(list, ip)
		}
	}
	addresses, _ := net.InterfaceAddrs() // without them it is good for loopback
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			list = append(list, n.IP)
		}
	}
	return list
}
