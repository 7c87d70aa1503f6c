package admin

import (
	"net/http"
	"slices"

	"muster/engine"
	"muster/license"
)

func (a *Admin) vendorKeyRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/vendor-keys", scope: ScopeRead, handle: a.listVendorKeys,
			doc: doc{"List the trusted vendor keys", nil, VendorKeyList{}, []int{200}}},
		{method: "POST", path: "/api/v1/vendor-keys", scope: ScopeWrite, bodyMax: textMax, handle: a.addVendorKey,
			doc: doc{"Trust a vendor's public key", plainText, AddedVendorKey{}, []int{200, 201}}},
	}
}

// VendorKey is a vendor key that license files are believed by [FILE-5].
type VendorKey struct {
	ID     string `json:"id"`
	Vendor string `json:"vendor"`
	Source string `json:"source"` // configured at the start, or added
}

// VendorKeyList is the answer to GET vendor-keys.
type VendorKeyList struct {
	VendorKeys []VendorKey `json:"vendorKeys"`
}

// AddedVendorKey is the answer to POST vendor-keys; Added is false when the key
// was trusted before.
type AddedVendorKey struct {
	VendorKey
	Added bool `json:"added"`
}

func vendorKeyView(catalog *engine.Catalog, k license.PublicKey) VendorKey {
	view := VendorKey{ID: k.ID, Vendor: k.Vendor, Source: "configured"}
	if slices.ContainsFunc(catalog.VendorKeys, func(added license.PublicKey) bool { return added.ID == k.ID }) {
		view.Source = "added"
	}
	return view
}

func (a *Admin) listVendorKeys(w http.ResponseWriter, r *http.Request) error {
	answer := VendorKeyList{VendorKeys: []VendorKey{}}
	err := a.edit(r.Context(), func(c *engine.Core) error { // the ring is the decider's
		for _, k := range c.Trusted().List() {
			answer.VendorKeys = append(answer.VendorKeys, vendorKeyView(c.Current(), k))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (a *Admin) addVendorKey(w http.ResponseWriter, r *http.Request) error {
	text, err := readText(r)
	if err != nil {
		return err
	}
	var key license.PublicKey
	var answer AddedVendorKey
	err = a.edit(r.Context(), func(c *engine.Core) (err error) {
		if key, answer.Added, err = c.AddVendorKey(text); err != nil || !answer.Added {
			return err
		}
		return a.record(c, r, "vendor-key.add", key.ID, nil, vendorKeyView(c.Current(), key))
	})
	if err != nil {
		return err
	}
	catalog, err := a.catalog()
	if err != nil {
		return err
	}
	answer.VendorKey = vendorKeyView(catalog, key)
	status := http.StatusOK
	if answer.Added {
		status = http.StatusCreated
	}
	return writeJSON(w, status, answer)
}
