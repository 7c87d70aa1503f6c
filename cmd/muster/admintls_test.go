package main

import (
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The admin plane under TLS: with a certificate of its own, which the machine's
// CLI trusts and nobody else does; with the operator's, read anew when it changes.
func TestAdminTLS(t *testing.T) { // [OPS-2]
	c := newCLI(t)
	c.stop()
	c.config.AdminTLS = true
	c.start()
	if !strings.HasPrefix(c.p.url, "https://127.0.0.1:") {
		t.Fatalf("url %s", c.p.url)
	}
	c.ok(words("status"), "serving")
	token := c.p.path(tokenFile)
	secret, err := secretFile(token)
	if err != nil {
		t.Fatal(err)
	}
	failsAPI(t, exitFailed, "is not trusted", "status", "--url", c.p.url, "--token", secret)
	c.ok([]string{"status", "--url", c.p.url, "--token", secret, "--ca", c.p.path(certFile)}, "serving")
	other := filepath.Join(t.TempDir(), "other.crt")
	if err := selfSigned(other, other+".key", nil, c.config.Admin); err != nil {
		t.Fatal(err)
	}
	failsAPI(t, exitFailed, "is not trusted", "status", "--url", c.p.url, "--token", secret, "--ca", other)
	failsAPI(t, exitUsage, "expected a certificate", "status", "--url", c.p.url, "--token", secret, "--ca", token)
	c.logged(`level=WARN msg="a client of the admin port could not agree on TLS; let it trust the certificate.*bad certificate`)
	first := c.p.fingerprint
	c.stop()
	c.start()
	if c.p.fingerprint != first || len(first) != 95 {
		t.Errorf("the fingerprint after a restart: %s, before: %s", c.p.fingerprint, first)
	}

	// The operator's own files.
	c.stop()
	dir := t.TempDir()
	c.config.AdminCert, c.config.AdminKey = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	renew := func() {
		t.Helper()
		if err := selfSigned(c.config.AdminCert, c.config.AdminKey, []string{"licenses.example.com"}, c.config.Admin); err != nil {
			t.Fatal(err)
		}
	}
	renew()
	c.start()
	shown := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", strings.TrimPrefix(c.p.url, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return fingerprint(&tls.Certificate{Certificate: [][]byte{conn.ConnectionState().PeerCertificates[0].Raw}})
	}
	before := shown()
	if before != c.p.fingerprint || before == first {
		t.Errorf("certificate %s, announced %s", before, c.p.fingerprint)
	}
	if err := os.WriteFile(c.config.AdminKey, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(c.log.String(), "can't be read; the one before stays in use: put files"); time.Sleep(100 * time.Millisecond) {
		if shown() != before || time.Now().After(deadline) {
			t.Fatal("a certificate that is half written is used, or nobody is told")
		}
	}
	renew()
	for deadline := time.Now().Add(20 * time.Second); shown() == before; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the renewed certificate is not used")
		}
	}
}

func TestAdminTLSFaults(t *testing.T) {
	w := newWorld(t)
	w.stop()
	w.config.AdminCert, w.config.AdminKey = filepath.Join(t.TempDir(), "none.crt"), filepath.Join(w.config.Data, tokenFile)
	if _, err := start(w.config, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "--admin-cert") {
		t.Errorf("a certificate that is not there: %v", err)
	}
	w.config.AdminCert, w.config.AdminKey = "", ""
	w.start()
}
