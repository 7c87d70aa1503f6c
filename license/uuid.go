package license

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// UUID names a server [SRV-1] or a client [CLI-4]: 16 bytes, any value.
type UUID [16]byte

// String is the form XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX in upper case.
func (u UUID) String() string {
	h := strings.ToUpper(hex.EncodeToString(u[:]))
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ParseUUID reads the form of String, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	bad := fmt.Errorf("%q is not a UUID; it has the form XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX", s)
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, bad
	}
	digits := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil {
		return UUID{}, bad
	}
	return u, nil
}

// MarshalText is String as bytes.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText is ParseUUID into u.
func (u *UUID) UnmarshalText(text []byte) (err error) {
	*u, err = ParseUUID(string(text))
	return err
}
