package alerts

import (
	"context"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"
	"unicode"

	mail "github.com/wneessen/go-mail"
)

// TLSMode is how a connection to a mail server is protected.
type TLSMode string

// The modes.
const (
	StartTLS TLSMode = "starttls" // begun in clear, TLS before anything else is said; refused without
	TLS      TLSMode = "tls"      // from the first byte
	NoTLS    TLSMode = "none"
)

// Mail is where mails go and through which server.
type Mail struct {
	Host  string  `json:"host"`
	Port  int     `json:"port"` // 0: 587 for starttls, 465 for tls, 25 for none
	TLS   TLSMode `json:"tls"`  // "": starttls
	Trust Trust   `json:"trust"`
	From  string  `json:"from"`
	// To, CC and BCC are addresses separated by ";".
	To   string `json:"to"`
	CC   string `json:"cc,omitempty"`
	BCC  string `json:"bcc,omitempty"`
	User string `json:"user,omitempty"` // "": no login
	// Password is a secret: it is written into no log and no answer.
	Password string `json:"password,omitempty"`
}

const (
	// sendTimeout bounds one try to bring a message to a server.
	sendTimeout = 20 * time.Second

	addressesMax = 50 // of one of To, CC and BCC
	textMax      = 500
)

// Check completes what may be left out and says what is wrong, as a [Fault].
func (m *Mail) Check() error {
	if m.TLS == "" {
		m.TLS = StartTLS
	}
	port, known := map[TLSMode]int{StartTLS: 587, TLS: 465, NoTLS: 25}[m.TLS]
	switch {
	case !known:
		return fault("tls", "%q: expected starttls, tls or none", m.TLS)
	case m.Host == "" || strings.ContainsFunc(m.Host, notInHost) || len(m.Host) > 253:
		return fault("host", "%q: expected the name or the IP address of a mail server", m.Host)
	case m.Port < 0 || m.Port > 65535:
		return fault("port", "%d: expected 1 to 65535", m.Port)
	case m.Password != "" && m.TLS == NoTLS:
		return fault("tls", "a password would be sent in clear; take starttls or tls, or no login")
	case m.Password != "" && m.User == "":
		return fault("user", "there is a password and no user")
	case unprintable(m.User) || unprintable(m.Password):
		return fault("user", "user or password has control characters, or more than %d bytes", textMax)
	}
	if m.Port == 0 {
		m.Port = port
	}
	if err := m.Trust.check(); err != nil {
		return err
	}
	return m.checkAddresses()
}

func notInHost(r rune) bool {
	return r != '.' && r != '-' && r != ':' && r != '_' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r))
}

func unprintable(text string) bool {
	return len(text) > textMax || strings.ContainsFunc(text, unicode.IsControl)
}

func (m *Mail) checkAddresses() error {
	if list, err := addressesIn(m.From); err != nil || len(list) != 1 {
		return fault("from", "%q: expected one mail address, such as muster@example.com", m.From)
	}
	for _, f := range []struct{ field, text string }{{"to", m.To}, {"cc", m.CC}, {"bcc", m.BCC}} {
		if list, err := addressesIn(f.text); err != nil || len(list) > addressesMax {
			return fault(f.field, "%q: expected at most %d mail addresses, separated by \";\"", f.text, addressesMax)
		}
	}
	if list, _ := addressesIn(m.To); len(list) == 0 {
		return fault("to", "expected a mail address, or several separated by \";\"")
	}
	return nil
}

var errAddress = errors.New("a mail address has no line ends and no control characters")

// addressesIn reads addresses separated by ";". What could begin a header of its
// own is refused before anything is made of it.
func addressesIn(text string) (list []*netmail.Address, err error) {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return nil, errAddress
	}
	for part := range strings.SplitSeq(text, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		a, err := netmail.ParseAddress(part)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// Send brings a message to the mail server, within the time of ctx and at most
// sendTimeout for the connection and as much for the message. The error says what
// the server, or the way there, objected to.
func (m *Mail) Send(ctx context.Context, msg *Message) error {
	out, err := m.compose(msg)
	if err != nil {
		return err
	}
	timeout := sendTimeout
	if end, ok := ctx.Deadline(); ok {
		timeout = max(min(timeout, time.Until(end)), time.Millisecond)
	}
	options := append(m.security(), mail.WithPort(m.Port), mail.WithTimeout(timeout), mail.WithoutNoop())
	client, err := mail.NewClient(m.Host, options...)
	if err != nil {
		return err
	}
	if err := client.DialAndSendWithContext(ctx, out); err != nil {
		return fmt.Errorf("mail server %s: %w", net.JoinHostPort(m.Host, strconv.Itoa(m.Port)), err)
	}
	return nil
}

// security are TLS and login.
func (m *Mail) security() []mail.Option {
	options := []mail.Option{mail.WithTLSConfig(m.Trust.config(m.Host))}
	switch m.TLS {
	case TLS:
		options = append(options, mail.WithSSL())
	case NoTLS:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if m.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.User), mail.WithPassword(m.Password))
	}
	return options
}

// compose makes the mail. Its id is that of the message, so that a mail that was
// sent twice can be told from two.
func (m *Mail) compose(msg *Message) (*mail.Msg, error) {
	var errs []error
	list := func(text string) []*netmail.Address {
		addresses, err := addressesIn(text)
		errs = append(errs, err)
		return addresses
	}
	from := list(m.From)
	out := mail.NewMsg(mail.WithNoDefaultUserAgent())
	out.ToMailAddress(list(m.To)...)
	out.CcMailAddress(list(m.CC)...)
	out.BccMailAddress(list(m.BCC)...)
	if err := errors.Join(errs...); err != nil || len(from) != 1 {
		return nil, fmt.Errorf("the mail addresses do not read: %w", err)
	}
	out.FromMailAddress(from[0])
	text := msg.render()
	out.Subject(text.subject)
	out.SetDateWithValue(msg.Time)
	out.SetMessageIDWithValue(msg.ID)
	out.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday answers
	out.SetBodyString(mail.TypeTextPlain, text.plain)
	out.AddAlternativeString(mail.TypeTextHTML, text.html)
	return out, nil
}
