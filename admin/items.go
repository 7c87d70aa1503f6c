package admin

import (
	"net/http"
	"strings"
	"time"

	"muster/engine"
)

func (a *Admin) itemRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/items", scope: ScopeRead, query: []string{"after", "limit"}, handle: a.listItems,
			doc: doc{"List the license items", nil, ItemList{}, []int{200}}},
		{method: "GET", path: "/api/v1/items/{licenseId}/{itemId}", scope: ScopeRead, handle: a.showItem,
			doc: doc{"Show a license item", nil, Item{}, []int{200}}},
	}
}

// Item is a license item with its terms and its use; empty lists and words
// among the terms mean that the item permits any.
type Item struct {
	Name                string    `json:"name"` // LicenseId/ItemId
	LicenseID           string    `json:"licenseId"`
	ItemID              string    `json:"itemId"`
	OrganizationID      string    `json:"organizationId"`
	Description         string    `json:"description"`
	State               string    `json:"state"`               // active, not yet effective, in grace, expired, revoked, suspended
	Suspended           string    `json:"suspended,omitempty"` // why
	Removed             bool      `json:"removed,omitempty"`   // the newest revision no longer has it; the terms are those it had
	Product             string    `json:"product"`
	Versions            []uint16  `json:"versions"`
	Edition             string    `json:"edition"`
	Deployment          string    `json:"deployment"`
	Modules             []string  `json:"modules"`
	ChargeWay           string    `json:"chargeWay"`
	Quota               uint64    `json:"quota"`
	TolerancePercent    uint64    `json:"tolerancePercent"`
	Start               time.Time `json:"start,omitzero"`
	Expiry              time.Time `json:"expiry,omitzero"`
	End                 time.Time `json:"end,omitzero"` // of the grace
	GraceSeconds        int64     `json:"graceSeconds"`
	OfflineForSeconds   int64     `json:"offlineForSeconds"`
	ActiveTimeSeconds   int64     `json:"activeTimeSeconds"`
	ActiveFromFirstUse  bool      `json:"activeFromFirstUse"`
	DependsOn           string    `json:"dependsOn"`
	Networks            []string  `json:"networks"`
	Domains             []string  `json:"domains"`
	ExtraSuffixes       []string  `json:"extraSuffixes"`
	SeatsFreedByHandMax uint64    `json:"seatsFreedByHandMax"`     // in 30 days [DEV-4]
	OveruseBudget       uint64    `json:"overuseBudget,omitempty"` // device-slots or instance-slots, of items that count by slot [CDEV-2]
	Revoked             bool      `json:"revoked"`
	Projects            []string  `json:"projects"`
	Usage               Usage     `json:"usage"`
}

// Usage is what was counted of an item.
type Usage struct {
	Uses           uint64 `json:"uses"` // scans or pages in the item's life
	Held           uint64 `json:"held"` // devices with a seat; of scan and page with a grant that still lasts
	Authorizations uint64 `json:"authorizations"`
	Reports        uint64 `json:"reports"`
	Overuse        uint64 `json:"overuse"` // device-slots or instance-slots drawn from the budget [CDEV-2]
	Limit          uint64 `json:"limit"`   // quota with tolerance: from there on devices get 120 [SCAN-2], [DEV-3]
}

// ItemList is the answer to GET items, in the order in which they first came.
type ItemList struct {
	Items []Item `json:"items"`
	Next  uint32 `json:"next,omitempty"` // give it as "after" for more
}

func (a *Admin) listItems(w http.ResponseWriter, r *http.Request) error {
	catalog, err := a.catalog()
	if err != nil {
		return err
	}
	page, next, err := listPage(r, catalog.Items)
	if err != nil {
		return err
	}
	answer := ItemList{Items: []Item{}, Next: next}
	for _, item := range page {
		answer.Items = append(answer.Items, itemView(catalog, item, a.now()))
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (a *Admin) showItem(w http.ResponseWriter, r *http.Request) error {
	catalog, err := a.catalog()
	if err != nil {
		return err
	}
	name := r.PathValue("licenseId") + "/" + r.PathValue("itemId")
	item, ok := catalog.ItemByName(name)
	if !ok {
		return refusal(http.StatusNotFound, "not-found", "no item %q: an item is named LicenseId/ItemId, see the list of items", name)
	}
	return writeJSON(w, http.StatusOK, itemView(catalog, item, a.now()))
}

// itemNamed is the item that a field of a request names.
func itemNamed(catalog *engine.Catalog, name, field string) (*engine.Item, error) {
	if item, ok := catalog.ItemByName(strings.TrimSpace(name)); ok {
		return item, nil
	}
	return nil, refusedField(http.StatusUnprocessableEntity, "unknown-item", field, "no item %q: an item is named LicenseId/ItemId, see the list of items", name)
}

func itemView(catalog *engine.Catalog, i *engine.Item, now int64) Item {
	view := Item{
		Name: i.Name(), LicenseID: i.License.File.LicenseID, ItemID: i.ID, OrganizationID: i.License.File.OrganizationID,
		State: i.State(now), Suspended: i.License.Suspended, Removed: i.Removed,
		Versions: []uint16{}, Modules: []string{}, Networks: []string{}, Domains: []string{}, ExtraSuffixes: []string{},
		Projects: []string{}, Usage: usageView(i),
	}
	for _, ordinal := range i.Projects {
		view.Projects = append(view.Projects, catalog.Projects[ordinal].ID)
	}
	if i.Product != "" { // else its license file can't be read, see Suspended
		view.setTerms(i)
	}
	return view
}

// setTerms fills in what the vendor signed.
func (v *Item) setTerms(i *engine.Item) {
	v.Description, v.Product, v.Edition, v.Deployment = i.Description, i.Product, i.Edition, i.Deployment
	v.Versions, v.Modules = append(v.Versions, i.Versions...), append(v.Modules, i.Modules...)
	v.ChargeWay, v.Quota, v.TolerancePercent = i.ChargeWay.String(), i.Quota, i.TolerancePercent()
	v.Start, v.Expiry, v.End, v.GraceSeconds = unixTime(i.Start), unixTime(i.Expiry), unixTime(i.End()), i.Grace
	v.OfflineForSeconds, v.ActiveTimeSeconds, v.ActiveFromFirstUse = i.OfflineFor, i.ActiveTime, i.FromFirstUse
	v.DependsOn, v.Revoked = i.DependsOn, i.Revoked
	for _, network := range i.Networks {
		v.Networks = append(v.Networks, network.String())
	}
	v.Domains, v.ExtraSuffixes = append(v.Domains, i.Domains...), append(v.ExtraSuffixes, i.ExtraSuffixes...)
	v.SeatsFreedByHandMax = i.FreeCapSeats()
	if i.ChargeWay.BySlot() {
		v.OveruseBudget = i.OveruseSlots()
	}
}

func usageView(i *engine.Item) Usage {
	u := Usage{
		Uses: i.Usage.Uses.Load(), Held: i.Usage.Held.Load(),
		Authorizations: i.Usage.Authorizations.Load(), Reports: i.Usage.Reports.Load(),
		Overuse: i.Usage.Overuse.Load(),
	}
	if i.Product != "" {
		u.Limit = i.Limit()
	}
	return u
}
