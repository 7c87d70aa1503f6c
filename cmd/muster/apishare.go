package main

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"muster/admin"
)

// shareFlags set what a project has reserved of its items, or is capped at
// [PRJ-7]. Each flag changes its own item, while the API takes all at once.
type shareFlags struct{ reserve, cap []string }

func (f *shareFlags) bind(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.reserve, "reserve", nil, "keep so much of an item free for the project, LICENSE/ITEM=N; 0 is none; repeat for more items")
	flags.StringArrayVar(&f.cap, "cap", nil, "give the project no more of an item, LICENSE/ITEM=N; \"none\" takes the cap away; repeat for more items")
}

// change is the project's shares with those that were given replaced, nil if
// none was. id is empty for a project that is yet to be made.
func (f *shareFlags) change(s *session, id string) (*[]admin.Share, error) {
	if len(f.reserve)+len(f.cap) == 0 {
		return nil, nil
	}
	var p admin.Project
	if id != "" {
		if err := s.call(http.MethodGet, apiPath("projects", id), nil, &p); err != nil {
			return nil, err
		}
	}
	shares := p.Shares
	of := func(item string) *admin.Share {
		i := slices.IndexFunc(shares, func(s admin.Share) bool { return s.Item == item })
		if i < 0 {
			i = len(shares)
			shares = append(shares, admin.Share{Item: item})
		}
		return &shares[i]
	}
	for _, given := range f.reserve {
		item, n, err := itemNumber("reserve", given)
		if err != nil {
			return nil, err
		}
		of(item).Reserve = n
	}
	for _, given := range f.cap {
		if item, ok := strings.CutSuffix(given, "=none"); ok {
			of(item).Cap = nil
			continue
		}
		item, n, err := itemNumber("cap", given)
		if err != nil {
			return nil, err
		}
		of(item).Cap = &n
	}
	shares = slices.DeleteFunc(shares, func(s admin.Share) bool { return s.Reserve == 0 && s.Cap == nil })
	return &shares, nil
}

func itemNumber(flag, given string) (item string, n uint64, err error) {
	item, number, _ := strings.Cut(given, "=")
	if n, err = strconv.ParseUint(number, 10, 64); err != nil {
		return "", 0, usageError("--%s %q: expected LICENSE/ITEM=N, such as 100001/item-1=50", flag, given)
	}
	return item, n, nil
}

func showShares(t *table, shares []admin.Share) {
	for _, s := range shares {
		limit := "no cap"
		if s.Cap != nil {
			limit = "cap " + strconv.FormatUint(*s.Cap, 10)
		}
		t.row("share of "+s.Item, "reserved "+strconv.FormatUint(s.Reserve, 10)+", "+limit+", used "+strconv.FormatUint(s.Used, 10))
	}
}
