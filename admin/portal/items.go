package portal

import (
	"cmp"
	"slices"
	"strings"

	"muster/admin"
)

func (p *Portal) itemRoutes() []route {
	return []route{
		{pattern: "GET /items", handle: showItems},
		{pattern: "GET /items/{licenseId}/{itemId}", handle: showItem},
	}
}

// itemsPage is the list of items, as it was asked for.
type itemsPage struct {
	Search, Show, Sort string
	Counts             map[string]int // items by filter
	Rows               []itemRow
	Pages              pager
	Any                bool
}

// itemFilters are what the list can be narrowed to [OPS-1].
var itemFilters = map[string]func(*itemRow) bool{
	"active":  func(r *itemRow) bool { return !r.Removed && (inForce(&r.Item) || r.State == "not yet effective") },
	"expired": func(r *itemRow) bool { return !r.Removed && r.State == "expired" },
	"revoked": func(r *itemRow) bool { return r.Removed || r.State == "revoked" || r.State == "suspended" },
	"all":     func(*itemRow) bool { return true },
}

// itemSorts are the orders of the list.
var itemSorts = map[string]func(a, b *itemRow) int{
	"name":   func(a, b *itemRow) int { return 0 },
	"expiry": func(a, b *itemRow) int { return a.Expiry.Compare(b.Expiry) },
	"used":   func(a, b *itemRow) int { return -cmp.Compare(a.Gauge.Percent, b.Gauge.Percent) },
	"quota":  func(a, b *itemRow) int { return -cmp.Compare(a.Quota, b.Quota) },
}

func showItems(x *exchange) error {
	rows, err := x.items()
	if err != nil {
		return err
	}
	q := x.r.URL.Query()
	data := itemsPage{Search: strings.TrimSpace(q.Get("search")), Show: q.Get("show"), Sort: q.Get("sort"), Counts: map[string]int{}, Any: len(rows) > 0}
	if itemFilters[data.Show] == nil {
		data.Show = "active"
	}
	order := itemSorts[data.Sort]
	if order == nil {
		data.Sort, order = "name", itemSorts["name"]
	}
	for i := range rows {
		if !rows[i].matches(data.Search) {
			continue
		}
		for name, filter := range itemFilters {
			if filter(&rows[i]) {
				data.Counts[name]++
			}
		}
		if itemFilters[data.Show](&rows[i]) {
			data.Rows = append(data.Rows, rows[i])
		}
	}
	slices.SortStableFunc(data.Rows, func(a, b itemRow) int { return cmp.Or(order(&a, &b), strings.Compare(a.Name, b.Name)) })
	data.Rows, data.Pages = paged("items", q, data.Rows)
	return x.show("items", "Items", &data)
}

// matches says whether every word of a search stands somewhere in the item.
func (r *itemRow) matches(search string) bool {
	text := strings.ToLower(strings.Join(slices.Concat(
		[]string{r.Name, r.Description, r.Product, r.Edition, r.Deployment, r.ChargeWay, r.OrganizationID, r.State}, r.Modules, r.Projects), " "))
	for _, word := range strings.Fields(strings.ToLower(search)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// itemPage is one item with all its terms.
type itemPage struct {
	Item     itemRow
	File     admin.LicenseFile
	Projects []admin.Project
	Terms    []term
}

// term is a term of an item in words.
type term struct{ Name, Value string }

func showItem(x *exchange) error {
	var data itemPage
	var item admin.Item
	if err := x.api.get(at("items", x.r.PathValue("licenseId"), x.r.PathValue("itemId")), &item); err != nil {
		return err
	}
	if err := x.api.get(at("license-files", item.LicenseID), &data.File); err != nil {
		return err
	}
	var projects admin.ProjectList
	if err := x.api.get("projects", &projects); err != nil {
		return err
	}
	for _, p := range projects.Projects {
		if slices.Contains(item.Projects, p.ID) {
			data.Projects = append(data.Projects, p)
		}
	}
	data.Item, data.Terms = rowOf(item), termsOf(&item)
	return x.show("item", item.Name, &data)
}

// termsOf are the terms that an item has beyond quota and time.
func termsOf(i *admin.Item) []term {
	any := func(words []string) string { return cmp.Or(strings.Join(words, ", "), "any") }
	list := []term{
		{"Product", i.Product}, {"Versions", any(numbers(i.Versions))}, {"Edition", cmp.Or(i.Edition, "any")},
		{"Deployment", cmp.Or(i.Deployment, "any")}, {"Modules", any(i.Modules)},
	}
	add := func(name, value string, there bool) {
		if there {
			list = append(list, term{name, value})
		}
	}
	add("Tolerance", number(i.TolerancePercent)+" %, up to "+number(i.Usage.Limit), i.TolerancePercent > 0)
	add("Active time", length(i.ActiveTimeSeconds), i.ActiveTimeSeconds > 0)
	add("Active time begins", "at first use", i.ActiveFromFirstUse)
	add("Works offline for", length(i.OfflineForSeconds), metered(i.ChargeWay) || i.ChargeWay == "domain")
	add("Grace after expiry", cmp.Or(length(i.GraceSeconds), "none"), true)
	add("Overuse budget", number(i.OveruseBudget)+" device-slots", isConcurrent(i.ChargeWay))
	add("Seats freed by hand", number(i.SeatsFreedByHandMax)+" in 30 days", i.SeatsFreedByHandMax > 0)
	add("Depends on", i.DependsOn, i.DependsOn != "")
	add("Networks", strings.Join(i.Networks, ", "), len(i.Networks) > 0)
	add("Domains", strings.Join(i.Domains, ", "), len(i.Domains) > 0)
	add("Suffixes with many tenants", strings.Join(i.ExtraSuffixes, ", "), len(i.ExtraSuffixes) > 0)
	return list
}

func numbers(versions []uint16) (list []string) {
	for _, v := range versions {
		list = append(list, number(v))
	}
	return list
}
