package engine

import (
	"slices"
	"strings"

	"muster/protocol"
)

// Validation is who may use a project, by what a device reports of itself
// [PRJ-5]. Empty lists admit everyone.
type Validation struct {
	Domains      []string `json:"domains,omitempty"`      // exact, or *.example.com for all below
	Applications []string `json:"applications,omitempty"` // application ids of mobile devices
	Processes    []string `json:"processes,omitempty"`    // process names of all others
}

// validationMax bounds each list.
const validationMax = 1000

// IsZero says that everyone is admitted.
func (v Validation) IsZero() bool {
	return len(v.Domains)+len(v.Applications)+len(v.Processes) == 0
}

// admits checks the list for the device's deployment type. If only other lists
// are set, nobody of this type was meant: 114.
func (v *Validation) admits(in *protocol.CheckIn) protocol.Code {
	if v.IsZero() {
		return protocol.OK
	}
	value := string(in.Validation)
	switch string(in.Deployment) {
	case "browser":
		if len(v.Domains) == 0 {
			return protocol.ValidationMismatch
		}
		if !slices.ContainsFunc(v.Domains, func(d string) bool { return domainMatches(d, value) }) {
			return protocol.DomainMismatch
		}
		return protocol.OK
	case "mobile":
		return among(v.Applications, value)
	}
	return among(v.Processes, value)
}

func among(list []string, value string) protocol.Code {
	if slices.Contains(list, value) {
		return protocol.OK
	}
	return protocol.ValidationMismatch
}

// domainMatches compares a domain with a pattern, in any case. A wildcard stands
// for one or more labels, not for none.
func domainMatches(pattern, domain string) bool {
	pattern, domain = strings.ToLower(pattern), strings.TrimSuffix(strings.ToLower(domain), ".")
	if below, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(domain, below) && len(domain) > len(below)
	}
	return domain == pattern
}

// check says what is wrong with the lists.
func (v *Validation) check() error {
	for _, l := range []struct {
		name string
		list []string
	}{{"domains", v.Domains}, {"applications", v.Applications}, {"processes", v.Processes}} {
		field := "validation." + l.name
		if len(l.list) > validationMax {
			return editError(ErrInvalid, field, "%d %s: at most %d", len(l.list), l.name, validationMax)
		}
		for _, entry := range l.list {
			if entry == "" || len(entry) > protocol.MaxString || strings.TrimSpace(entry) != entry {
				return editError(ErrInvalid, field, "%s: %q: expected 1 to %d characters without blanks at the ends", l.name, entry, protocol.MaxString)
			}
		}
	}
	for _, d := range v.Domains {
		rest := strings.TrimPrefix(d, "*.")
		if strings.ContainsAny(rest, "*/: ") || strings.HasPrefix(rest, ".") || strings.HasSuffix(rest, ".") {
			return editError(ErrInvalid, "validation.domains", "domain %q: expected a name such as example.com, or *.example.com for all below it", d)
		}
	}
	return nil
}
