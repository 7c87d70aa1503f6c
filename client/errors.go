package client

import (
	"errors"
	"fmt"

	"muster/protocol"
)

// Error is a licensing refusal: a stable code, the item it is about if any, and
// a text that says what to do [ERR-1].
type Error struct {
	Code protocol.Code
	// Item is "LicenseId/ItemId", or empty.
	Item string
}

// Error renders the refusal for a person.
func (e *Error) Error() string {
	t, ok := texts[e.Code]
	if !ok {
		t = text{"the server refused", "ask the operator of the license server"}
	}
	if e.Item != "" {
		return fmt.Sprintf("%s (error %d, item %s): %s", t.what, e.Code, e.Item, t.remedy)
	}
	return fmt.Sprintf("%s (error %d): %s", t.what, e.Code, t.remedy)
}

// CodeOf returns the licensing code in an error, or OK if it is not a refusal.
func CodeOf(err error) protocol.Code {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	return protocol.OK
}

type text struct{ what, remedy string }

// texts say what happened and what the person can do next.
var texts = map[protocol.Code]text{
	protocol.NotServing:         {"the license server is not serving now", "it is starting, stopping or a standby; try again in a minute"},
	protocol.NoSuchProject:      {"the server has no such project", "ask the operator for a current license key"},
	protocol.WrongPassword:      {"the session password is wrong", "it was probably changed; ask the operator for a current license key"},
	protocol.DomainMismatch:     {"the domain is not licensed", "use a licensed domain, or ask the vendor to add this one"},
	protocol.NothingFits:        {"nothing in the project has the modules asked for", "ask for fewer modules, or have the operator import a license with them"},
	protocol.BadProjectID:       {"the project id is malformed", "copy the license key again, whole"},
	protocol.ProductMismatch:    {"the project has no license for this product", "have the operator import one, or use another project's key"},
	protocol.VersionMismatch:    {"the license does not cover this major version", "use a covered version, or ask the vendor for an upgrade"},
	protocol.DeploymentMismatch: {"the license is for another deployment type", "use it as licensed, or ask the vendor for this type"},
	protocol.EditionMismatch:    {"the license is for another edition", "use the licensed edition, or ask the vendor for this one"},
	protocol.Expired:            {"the license has expired, or does not serve this network", "have the operator import a renewed license file, or connect from a licensed network"},
	protocol.NotYetEffective:    {"the license is not effective yet", "wait for its start date, or ask the vendor for an earlier one"},
	protocol.InvalidItem:        {"the license item is revoked or not valid on this server", "have the operator look at the item's state, or ask the vendor"},
	protocol.ValidationMismatch: {"this application is not among those allowed by the project", "have the operator add its id or process name to the project"},
	protocol.ChargeWayMismatch:  {"the project has no license that is charged this way", "leave the charge way open, or have the operator import one"},
	protocol.LimitExceeded:      {"the license's quota is used up", "have the operator free seats, or raise the quota with the vendor"},
	protocol.NoDefaultProject:   {"the organization is unknown or has no default project", "ask the operator for a license key with a project"},
	protocol.ProjectOfOther:     {"the project belongs to another organization", "copy the license key again, whole"},
	protocol.NoProjectGiven:     {"neither project nor organization was given", "copy the license key again, whole"},
	protocol.RequirementMissing: {"the license needs another one that is missing", "have the operator import the item it depends on"},
	protocol.MoreThanQuota:      {"more was asked for than the quota", "ask for fewer instances, or raise the quota with the vendor"},
	protocol.Clone:              {"this device was copied: another one presents the same identity", "reset one copy's client state, then have the operator clear the device"},
	protocol.SeatFreed:          {"the operator freed this device's seat", "check in again"},
	protocol.ClientBlocked:      {"this device is blocked", "ask the operator of the license server"},
	protocol.ProjectDisabled:    {"the project is disabled", "ask the operator of the license server"},
}
