package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"muster/license"
	"muster/protocol"
)

// mainRetry is how long a connection to a standby is used before the main is
// asked again [CLI-7].
const mainRetry = 5 * time.Minute

// attemptDefault bounds what is tried at one address when the caller set no bound.
const attemptDefault = 10 * time.Second

// addressesOf are those of the license key that this client can use, in the
// order in which it tries them: mains before standbys [CLI-7], and there
// datagrams before TCP.
func addressesOf(key license.LicenseKey) ([]license.Address, error) {
	usable := slices.DeleteFunc(slices.Clone(key.Addresses), func(a license.Address) bool {
		return a.Transport != "tcp" && a.Transport != "udp"
	})
	if len(byTCP(usable)) == 0 {
		return nil, errors.New("client: the license key names no TCP address: ask the operator for a new one")
	}
	rank := func(a license.Address) (n int) {
		if a.Standby {
			n = 2
		}
		if a.Transport == "tcp" {
			n++
		}
		return n
	}
	slices.SortStableFunc(usable, func(a, b license.Address) int { return rank(a) - rank(b) })
	return usable, nil
}

// byTCP are the addresses to make a handshake at.
func byTCP(list []license.Address) []license.Address {
	return slices.DeleteFunc(slices.Clone(list), func(a license.Address) bool { return a.Transport != "tcp" })
}

// walk tries addresses in their order until one does what is asked, or refuses
// it for good. Each gets an equal part of the time that is left, so that one
// which swallows packets leaves some for those behind it.
func walk(ctx context.Context, list []license.Address, try func(context.Context, license.Address) error) error {
	var all faults
	for i, a := range list {
		err := ctx.Err()
		if err == nil {
			err = attempt(ctx, len(list)-i, a, try)
		}
		if err == nil || final(err) {
			return err
		}
		all = all.with(hostOf(a), err)
	}
	return all
}

func attempt(ctx context.Context, left int, a license.Address, try func(context.Context, license.Address) error) error {
	part := attemptDefault
	if end, ok := ctx.Deadline(); ok {
		part = time.Until(end) / time.Duration(left)
	}
	ctx, cancel := context.WithTimeout(ctx, part)
	defer cancel()
	err := try(ctx, a)
	if err != nil && !final(err) && ctx.Err() != nil {
		return fmt.Errorf("no answer: %w", ctx.Err())
	}
	return err
}

// final says whether an error is a decision: another address would not answer
// otherwise.
func final(err error) bool {
	refusal := (*Error)(nil)
	return errors.As(err, &refusal) && refusal.Code != protocol.NotServing
}

// faults are the error of a call that no address answered: what happened at each.
type faults []fault

type fault struct {
	address string
	err     error
}

// with adds a fault. Of an address that was tried twice, the later one tells more:
// the first may be that of a connection which had died long before.
func (f faults) with(address string, err error) faults {
	f = slices.DeleteFunc(f, func(f fault) bool { return f.address == address })
	return append(f, fault{address, err})
}

// Error names every address.
func (f faults) Error() string {
	texts := make([]string, len(f))
	for i := range f {
		texts[i] = f[i].address + ": " + f[i].err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives the errors to [errors.Is] and [errors.As].
func (f faults) Unwrap() []error {
	errs := make([]error, len(f))
	for i := range f {
		errs[i] = f[i].err
	}
	return errs
}
