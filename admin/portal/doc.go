// Package portal is the web portal of an operator [OPS-1]: pages of HTML that are
// made on the server, with a little script for what gains by it.
//
// The portal holds no rule and no state of its own. It is a client of the admin
// API in the same process: every read and every change is a request to /api/v1
// that carries the browser's own session, see api. So what an account may do, what
// is refused and what the audit says is decided in one place, and everything that
// the portal does, the API does [OPS-3].
//
// # Pages
//
// A route of GET shows a page; a route of POST makes one change and sends the
// browser back to a page (303), so that reloading repeats nothing. A change that
// the API refuses shows the page again, with everything that stood in the form and
// the API's reason beside the field, see form. Scripts ask for the same pages and
// put a part of them in place: without scripts all of it works but live numbers,
// charts and dragging.
//
// A viewer, who has read scope, gets pages without any control that changes
// something, and without license keys. That is for calm alone: the API would refuse.
//
// # Addresses
//
// All addresses in pages are relative to the portal's root, which pages name by
// their own depth (<base href="../">). So the portal works below any path of a
// reverse proxy, without being told which.
package portal
