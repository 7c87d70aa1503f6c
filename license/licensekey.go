package license

import (
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a license key.
const (
	AddressesMax   = 16
	PasswordMax    = 128     // bytes
	hostPortMax    = 255     // bytes
	licenseKeyMax  = 8 << 10 // characters; see TestLimits
	licenseKeyMark = "muster"
	licenseKeyHead = licenseKeyMark + "1"
)

// Frozen: order of the transports, from 1, and the bits of the binary form.
var transports = []string{"", "tcp", "udp", "https"}

const (
	flagPassword   = 1 << 0 // of the flags byte
	addressStandby = 1 << 7 // of the transport byte
)

// Address is one way to reach a server.
type Address struct {
	Transport    string   // tcp, udp, https
	HostPort     string   // host:port; IPv6 in brackets
	Standby      bool     // tried after the mains [CLI-7]
	HandshakeKey [32]byte // of the server at this address
}

// LicenseKey is what an operator hands to a developer, as one string [PRJ-3]. String holds the session password: never
// log it; LogValue is safe to log [CLI-8].
//
// The string is "muster1" and then base32 (RFC 4648, in lower case, no padding) of:
//
//	flags           u8: bit 0 a password follows, the others 0
//	project id      string8 (u8 length, bytes); empty for the organization's default project
//	organization id string8
//	password        string8, only with flag bit 0
//	handshake keys  u8 count, then 32 bytes each: the distinct ones, in the order of their first use
//	addresses       u8 count, then each:
//	                transport u8: 1 tcp, 2 udp, 3 https; bit 7 standby
//	                key       u8: place in the table of handshake keys, from 0
//	                host:port string8
//	checksum        u32, CRC-32 (IEEE) of all bytes before, so that a typing error is told as one
//
// Every license key has exactly one such string.
type LicenseKey struct {
	ProjectID      string // "" for the organization's default project
	OrganizationID string
	Password       string    // "" for none; up to 128 bytes of UTF-8
	Addresses      []Address // 1 to 16, in the order in which they are tried
}

var keyEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Check tells what is wrong with a key before it is made into a string. The error never holds the password.
func (k LicenseKey) Check() error {
	switch {
	case !token(k.OrganizationID, organizationIDMax, "_-"):
		return fault(BadValue, "organization id", "%q is not an organization id", k.OrganizationID)
	case k.ProjectID != "" && !ProjectBelongs(k.ProjectID, k.OrganizationID):
		return fault(BadValue, "project id", "%q is not a project id of organization %s; it has the form %s-suffix", k.ProjectID, k.OrganizationID, k.OrganizationID)
	case len(k.Password) > PasswordMax || !utf8.ValidString(k.Password):
		return fault(BadValue, "password", "is not UTF-8 text of at most %d bytes; choose another", PasswordMax)
	case len(k.Addresses) == 0 || len(k.Addresses) > AddressesMax:
		return fault(BadValue, "addresses", "there are %d; a license key has 1 to %d", len(k.Addresses), AddressesMax)
	}
	for _, a := range k.Addresses {
		if err := a.check(); err != nil {
			return err
		}
	}
	return nil
}

func (a Address) check() error {
	if slices.Index(transports, a.Transport) < 1 {
		return fault(BadValue, "addresses", "%q is not a transport; choose tcp, udp or https", a.Transport)
	}
	host, port, err := net.SplitHostPort(a.HostPort)
	n, errPort := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || errPort != nil || n == 0 || len(a.HostPort) > hostPortMax || !printable(a.HostPort, hostPortMax) {
		return fault(BadValue, "addresses", "%q is not host:port with a port from 1 to 65535; write IPv6 in brackets", a.HostPort)
	}
	return nil
}

// String is the key as one word without spaces. It is empty for a key that Check refuses.
func (k LicenseKey) String() string {
	if k.Check() != nil {
		return ""
	}
	return licenseKeyHead + keyEncoding.EncodeToString(k.appendBinary(nil))
}

// LogValue leaves out password and handshake keys [CLI-8].
func (k LicenseKey) LogValue() slog.Value {
	addresses := make([]string, len(k.Addresses))
	for i, a := range k.Addresses {
		addresses[i] = a.Transport + "://" + a.HostPort
	}
	return slog.GroupValue(
		slog.String("project", k.ProjectID), slog.String("organization", k.OrganizationID),
		slog.String("addresses", strings.Join(addresses, " ")), slog.Bool("has_password", k.Password != ""),
	)
}

func (k LicenseKey) appendBinary(dst []byte) []byte {
	var flags byte
	if k.Password != "" {
		flags |= flagPassword
	}
	dst = appendString8(append(dst, flags), k.ProjectID)
	dst = appendString8(dst, k.OrganizationID)
	if k.Password != "" {
		dst = appendString8(dst, k.Password)
	}
	var keys [][32]byte
	for _, a := range k.Addresses {
		if !slices.Contains(keys, a.HandshakeKey) {
			keys = append(keys, a.HandshakeKey)
		}
	}
	dst = appendLength8(dst, len(keys))
	for _, key := range keys {
		dst = append(dst, key[:]...)
	}
	dst = appendLength8(dst, len(k.Addresses))
	for _, a := range k.Addresses {
		transport := byte(slices.Index(transports, a.Transport))
		if a.Standby {
			transport |= addressStandby
		}
		dst = append(dst, transport, byte(slices.Index(keys, a.HandshakeKey)))
		dst = appendString8(dst, a.HostPort)
	}
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst))
}

// ParseLicenseKey reads the form of String; blanks around it and upper case are forgiven. The kinds of error: Syntax (no
// license key), UnsupportedVersion, BadChecksum (a typing error), BadValue, TooLarge. None holds the password.
func ParseLicenseKey(s string) (LicenseKey, error) {
	if len(s) > licenseKeyMax {
		return LicenseKey{}, fault(TooLarge, "license key", "it has %d characters; the limit is %d", len(s), licenseKeyMax)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) {
		return LicenseKey{}, notOurs("")
	}
	s = strings.ToLower(strings.TrimSpace(s))
	digits, ok := strings.CutPrefix(s, licenseKeyHead)
	if !ok {
		return LicenseKey{}, notOurs(s)
	}
	payload, err := keyEncoding.DecodeString(digits)
	if err != nil || len(payload) < 4 || strings.ContainsAny(digits, "\r\n") { // base32 passes over line ends
		return LicenseKey{}, fault(BadChecksum, "license key", "it is incomplete or holds a character that no license key has; copy it again as a whole")
	}
	body, sum := payload[:len(payload)-4], payload[len(payload)-4:]
	if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(sum) {
		return LicenseKey{}, fault(BadChecksum, "license key", "a character of it is wrong or missing; copy it again as a whole")
	}
	k, err := parseKeyBody(body)
	if err != nil {
		return LicenseKey{}, err
	}
	if err := k.Check(); err != nil {
		return LicenseKey{}, err
	}
	if k.String() != s {
		return LicenseKey{}, fault(Syntax, "license key", "it was not made by muster, which writes it in another form; get a new one from the portal")
	}
	return k, nil
}

func notOurs(s string) error {
	rest, ok := strings.CutPrefix(s, licenseKeyMark)
	if ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
		return fault(UnsupportedVersion, "license key", "it was made by a newer version of muster; update the client library")
	}
	return fault(Syntax, "license key", "it does not begin with %q; copy the license key from the portal's project page", licenseKeyHead)
}

func parseKeyBody(body []byte) (LicenseKey, error) {
	d := decoder{rest: body}
	flags := d.u8("flags")
	if flags&^flagPassword != 0 {
		d.fail("flags", "the license key was made by a newer version of muster; update the client library")
		d.fault.Kind = UnsupportedVersion
	}
	k := LicenseKey{ProjectID: d.string8("project id"), OrganizationID: d.string8("organization id")}
	if flags&flagPassword != 0 {
		k.Password = d.string8("password")
	}
	var keys [][32]byte
	for range d.times("handshake keys") {
		keys = append(keys, d.array32("handshake keys"))
	}
	for range d.times("addresses") {
		transport, key := d.u8("addresses"), int(d.u8("addresses"))
		a := Address{HostPort: d.string8("addresses"), Standby: transport&addressStandby != 0}
		number := int(transport &^ addressStandby)
		if number == 0 || number >= len(transports) || key >= len(keys) {
			d.fail("addresses", "an address has a transport or a handshake key that is not there")
			break
		}
		a.Transport, a.HandshakeKey = transports[number], keys[key]
		k.Addresses = append(k.Addresses, a)
	}
	return k, d.end()
}
