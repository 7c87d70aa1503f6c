package admin

import (
	"fmt"
	"slices"
	"testing"
)

// Lists are read page by page, all of them and each once; who asks for no page
// gets the whole list.
func TestPages(t *testing.T) {
	b := newBed(t)
	b.imported()
	b.call(localToken, "POST", files, text(b.licenseText("1002", "2001")), created, nil)
	for i := range 7 {
		b.call(localToken, "POST", projects, jsonBody(`{"name": "p", "suffix": "p%d"}`, i), created, nil)
	}
	read := func(limit int) (items, names []string) {
		t.Helper()
		for after := uint32(0); ; {
			var page ItemList
			b.call(localToken, "GET", fmt.Sprintf("/api/v1/items?limit=%d&after=%d", limit, after), noBody, ok, &page)
			if len(page.Items) == 0 || len(page.Items) > limit {
				t.Fatalf("a page of %d items, at most %d were asked for", len(page.Items), limit)
			}
			for _, i := range page.Items {
				items = append(items, i.Name)
			}
			if after = page.Next; after == 0 {
				break
			}
		}
		for after := uint32(0); ; {
			var page ProjectList
			b.call(localToken, "GET", fmt.Sprintf("%s?limit=%d&after=%d", projects, limit, after), noBody, ok, &page)
			if len(page.Projects) == 0 || len(page.Projects) > limit {
				t.Fatalf("a page of %d projects, at most %d were asked for", len(page.Projects), limit)
			}
			for _, p := range page.Projects {
				names = append(names, p.ID)
			}
			if after = page.Next; after == 0 {
				return items, names
			}
		}
	}
	var allItems, allProjects []string
	var list ItemList
	b.call(localToken, "GET", "/api/v1/items", noBody, ok, &list)
	for _, i := range list.Items {
		allItems = append(allItems, i.Name)
	}
	var whole ProjectList
	b.call(localToken, "GET", projects, noBody, ok, &whole)
	for _, p := range whole.Projects {
		allProjects = append(allProjects, p.ID)
	}
	if list.Next != 0 || whole.Next != 0 || len(allItems) < 4 || len(allProjects) != 9 {
		t.Errorf("%d items, %d projects; next %d, %d", len(allItems), len(allProjects), list.Next, whole.Next)
	}
	for _, limit := range []int{1, 2, 3, 4, 9, 1000} {
		if items, names := read(limit); !slices.Equal(items, allItems) || !slices.Equal(names, allProjects) {
			t.Errorf("in pages of %d: %v, %v; want %v, %v", limit, items, names, allItems, allProjects)
		}
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "after=x", "after=-1", "after=4294967296"} {
		b.refused(localToken, "GET", "/api/v1/items?"+query, noBody, 400, "bad-parameter")
		b.refused(localToken, "GET", projects+"?"+query, noBody, 400, "bad-parameter")
	}
	b.call(localToken, "GET", "/api/v1/items?after=4294967295", noBody, ok, &list)
	if len(list.Items) != 0 || list.Next != 0 {
		t.Errorf("behind the end: %+v", list)
	}
}
