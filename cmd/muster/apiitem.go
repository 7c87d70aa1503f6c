package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"muster/admin"
	"muster/license"
)

func (a *apiFlags) itemCommands() *cobra.Command {
	list := a.command("list", "List the license items and their use", cobra.NoArgs, func(s *session, _ []string) error {
		list, err := allPages(s, "items", func(all, page *admin.ItemList) uint32 {
			all.Items = append(all.Items, page.Items...)
			return page.Next
		})
		if err != nil {
			return err
		}
		return s.show(func(t *table) { showItems(t, list.Items) })
	})
	show := a.command("show LICENSE/ITEM", "Show a license item", cobra.ExactArgs(1), func(s *session, args []string) error {
		licenseID, itemID, ok := strings.Cut(args[0], "/")
		if !ok {
			return usageError("item %q: expected LICENSE/ITEM as \"muster item list\" shows it", args[0])
		}
		var i admin.Item
		if err := s.call(http.MethodGet, apiPath("items", licenseID, itemID), nil, &i); err != nil {
			return err
		}
		return s.show(func(t *table) { showTerms(t, &i); showUse(t, &i) })
	})
	return group("item", "Look at license items", list, show)
}

func showItems(t *table, items []admin.Item) {
	t.row("ITEM", "STATE", "PRODUCT", "CHARGE WAY", "QUOTA", "USES", "HELD", "EXPIRES", "PROJECTS")
	for _, i := range items {
		t.row(i.Name, i.State, i.Product, i.ChargeWay, i.Quota, i.Usage.Uses, i.Usage.Held, i.Expiry, i.Projects)
	}
}

// showTerms prints what the vendor signed. What is not limited is "any".
func showTerms(t *table, i *admin.Item) {
	t.row("item", i.Name)
	t.row("description", i.Description)
	t.row("state", i.State)
	t.row("suspended", i.Suspended)
	t.row("organization", i.OrganizationID)
	t.row("product", i.Product)
	t.row("versions", anyOf(strings.Trim(fmt.Sprint(i.Versions), "[]")))
	t.row("edition", anyOf(i.Edition))
	t.row("deployment", anyOf(i.Deployment))
	t.row("modules", anyOf(strings.Join(i.Modules, ", ")))
	t.row("networks", anyOf(strings.Join(i.Networks, ", ")))
	t.row("domains", i.Domains)
	t.row("depends on", i.DependsOn)
	t.row("charge way", i.ChargeWay)
	t.row("start", i.Start)
	t.row("expiry", i.Expiry)
	t.row("end of grace", i.End)
	t.row("offline for", license.FormatDuration(i.OfflineForSeconds))
}

func anyOf(s string) string {
	if s == "" {
		return "any"
	}
	return s
}

func showUse(t *table, i *admin.Item) {
	t.row("quota", i.Quota)
	t.row("limit", i.Usage.Limit)
	t.row("uses", i.Usage.Uses)
	t.row("held", i.Usage.Held)
	t.row("authorizations", i.Usage.Authorizations)
	t.row("reports", i.Usage.Reports)
	t.row("projects", i.Projects)
}
