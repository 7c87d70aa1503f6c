package portal

import (
	"net/url"
	"strconv"
)

// rowsShown is how many rows of a list stand on a page.
const rowsShown = 100

// pager leads through a list that has more rows than a page.
type pager struct {
	To            string // the list, from the portal's root
	First, Last   int    // rows of this page, from 1
	All           int    // rows
	Before, After string // queries of the pages beside, "" for none
}

// paged are the rows of the page that the query asks for: the last one when there
// are fewer, so that a link to a page never leads nowhere.
func paged[T any](to string, query url.Values, rows []T) ([]T, pager) {
	pages := max((len(rows)+rowsShown-1)/rowsShown, 1)
	n, err := strconv.Atoi(query.Get("page"))
	if err != nil || n < 1 {
		n = 1
	}
	n = min(n, pages)
	from, end := (n-1)*rowsShown, min(n*rowsShown, len(rows))
	p := pager{To: to, First: from + 1, Last: end, All: len(rows)}
	if n > 1 {
		p.Before = pageQuery(query, n-1)
	}
	if n < pages {
		p.After = pageQuery(query, n+1)
	}
	return rows[from:end], p
}

func pageQuery(query url.Values, n int) string {
	to := url.Values{"page": {strconv.Itoa(n)}}
	for name, values := range query {
		if name != "page" {
			to[name] = values
		}
	}
	return "?" + to.Encode()
}
