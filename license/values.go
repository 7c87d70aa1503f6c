package license

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	timeLayout = "2006-01-02T15:04:05Z"
	timeMax    = 253402300799 // 9999-12-31T23:59:59Z, unix seconds
)

// token reports whether s is 1 to most of letters, digits and the punctuation given.
func token(s string, most int, punctuation string) bool {
	if s == "" || len(s) > most {
		return false
	}
	for _, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if !letter && !digit && strings.IndexByte(punctuation, c) < 0 {
			return false
		}
	}
	return true
}

// printable reports whether s is one line of 1 to most printable characters that survives the trimming of its line.
func printable(s string, most int) bool {
	if s == "" || strings.TrimSpace(s) != s || !utf8.ValidString(s) || utf8.RuneCountInString(s) > most {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// hostName reports whether s is a DNS name in lower case, at most 253 bytes in labels of 1 to 63.
func hostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !token(label, 63, "-") || label != strings.ToLower(label) || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// ParseTime reads a time as a license text has it, 2026-01-01T00:00:00Z, as unix seconds. A bare date is the begin of that
// day, or its end when endOfDay is set, as it is for an expiry.
func ParseTime(s string, endOfDay bool) (int64, error) {
	bad := fmt.Errorf("%q is not a time; write 2026-01-31 or 2026-01-31T12:00:00Z (UTC)", s)
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		if endOfDay {
			t = t.AddDate(0, 0, 1)
		}
		return t.Unix(), nil
	}
	t, err := time.Parse(timeLayout, s)
	if err != nil || len(s) != len(timeLayout) { // time.Parse would take fractions of a second
		return 0, bad
	}
	return t.Unix(), nil
}

// FormatTime writes unix seconds in the form 2026-01-01T00:00:00Z.
func FormatTime(unix int64) string { return time.Unix(unix, 0).UTC().Format(timeLayout) }

var durationUnits = []struct {
	letter  string
	seconds int64
}{{"d", day}, {"h", 3600}, {"m", 60}, {"s", 1}}

// parseDuration reads a whole number of one unit, such as 7d, 12h, 90m or 30s, as seconds.
func parseDuration(s string) (int64, error) {
	for _, unit := range durationUnits {
		digits, ok := strings.CutSuffix(s, unit.letter)
		if !ok {
			continue
		}
		n, err := parseCount(digits)
		if err == nil && n <= durationMax/uint64(unit.seconds) {
			return int64(n) * unit.seconds, nil
		}
	}
	return 0, fmt.Errorf("%q is not a length of time up to 3650d; write it as 7d, 12h, 90m or 30s", s)
}

// FormatDuration writes seconds as a license text has them, in the largest unit that fits exactly: 7d, 12h, 90m, 30s.
func FormatDuration(seconds int64) string {
	for _, unit := range durationUnits {
		if seconds != 0 && seconds%unit.seconds == 0 {
			return strconv.FormatInt(seconds/unit.seconds, 10) + unit.letter
		}
	}
	return "0s"
}

// parseCount reads digits only: no sign, no leading zero, no separators.
func parseCount(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%q is too large", s)
	}
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%q is not a whole number; write digits only, such as 5000", s)
	}
	return n, nil
}

func parseCountUpTo(s string, most uint64) (uint64, error) {
	n, err := parseCount(s)
	if err == nil && n > most {
		err = fmt.Errorf("%s is above the largest value, %d", s, most)
	}
	return n, err
}

func parseVersion(s string) (uint16, error) {
	n, err := parseCountUpTo(s, math.MaxUint16)
	return uint16(n), err
}

func parseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is not a network; write it as 10.0.0.0/8 or 2001:db8::/32", s)
	}
	return p, nil
}

func parseBool(s string) (bool, error) {
	if s != "true" && s != "false" {
		return false, fmt.Errorf("%q is neither true nor false", s)
	}
	return s == "true", nil
}
