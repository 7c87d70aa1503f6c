package alerts

import (
	"bytes"
	"context"
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
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"net"
	netmail "net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const (
	mailUser     = "muster"
	mailPassword = "correct horse"
)

// received is a mail as the server got it.
type received struct {
	from string
	to   []string
	data []byte
	tls  bool
	user string
}

// mailServer is a real SMTP server on a loopback port.
type mailServer struct {
	port        int
	certificate tls.Certificate
	mails       chan received
}

// newMailServer starts one. mode is how it does TLS.
func newMailServer(t *testing.T, mode TLSMode) *mailServer {
	t.Helper()
	s := &mailServer{certificate: newCertificate(t), mails: make(chan received, 10)}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &mailSession{server: s, conn: c}, nil }))
	server.Domain, server.ErrorLog = "localhost", noLog{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	config := &tls.Config{Certificates: []tls.Certificate{s.certificate}}
	switch mode {
	case StartTLS:
		server.TLSConfig = config
	case TLS:
		l = tls.NewListener(l, config)
	}
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return s
}

type noLog struct{}

func (noLog) Printf(string, ...any) {}
func (noLog) Println(...any)        {}

// mailSession is what the server remembers of one connection.
type mailSession struct {
	server *mailServer
	conn   *smtp.Conn
	mail   received
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != mailUser || password != mailPassword {
			return errors.New("not you")
		}
		s.mail.user = user
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error { s.mail.from = from; return nil }

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.to = append(s.mail.to, to)
	return nil
}

func (s *mailSession) Data(r io.Reader) (err error) {
	_, s.mail.tls = s.conn.TLSConnectionState()
	if s.mail.data, err = io.ReadAll(r); err == nil {
		s.server.mails <- s.mail
	}
	return err
}

func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }

// newCertificate is one for 127.0.0.1 that signs itself.
func newCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func caOf(c tls.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
}

func pinOf(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return hex.EncodeToString(sum[:])
}

// settings are those for a server, with its certificate as the one that is trusted.
func (s *mailServer) settings(mode TLSMode) Mail {
	m := Mail{
		Host: "127.0.0.1", Port: s.port, TLS: mode, From: "Licenses <muster@example.com>",
		To: "ann@example.com; Ben Doe <ben@example.com>", CC: "carl@example.com", BCC: "dora@example.com; eve@example.com",
	}
	if mode != NoTLS {
		m.Trust = Trust{Mode: TrustCA, CA: caOf(s.certificate)}
		m.User, m.Password = mailUser, mailPassword
	}
	return m
}

func send(t *testing.T, m Mail, msg *Message) error {
	t.Helper()
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	return m.Send(t.Context(), msg)
}

// A mail arrives over each kind of connection, for all recipients, logged in where
// there is a login.
func TestMail(t *testing.T) { // [ALRT-6]
	for _, mode := range []TLSMode{StartTLS, TLS, NoTLS} {
		t.Run(string(mode), func(t *testing.T) {
			s := newMailServer(t, mode)
			if err := send(t, s.settings(mode), message()); err != nil {
				t.Fatal(err)
			}
			got := <-s.mails
			want := []string{"ann@example.com", "ben@example.com", "carl@example.com", "dora@example.com", "eve@example.com"}
			if got.from != "muster@example.com" || !slices.Equal(got.to, want) {
				t.Errorf("from %s to %v", got.from, got.to)
			}
			if got.tls != (mode != NoTLS) || (got.user == mailUser) != (mode != NoTLS) {
				t.Errorf("TLS %t, user %q", got.tls, got.user)
			}
			golden(t, "alerts.eml", steady(t, got.data))
			readable(t, got.data)
		})
	}
}

var boundaries = regexp.MustCompile(`[0-9a-f]{60}`)

// steady is a mail without what is another at every try: the boundary of its parts.
func steady(t *testing.T, data []byte) string {
	t.Helper()
	text := strings.ReplaceAll(boundaries.ReplaceAllString(string(data), "BOUNDARY"), "\r\n", "\n")
	if strings.Contains(text, "dora") || strings.Contains(text, "eve@") {
		t.Error("the mail names those of BCC")
	}
	return text
}

// readable reads a mail as a mail program does: text and HTML say the same.
func readable(t *testing.T, data []byte) {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	_, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, parameters["boundary"])
	for _, media := range []string{"text/plain", "text/html"} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(part)
		if err != nil || !strings.HasPrefix(part.Header.Get("Content-Type"), media) {
			t.Fatalf("%s: %v", part.Header.Get("Content-Type"), err)
		}
		for _, want := range []string{"22 of 25 seats", "https://licenses.example.com/items/100001/readers", "42 of 200 authorizations failed"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s lacks %q:\n%s", media, want, text)
			}
		}
	}
}

func TestMailRefused(t *testing.T) {
	type change func(*mailServer, *Mail)
	for name, c := range map[string]struct {
		server TLSMode
		change change
		want   string
	}{
		"unknown certificate, STARTTLS": {StartTLS, func(_ *mailServer, m *Mail) { m.Trust = Trust{} }, "certificate"},
		"unknown certificate, TLS":      {TLS, func(_ *mailServer, m *Mail) { m.Trust = Trust{} }, "certificate"},
		"another pin":                   {TLS, func(_ *mailServer, m *Mail) { m.Trust = Trust{Mode: TrustPinned, Pin: strings.Repeat("00", 32)} }, "not the pinned one"},
		"a wrong password":              {StartTLS, func(_ *mailServer, m *Mail) { m.Password = "wrong" }, "auth"},
		"no STARTTLS there":             {NoTLS, func(_ *mailServer, m *Mail) { m.TLS = StartTLS }, "STARTTLS"},
		"nobody there":                  {NoTLS, func(_ *mailServer, m *Mail) { m.Port = closedPort(t) }, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newMailServer(t, c.server)
			m := s.settings(c.server)
			c.change(s, &m)
			err := send(t, m, message())
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.want)) {
				t.Errorf("error %v, want one about %q", err, c.want)
			}
			if err != nil && m.Password != "" && strings.Contains(err.Error(), m.Password) {
				t.Errorf("the error holds the password: %v", err)
			}
			if len(s.mails) > 0 {
				t.Error("a mail arrived all the same")
			}
		})
	}
}

func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestMailTrust(t *testing.T) {
	s := newMailServer(t, TLS)
	for _, trust := range []Trust{{Mode: TrustPinned, Pin: pinOf(s.certificate)}, {Mode: TrustAny}} {
		m := s.settings(TLS)
		m.Trust = trust
		if err := send(t, m, message()); err != nil {
			t.Errorf("%s: %v", trust.Mode, err)
		}
	}
}

// A server that takes the connection and says nothing costs no more than the time
// that is given.
func TestMailSlowServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := mailServer{port: l.Addr().(*net.TCPAddr).Port}
	m := s.settings(NoTLS)
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var timeout net.Error
	if err := m.Send(ctx, message()); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("error %v, want a timeout", err)
	}
}

func TestMailFaults(t *testing.T) {
	const injection = "x@example.com\r\nBcc: thief@example.com"
	for name, c := range map[string]struct {
		field  string
		change func(*Mail)
	}{
		"injection into From": {"from", func(m *Mail) { m.From = injection }},
		"injection into To":   {"to", func(m *Mail) { m.To = injection }},
		"injection into CC":   {"cc", func(m *Mail) { m.CC = injection }},
		"injection into BCC":  {"bcc", func(m *Mail) { m.BCC = injection }},
		"injection by a name": {"to", func(m *Mail) { m.To = "\"a\r\nSubject: b\" <x@example.com>" }},
		"injection into host": {"host", func(m *Mail) { m.Host = "a\r\nRCPT TO:<x>" }},
		"injection into user": {"user", func(m *Mail) { m.User = "a\r\nb" }},
		"nobody to send to":   {"to", func(m *Mail) { m.To = " ; " }},
		"two senders":         {"from", func(m *Mail) { m.From = "a@b.c; d@e.f" }},
		"no host":             {"host", func(m *Mail) { m.Host = "" }},
		"a wrong port":        {"port", func(m *Mail) { m.Port = 65536 }},
		"a wrong mode":        {"tls", func(m *Mail) { m.TLS = "maybe" }},
		"a password in clear": {"tls", func(m *Mail) { m.TLS = NoTLS }},
		"no user":             {"user", func(m *Mail) { m.User = "" }},
		"no certificate":      {"trust.ca", func(m *Mail) { m.Trust = Trust{Mode: TrustCA, CA: "none"} }},
		"a short pin":         {"trust.sha256", func(m *Mail) { m.Trust = Trust{Mode: TrustPinned, Pin: "00"} }},
		"a wrong trust":       {"trust.mode", func(m *Mail) { m.Trust = Trust{Mode: "blind"} }},
	} {
		m := Mail{Host: "mail.example.com", From: "a@example.com", To: "b@example.com", User: "u", Password: "p"}
		c.change(&m)
		var f *Fault
		if err := m.Check(); !errors.As(err, &f) || f.Field != c.field {
			t.Errorf("%s: %v, want a fault of %s", name, err, c.field)
		}
	}
	m := Mail{Host: "mail.example.com", From: "a@example.com", To: "b@example.com"}
	if err := m.Check(); err != nil || m.TLS != StartTLS || m.Port != 587 || m.Trust.Mode != TrustSystem {
		t.Errorf("completed to %+v, %v", m, err)
	}
}
