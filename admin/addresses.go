package admin

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"muster/engine"
	"muster/license"
)

// parseAddress splits "tcp://host:port" or "udp://host:port"; ok is false for
// anything else.
func parseAddress(address string) (transport, hostPort string, ok bool) {
	transport, hostPort, ok = strings.Cut(address, "://")
	return transport, hostPort, ok && (transport == "tcp" || transport == "udp")
}

// Addresses are where devices reach the server, as license keys say it [PRJ-4].
type Addresses struct {
	Addresses []string `json:"addresses"` // "tcp://host:port", "udp://host:port"
	// Default: nobody set them; they are made of the host by which this request
	// reached the server and the port of devices.
	Default  bool     `json:"default"`
	Warnings []string `json:"warnings,omitempty"`
}

// NewAddresses is what PUT server/addresses takes: none goes back to the default.
type NewAddresses struct {
	Addresses []string `json:"addresses"`
}

// addressesOf are the addresses in force for whoever makes the request; catalog
// may be nil.
func (a *Admin) addressesOf(catalog *engine.Catalog, r *http.Request) Addresses {
	in := Addresses{Addresses: []string{}}
	if catalog != nil && len(catalog.Addresses) > 0 {
		in.Addresses = catalog.Addresses
	} else {
		in.Default = true
		if host, port := hostOf(r.Host), a.devicePort(); host != "" && port != "" {
			in.Addresses = []string{"tcp://" + net.JoinHostPort(host, port)}
		}
	}
	in.Warnings = a.addressWarnings(&in)
	return in
}

func (a *Admin) devicePort() string {
	_, port, _ := net.SplitHostPort(a.DeviceAddr())
	return port
}

// addressWarnings tells what will keep devices from reaching the server.
func (a *Admin) addressWarnings(in *Addresses) (warnings []string) {
	local := false
	for _, address := range in.Addresses {
		if _, hostPort, _ := parseAddress(address); isLoopback(hostOf(hostPort)) {
			local = true
			warnings = append(warnings, address+" is reached on the server's own machine only; set the address by which devices reach it (muster address set tcp://host:port)")
		}
	}
	if host := hostOf(a.DeviceAddr()); !local && isLoopback(host) {
		warnings = append(warnings, "devices are served at "+a.DeviceAddr()+", which other machines do not reach, unless a proxy forwards to it; start the server with a --listen address of the network")
	}
	return warnings
}

func (a *Admin) setAddresses(w http.ResponseWriter, r *http.Request) error {
	var in NewAddresses
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if in.Addresses == nil {
		return refusedField(http.StatusUnprocessableEntity, "invalid", "addresses", "addresses: give a list, such as [\"tcp://licenses.example.com:4808\"]; an empty one goes back to the default")
	}
	if err := checkAddresses(in.Addresses); err != nil {
		return err
	}
	var changed bool
	err := a.edit(r.Context(), func(c *engine.Core) error {
		before := NewAddresses{c.Current().Addresses}
		changed = !slices.Equal(before.Addresses, in.Addresses)
		if err := c.SetAddresses(in.Addresses); err != nil {
			return err
		}
		return a.record(c, r, "server.addresses", "server", before, NewAddresses{c.Current().Addresses})
	})
	if err != nil {
		return err
	}
	catalog, err := a.catalog()
	if err != nil {
		return err
	}
	answer := a.addressesOf(catalog, r)
	if changed {
		answer.Warnings = append(answer.Warnings, keysChanged("every license key"))
	}
	return writeJSON(w, http.StatusOK, answer)
}

// keysChanged reminds of what the operator must do [PRJ-3].
func keysChanged(which string) string {
	return which + " changed: applications must be given the new one (muster key PROJECT)"
}

func checkAddresses(addresses []string) error {
	invalid := func(format string, args ...any) error {
		return refusedField(http.StatusUnprocessableEntity, "invalid-address", "addresses", format, args...)
	}
	if len(addresses) > license.AddressesMax {
		return invalid("%d addresses: a license key has room for %d", len(addresses), license.AddressesMax)
	}
	for i, address := range addresses {
		if fault := addressFault(address); fault != "" {
			return invalid("address %q: %s", address, fault)
		}
		if slices.Contains(addresses[:i], address) {
			return invalid("address %q stands twice in the list", address)
		}
	}
	byTCP := func(address string) bool { return strings.HasPrefix(address, "tcp://") }
	if len(addresses) > 0 && !slices.ContainsFunc(addresses, byTCP) {
		return invalid("there is no tcp:// address: devices make first contact by TCP, datagrams come after it")
	}
	return nil
}

// addressFault says what is wrong with an address, "" if nothing is.
func addressFault(address string) string {
	transport, hostPort, ok := parseAddress(address)
	if !ok {
		return "expected tcp://host:port or udp://host:port"
	}
	host := hostOf(hostPort)
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		return "no device can connect to " + host + "; give the server's own address or name"
	}
	if !hostName(host) {
		return fmt.Sprintf("%q is neither an IP address nor a host name", host)
	}
	probe := license.LicenseKey{OrganizationID: "o", Addresses: []license.Address{{Transport: transport, HostPort: hostPort}}}
	if err := probe.Check(); err != nil {
		return "expected " + transport + "://host:port with a port from 1 to 65535, and IPv6 in brackets"
	}
	return ""
}

// hostName says whether a host could be an IP address or a DNS name (RFC 1123,
// and the underscores that some networks have).
func hostName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host != "" && len(host) <= 253 && !strings.ContainsFunc(host, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_", r)
	})
}
