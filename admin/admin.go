package admin

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"muster/engine"
	"muster/internal/notices"
	"muster/license"
)

// Limits of what a request may hold, in bytes.
const (
	textMax      = 64 << 10            // JSON bodies, vendor keys
	fileMax      = license.FileSizeMax // license files [FILE-1]
	multipartMax = 64 << 10            // what a form adds to the file in it
)

// Ledger runs changes in the decider.
type Ledger interface {
	// Do runs f once, in order with all decisions, and returns when what it
	// changed is durable. It returns f's error, or why f did not run; that it
	// never will while the server stops is ErrUnavailable.
	Do(ctx context.Context, f func(*engine.Core) error) error
}

// ErrUnavailable is what a Ledger wraps when the server is starting or
// stopping; callers get 503.
var ErrUnavailable = errors.New("the server is starting or stopping")

// Config is what the API is made of. Fields without a remark are required.
type Config struct {
	Ledger  Ledger
	Catalog func() *engine.Catalog // of the last durable batch; nil before recovery is done
	// Tallies counts decisions for metrics, as engine.Core.Tallies does; it is
	// called only while there is a catalog.
	Tallies func(visit func(project uint32, code engine.Code, n uint64))
	Ready   func() bool  // devices are served
	Now     func() int64 // the time that everything is decided by, unix nanoseconds
	DiskLow func() bool  // the disk is nearly full, so devices are not served
	// Backup writes a backup of all that there is.
	Backup func(w io.Writer) error
	// ClockOffset is by how much the machine's clock is ahead of Now while it
	// jumped and is not followed, else 0. AcceptClock follows it from now on and
	// returns what it says, in unix nanoseconds.
	ClockOffset func() time.Duration
	AcceptClock func() int64

	Version string
	Started time.Time

	HandshakeKey [32]byte
	Server       license.UUID
	Mode         license.Binding
	Moved        bool // the hardware changed since the last start [SRV-2]
	// RotateTickets makes a new ticket key at once and returns its number; with
	// endSessions the older keys are forgotten.
	RotateTickets func(endSessions bool) (epoch uint32, err error)
	DeviceAddr    func() string // host:port where devices are served (TCP); "" before the port is open

	Hosts      []string // names, beside loopback ones and IP addresses, under which the API is reached
	LocalToken string   // the machine's own token, of write scope; "" for none

	// URL is the address of the web portal, for links in alerts, until the operator
	// sets another.
	URL string
	// AlertInterval is how often alerts are evaluated by RunAlerts.
	AlertInterval time.Duration

	// MetricsToken asks for a token for /metrics from loopback too.
	MetricsToken bool

	SetupCode func() string // the one-time code, "" when it is used up [OPS-2]
	SetupDone func() error  // uses it up

	Metrics *prometheus.Registry // where /metrics comes from; nil for one with the product's metrics alone
	Log     *slog.Logger
}

// Admin is the API over one server.
type Admin struct {
	Config
	local   [sha256.Size]byte // of LocalToken
	notices *notices.Log
	setup   setupGuard
	logins  loginGuard

	tokens   records[tokenObject]
	accounts records[accountObject]
	sessions records[sessionObject]
	audit    auditHead
	hashing  chan struct{} // room for passwordWork
	events   *listeners
	alerting alerting
}

// New makes the API and registers its collector with c.Metrics.
func New(c Config) *Admin {
	a := &Admin{Config: c, notices: notices.New(c.Log), local: sha256.Sum256([]byte(c.LocalToken)), hashing: make(chan struct{}, passwordWork), events: newListeners()}
	a.tokens.kind, a.accounts.kind, a.sessions.kind = objectToken, objectAccount, objectSession
	a.alerting.init()
	if a.Metrics == nil {
		a.Metrics = prometheus.NewRegistry()
	}
	a.Metrics.MustRegister(&collector{a})
	return a
}

// route is one operation of the API.
type route struct {
	method, path string
	scope        Scope
	bodyMax      int64    // bytes
	asks         bool     // it changes nothing, whatever its method
	query        []string // parameters it knows; any other is refused
	doc          doc
	handle       func(w http.ResponseWriter, r *http.Request) error
}

func (a *Admin) routes() []route {
	return slices.Concat(
		a.healthRoutes(), a.setupRoutes(), a.tokenRoutes(), a.serverRoutes(), a.backupRoutes(), a.vendorKeyRoutes(),
		a.licenseFileRoutes(), a.itemRoutes(), a.projectRoutes(), a.keyRoutes(),
		a.deviceRoutes(), a.accountRoutes(), a.sessionRoutes(), a.auditRoutes(), a.statisticRoutes(), a.eventRoutes(), a.alertRoutes(), a.openAPIRoutes(),
	)
}

// Handler serves the API, /healthz, /readyz and /metrics.
func (a *Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, rt := range a.routes() {
		mux.HandleFunc(rt.method+" "+rt.path, a.serve(rt))
		methods[rt.path] = append(methods[rt.path], rt.method)
	}
	for path, allowed := range methods {
		mux.HandleFunc(path, a.serve(methodNotAllowed(path, allowed)))
	}
	mux.HandleFunc("/", a.serve(route{handle: noSuchRoute}))
	return a.Guarded(mux)
}

// serve wraps a route: who asks, what the request may hold, and what becomes of
// its error.
func (a *Admin) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := a.enter(rt, w, r)
		if err == nil {
			err = rt.handle(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, who)))
		}
		if err != nil {
			a.writeProblem(w, r, err)
		} else if rt.method != http.MethodGet && !rt.asks {
			a.Log.Info("admin change", "method", rt.method, "path", r.URL.Path, "by", who.name)
		}
	}
}

// enter checks what all routes have in common.
func (a *Admin) enter(rt route, w http.ResponseWriter, r *http.Request) (caller, error) {
	r.Body = http.MaxBytesReader(w, r.Body, rt.bodyMax)
	who, err := a.authorize(rt.scope, r)
	if err != nil || rt.method == "" {
		return who, err
	}
	for name := range r.URL.Query() {
		if !slices.Contains(rt.query, name) {
			return who, refusedField(http.StatusBadRequest, "unknown-parameter", name, "%s has no parameter %q; %s", rt.path, name, known(rt.query))
		}
	}
	return who, nil
}

func methodNotAllowed(path string, allowed []string) route {
	return route{handle: func(w http.ResponseWriter, r *http.Request) error {
		for _, method := range allowed {
			w.Header().Add("Allow", method)
		}
		return refusal(http.StatusMethodNotAllowed, "method-not-allowed", "%s does not take %s; it takes %s", path, r.Method, joined(allowed, "and"))
	}}
}

func noSuchRoute(_ http.ResponseWriter, r *http.Request) error {
	return refusal(http.StatusNotFound, "not-found", "there is nothing at %q; the API begins at /api/v1/, see docs/API.md", r.URL.Path)
}

// catalog is the published catalog, or the refusal while there is none.
func (a *Admin) catalog() (*engine.Catalog, error) {
	if c := a.Catalog(); c != nil {
		return c, nil
	}
	return nil, notReady()
}

// edit runs a change, or a look at what is the decider's alone, in the decider
// once there is one.
func (a *Admin) edit(ctx context.Context, f func(*engine.Core) error) error {
	if a.Catalog() == nil {
		return notReady()
	}
	return a.Ledger.Do(ctx, f)
}

func (a *Admin) now() int64 { return a.Now() / 1e9 }
