package portal

import (
	"log/slog"
	"net/http"
	"slices"
	"time"

	"muster/admin"
)

// Config is what a portal is made of; all fields are required.
type Config struct {
	API http.Handler // of package admin
	Now func() time.Time
	Log *slog.Logger
}

// Portal serves the pages.
type Portal struct {
	Config
	templates map[string]*pageTemplate
	mux       *http.ServeMux
}

// New makes a portal. What is wrong with a template shows here, at the start.
func New(c Config) *Portal {
	p := &Portal{Config: c, templates: parseTemplates(), mux: http.NewServeMux()}
	p.mux.HandleFunc("GET /static/{hash}/{file...}", kept().serve)
	for _, rt := range p.routes() {
		p.mux.HandleFunc(rt.pattern, p.serve(rt))
	}
	p.mux.HandleFunc("/", p.serve(route{handle: func(*exchange) error {
		return &admin.Problem{Type: admin.ProblemPrefix + "not-found", Status: http.StatusNotFound, Title: "Not found", Detail: "There is no such page."}
	}}))
	return p
}

// route is a page, or a change that is made on one.
type route struct {
	pattern string
	open    bool  // to those who are not logged in
	bodyMax int64 // bytes; 0 for formMax
	handle  func(x *exchange) error
}

func (p *Portal) routes() []route {
	return slices.Concat(
		p.enterRoutes(), p.homeRoutes(), p.itemRoutes(), p.importRoutes(), p.projectRoutes(), p.statisticRoutes(),
		p.deviceRoutes(), p.alertRoutes(), p.auditRoutes(), p.securityRoutes(),
	)
}

// Limits of what a form may hold, in bytes.
const formMax = 256 << 10

// policy lets pages load from this server alone, and nothing that stands in them.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'self'; frame-ancestors 'none'"

// ServeHTTP serves the pages; it stands behind the walls of package admin.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	p.mux.ServeHTTP(w, r)
}

// serve wraps a route: who asks, and what becomes of its error.
func (p *Portal) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{Portal: p, w: w, r: r, api: api{handler: p.API, browser: r, cookies: w.Header()}}
		r.Body = http.MaxBytesReader(w, r.Body, max(rt.bodyMax, formMax))
		err := x.enter(rt.open)
		if err == nil {
			err = rt.handle(x)
		}
		if err != nil {
			x.fail(err)
		}
	}
}
