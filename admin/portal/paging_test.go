package portal

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"muster/admin"
	"muster/license"
)

var linkOn = regexp.MustCompile(`rel="next" href="([^"]+)"`)

// A list that is longer than a page is reached to its end by its links, as it was
// searched and sorted.
func TestLongLists(t *testing.T) { // [OPS-1]
	b := newBed(t)
	b.imported("scan")
	for i := range 2*rowsShown + 4 {
		b.call("POST", "projects", admin.NewProject{Name: fmt.Sprintf("Dock %03d", i), Suffix: fmt.Sprintf("dock%03d", i)}, nil)
	}
	v := b.as(admin.RoleViewer)
	seen := map[string]bool{}
	pages := 0
	for path := "/projects?search=dock"; path != ""; pages++ {
		g := v.page(path)
		g.lacks("Warehouse") // the search goes along
		for _, m := range regexp.MustCompile(`href="projects/(2001-dock\d+)"`).FindAllStringSubmatch(g.body, -1) {
			if seen[m[1]] {
				t.Errorf("%s: %s again", path, m[1])
			}
			seen[m[1]] = true
		}
		path = ""
		if m := linkOn.FindStringSubmatch(g.body); m != nil {
			path = "/" + strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	if pages != 3 || len(seen) != 2*rowsShown+4 {
		t.Errorf("%d pages with %d projects", pages, len(seen))
	}
	v.page("/projects?search=dock&page=2").has("101 to 200 of 204", `rel="prev" href="projects?page=1&amp;search=dock"`)
	v.page("/projects?search=dock&page=99").has("201 to 204 of 204")
	v.page("/projects?search=dock&page=-1").has("1 to 100 of 204")
	v.page("/projects?search=dock00").lacks("Pages")

	var items [][]license.Field
	for i := range 2 * rowsShown {
		items = append(items, itemOf(fmt.Sprintf("i%03d", i), "scan", "100"))
	}
	b.call("POST", "license-files", b.signed("1002", 1, items), nil)
	v.page("/items?sort=expiry").has("1 to 100 of 201", `href="items?page=2&amp;sort=expiry"`)
	v.page("/items?page=3").has("201 to 201 of 201", "1002/i199")
}
