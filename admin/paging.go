package admin

import (
	"net/http"
	"strconv"
)

// listPageMax is how many items or projects a page has at most. Who asks for no
// page gets all of them: they are few, and clients of old know no pages.
const listPageMax = 1000

// cursorOf is where the page before ended; 0: there was none.
func cursorOf(r *http.Request) (uint32, error) {
	text := r.URL.Query().Get("after")
	if text == "" {
		return 0, nil
	}
	after, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, badParameter("after", text, "the \"next\" of a page before")
	}
	return uint32(after), nil
}

// listPage is the page that a request asks for of objects by ordinal, some of
// which are nil, and where it ended; 0: there is no more.
func listPage[T any](r *http.Request, objects []*T) (page []*T, next uint32, err error) {
	after, err := cursorOf(r)
	if err != nil {
		return nil, 0, err
	}
	_, limit, err := pageOf(r, 0, listPageMax)
	if err != nil {
		return nil, 0, err
	}
	for ordinal := uint64(after) + 1; ordinal < uint64(len(objects)); ordinal++ {
		if objects[ordinal] == nil {
			continue
		}
		if limit > 0 && uint64(len(page)) == limit {
			return page, next, nil
		}
		page, next = append(page, objects[ordinal]), uint32(ordinal)
	}
	return page, 0, nil
}
