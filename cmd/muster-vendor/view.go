package main

import (
	"net/netip"

	"muster/license"
)

// licenseView is a license file as JSON: times as in the license text, lengths of time in seconds.
type licenseView struct {
	LicenseID      string            `json:"license_id"`
	Alias          string            `json:"alias,omitempty"`
	OrganizationID string            `json:"organization_id"`
	Revision       uint32            `json:"revision"`
	Status         string            `json:"status"`
	Trial          string            `json:"trial"`
	Issued         string            `json:"issued"`
	Activated      string            `json:"activated,omitempty"`
	ServerUUIDs    []license.UUID    `json:"server_uuids"`
	Bindings       []license.Binding `json:"bindings"`
	KeyID          string            `json:"key_id"`
	Verified       bool              `json:"verified"`
	Vendor         string            `json:"vendor,omitempty"`
	Items          []itemView        `json:"items"`
}

type itemView struct {
	ID                string            `json:"item_id"`
	Description       string            `json:"description,omitempty"`
	Product           string            `json:"product"`
	Versions          []uint16          `json:"versions,omitempty"`
	Edition           string            `json:"edition,omitempty"`
	Deployment        string            `json:"deployment,omitempty"`
	Modules           []string          `json:"modules,omitempty"`
	ChargeWay         license.ChargeWay `json:"charge_way"`
	Quota             uint64            `json:"quota"`
	TolerancePercent  uint64            `json:"tolerance_percent"`
	Limit             uint64            `json:"limit"`
	Start             string            `json:"start"`
	Expiry            string            `json:"expiry"`
	GraceSeconds      int64             `json:"grace_seconds"`
	OfflineForSeconds int64             `json:"offline_for_seconds"`
	FromFirstUse      bool              `json:"from_first_use,omitempty"`
	DependsOn         string            `json:"depends_on,omitempty"`
	Networks          []netip.Prefix    `json:"networks,omitempty"`
	Domains           []string          `json:"domains,omitempty"`
	ExtraSuffixes     []string          `json:"extra_suffixes,omitempty"`
	FreeCapSeats      uint64            `json:"free_cap_seats,omitempty"`
	OveruseSlots      uint64            `json:"overuse_slots,omitempty"`
	ActiveTimeSeconds int64             `json:"active_time_seconds,omitempty"`
	Revoked           bool              `json:"revoked"`
}

func fileView(f *license.File) licenseView {
	v := licenseView{
		LicenseID: f.LicenseID, Alias: f.Alias, OrganizationID: f.OrganizationID, Revision: f.Revision,
		Status: f.Status.String(), Trial: f.Trial.String(), Issued: license.FormatTime(f.Issued),
		ServerUUIDs: f.ServerUUIDs, Bindings: f.Bindings, KeyID: f.KeyID, Verified: f.Vendor != "", Vendor: f.Vendor,
	}
	if f.Status == license.Activated {
		v.Activated = license.FormatTime(f.Activated)
	}
	for _, it := range f.Items {
		v.Items = append(v.Items, viewOfItem(it))
	}
	return v
}

func viewOfItem(it license.Item) itemView {
	v := itemView{
		ID: it.ID, Description: it.Description, Product: it.Product, Versions: it.Versions, Edition: it.Edition,
		Deployment: it.Deployment, Modules: it.Modules, ChargeWay: it.ChargeWay, Quota: it.Quota,
		TolerancePercent: it.TolerancePercent(), Limit: it.Limit(),
		Start: license.FormatTime(it.Start), Expiry: license.FormatTime(it.Expiry), GraceSeconds: it.Grace,
		OfflineForSeconds: it.OfflineFor, FromFirstUse: it.FromFirstUse, DependsOn: it.DependsOn,
		Networks: it.Networks, Domains: it.Domains, ExtraSuffixes: it.ExtraSuffixes,
		ActiveTimeSeconds: it.ActiveTime, Revoked: it.Revoked,
	}
	if it.ChargeWay.Period() > 0 {
		v.FreeCapSeats = it.FreeCapSeats()
	}
	if it.ChargeWay.BySlot() {
		v.OveruseSlots = it.OveruseSlots()
	}
	return v
}
