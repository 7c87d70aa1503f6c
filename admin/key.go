package admin

import (
	"net/http"

	"muster/engine"
	"muster/license"
)

func (a *Admin) keyRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/projects/{id}/key", scope: ScopeWrite, handle: a.showKey,
			doc: doc{"Show a license key; it holds the session password", nil, LicenseKey{}, []int{200}}},
	}
}

// LicenseKey is a project's license key, which holds its session password [PRJ-3].
type LicenseKey struct {
	Project    string   `json:"project"`
	LicenseKey string   `json:"licenseKey"`
	Addresses  []string `json:"addresses"` // in the key, in the order in which devices try them
	Warnings   []string `json:"warnings,omitempty"`
}

func (a *Admin) showKey(w http.ResponseWriter, r *http.Request) error {
	catalog, p, err := a.project(r)
	if err != nil {
		return err
	}
	addresses := a.addressesOf(catalog, r)
	if len(addresses.Addresses) == 0 {
		return refusal(http.StatusServiceUnavailable, "not-ready", "the port of devices is not open yet; try again in a moment, or set the addresses")
	}
	key := a.licenseKey(p, addresses.Addresses)
	if err := key.Check(); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, LicenseKey{
		Project: p.ID, LicenseKey: key.String(), Addresses: addresses.Addresses,
		Warnings: append(addresses.Warnings, projectWarnings(p, a.now())...),
	})
}

func (a *Admin) licenseKey(p *engine.Project, addresses []string) license.LicenseKey {
	key := license.LicenseKey{ProjectID: p.ID, OrganizationID: p.Organization, Password: p.Password}
	for _, address := range addresses {
		transport, hostPort, _ := parseAddress(address)
		key.Addresses = append(key.Addresses, license.Address{Transport: transport, HostPort: hostPort, HandshakeKey: a.HandshakeKey})
	}
	return key
}

// projectWarnings tells why the project serves nobody, whatever the key is.
func projectWarnings(p *engine.Project, now int64) (warnings []string) {
	if p.Disabled {
		warnings = append(warnings, "project "+p.ID+" is disabled: devices get error 162")
	}
	for _, item := range p.Items {
		if s := item.State(now); s == "active" || s == "in grace" {
			return warnings
		}
	}
	return append(warnings, "project "+p.ID+" has no item that is in force: devices are refused")
}
