package engine

import (
	"net"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// registrable reduces a host name to the domain that is licensed as one: the
// label below its public suffix, or below one of the item's own suffixes, the
// longest that fits [DOM-1]. A name that is a suffix itself, an address or a
// single label stays as it is.
func registrable(host string, extraSuffixes []string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if net.ParseIP(host) != nil {
		return host
	}
	longest := ""
	for _, suffix := range extraSuffixes {
		suffix = strings.ToLower(strings.Trim(suffix, "."))
		if strings.HasSuffix(host, "."+suffix) && len(suffix) > len(longest) {
			longest = suffix
		}
	}
	if longest != "" {
		labels := strings.TrimSuffix(host, "."+longest)
		return labels[strings.LastIndexByte(labels, '.')+1:] + "." + longest
	}
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return domain
	}
	return host
}

// licensesDomain says whether a host is under one of the item's domains.
func (i *Item) licensesDomain(host string) bool {
	return host != "" && slices.Contains(i.registrable, registrable(host, i.ExtraSuffixes))
}
