package client_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"muster/client"
	"muster/protocol"
)

// codes are all that reach a device.
var codes = []protocol.Code{
	100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 111, 112, 113, 114, 115,
	120, 121, 122, 123, 124, 130, 151, 160, 161, 162,
}

// remedies: someone who can help, or what the reader can do.
var remedies = []string{"operator", "vendor", "try again", "check in again", "copy the license key again"}

// TestEveryCodeHasItsText: what happened, the code, the item if there is one, and
// what to do. [ERR-1]
func TestEveryCodeHasItsText(t *testing.T) {
	unknown := (&client.Error{Code: 999}).Error()
	said := map[string]protocol.Code{}
	for _, code := range codes {
		err := &client.Error{Code: code, Item: "1001/seats"}
		what, rest, ok := strings.Cut(err.Error(), fmt.Sprintf(" (error %d, item 1001/seats): ", code))
		if !ok || strings.HasPrefix(unknown, what) {
			t.Errorf("%d: %q", code, err)
			continue
		}
		if before, taken := said[what]; taken {
			t.Errorf("%d says the same as %d", code, before)
		}
		said[what] = code
		if !namesRemedy(rest) {
			t.Errorf("%d names no remedy: %q", code, rest)
		}
		err.Item = ""
		if want := fmt.Sprintf("%s (error %d): %s", what, code, rest); err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
	for code := range protocol.Code(1000) {
		if named := !strings.Contains(code.String(), "unknown"); named && code != protocol.OK && !slices.Contains(codes, code) {
			t.Errorf("%v is not in this test", code)
		}
	}
	if !strings.Contains(unknown, "999") || !namesRemedy(unknown) {
		t.Errorf("a code of a later server: %q", unknown)
	}
}

func namesRemedy(text string) bool {
	return slices.ContainsFunc(remedies, func(r string) bool { return strings.Contains(text, r) })
}

// TestCodeOf finds the code within what wraps it.
func TestCodeOf(t *testing.T) {
	err := fmt.Errorf("at start: %w", &client.Error{Code: protocol.LimitExceeded})
	if client.CodeOf(err) != protocol.LimitExceeded || client.CodeOf(errors.New("no route")) != protocol.OK || client.CodeOf(nil) != protocol.OK {
		t.Error("wrong code")
	}
}
