package admin

import "muster/engine"

// Share is a project's part of an item that serves other projects too [PRJ-7],
// in the unit of the item's quota.
type Share struct {
	Item    string  `json:"item"`           // LicenseId/ItemId
	Reserve uint64  `json:"reserve"`        // kept free for the project
	Cap     *uint64 `json:"cap,omitempty"`  // the project gets no more; missing: no cap
	Used    uint64  `json:"used,omitempty"` // through this project; in answers
}

func shareViews(p *engine.Project) []Share {
	views := []Share{}
	for _, item := range p.Items {
		for _, s := range p.Shares {
			if s.Item == item.Ordinal {
				views = append(views, Share{Item: item.Name(), Reserve: s.Reserve, Cap: s.Cap, Used: item.UsedBy(p)})
			}
		}
	}
	return views
}

// editShares is the change of shares as the engine takes it.
func (in *ProjectChange) editShares(catalog *engine.Catalog, edit *engine.ProjectEdit) error {
	if in.Shares == nil {
		return nil
	}
	edit.Shares = []engine.Share{} // none, not unchanged
	for _, s := range *in.Shares {
		item, err := itemNamed(catalog, s.Item, "shares.item")
		if err != nil {
			return err
		}
		edit.Shares = append(edit.Shares, engine.Share{Item: item.Ordinal, Reserve: s.Reserve, Cap: s.Cap})
	}
	return nil
}
