package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"muster/admin"
	"muster/admin/portal"
	"muster/engine"
	"muster/engine/server"
	"muster/internal/build"
	"muster/internal/notices"
	"muster/storage"
)

// Files in the data directory with which the machine's own CLI finds the
// server, and with which a newcomer sets it up. All are 0600.
const (
	urlFile   = "admin.url"
	tokenFile = "local.token"
	setupFile = "setup-code"
)

// adminConnectionsMax bounds the connections to the admin port, so that they
// leave the journal its open files; more wait until one ends.
const adminConnectionsMax = reservedFiles / 2

// adminPlane is the HTTP side of a program.
type adminPlane struct {
	listener net.Listener
	http     *http.Server
	serving  atomic.Pointer[serving] // nil until the state is recovered
	endLoops context.CancelFunc      // of what runs beside requests
}

// serving is what exists once the state is recovered.
type serving struct {
	core    *engine.Core
	decider *server.Decider
	store   *storage.Store
}

// Do implements admin.Ledger.
func (a *adminPlane) Do(ctx context.Context, f func(*engine.Core) error) error {
	s := a.serving.Load()
	if s == nil {
		return admin.ErrUnavailable
	}
	err := s.decider.Do(ctx, f)
	if errors.Is(err, server.ErrStopping) {
		return fmt.Errorf("%w: %w", admin.ErrUnavailable, err)
	}
	return err
}

func (a *adminPlane) catalog() *engine.Catalog {
	if s := a.serving.Load(); s != nil {
		return s.core.Catalog()
	}
	return nil
}

func (a *adminPlane) tallies(visit func(uint32, engine.Code, uint64)) {
	if s := a.serving.Load(); s != nil {
		s.core.Tallies(visit)
	}
}

// openAdmin opens the admin port. The API answers 503 until the state is recovered.
func (p *program) openAdmin() error {
	l, err := net.Listen("tcp", p.config.Admin)
	if err != nil {
		return fmt.Errorf("admin API: %w; choose another --admin address, or stop what uses it", err)
	}
	token, err := secretFile(p.path(tokenFile))
	if err != nil {
		l.Close()
		return err
	}
	if p.dir.Fresh {
		if _, err := secretFile(p.path(setupFile)); err != nil {
			l.Close()
			return err
		}
	}
	secure, err := p.adminTLS()
	if err != nil {
		l.Close()
		return err
	}
	p.admin.listener = l
	scheme := "http://"
	if secure != nil {
		scheme = "https://"
	}
	p.url = scheme + reachable(l.Addr().String())
	if err := storage.WriteFile(p.path(urlFile), []byte(p.url+"\n")); err != nil {
		l.Close()
		return err
	}
	api := admin.New(p.adminConfig(token))
	api.Metrics.MustRegister(admin.NewRuntimeCollector(p.runtimeSource()))
	p.admin.http = &http.Server{
		Handler: p.adminHandler(api), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10, ErrorLog: log.New(httpLog{p.notices}, "", 0),
	}
	silent := &silentConns{conns: map[net.Conn]bool{}}
	p.admin.http.ConnState = silent.note
	p.admin.http.RegisterOnShutdown(silent.close)
	p.admin.http.RegisterOnShutdown(api.EndEvents)
	ctx, cancel := context.WithCancel(context.Background())
	p.admin.endLoops = cancel
	go api.RunAlerts(ctx)
	limited := netutil.LimitListener(l, adminConnectionsMax)
	serve := p.admin.http.Serve
	if secure != nil {
		p.admin.http.TLSConfig = secure
		serve = func(l net.Listener) error { return p.admin.http.ServeTLS(l, "", "") }
	}
	go func() {
		if err := serve(limited); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("the admin API ended; devices are served on", "error", err)
		}
	}()
	return nil
}

// httpLog tells what net/http has to say: of handshakes that failed, for the most
// part, because a client does not trust the certificate.
type httpLog struct{ notices *notices.Log }

func (l httpLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	cause, message := "http", "the admin port's HTTP server complains"
	if strings.Contains(text, "TLS handshake error") {
		cause, message = "tls", "a client of the admin port could not agree on TLS; let it trust the certificate (muster --ca), or use http:// when there is no TLS"
	}
	l.notices.Tell(slog.LevelWarn, cause, 1, message, "error", text)
	return len(line), nil
}

// adminHandler serves the API, and the portal where the API is not.
func (p *program) adminHandler(api *admin.Admin) http.Handler {
	handler := api.Handler()
	mux := http.NewServeMux()
	for _, path := range []string{"/api/", "/healthz", "/readyz", "/metrics"} {
		mux.Handle(path, handler)
	}
	mux.Handle("/", api.Guarded(portal.New(portal.Config{API: handler, Now: p.now, Log: p.log})))
	return mux
}

// reachable turns an address that listens everywhere into one to connect to.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

func (p *program) adminConfig(token string) admin.Config {
	return admin.Config{
		Ledger: &p.admin, Catalog: p.admin.catalog, Tallies: p.admin.tallies,
		Ready: p.front.Ready, Now: p.clock.Now, ClockOffset: p.clock.Offset, Backup: p.backup, DiskLow: p.disk.low.Load, AcceptClock: p.clock.Accept, Version: build.Version(), Started: p.now(),
		HandshakeKey: p.identity.Public.HandshakeKey, Server: p.identity.Public.UUID(), Mode: p.identity.Public.Mode, Moved: p.identity.Moved,
		RotateTickets: func(endSessions bool) (uint32, error) { return p.tickets.Rotate(p.now(), endSessions) },
		DeviceAddr:    func() string { return p.front.Addr().String() },
		Hosts:         p.config.AdminHosts, LocalToken: token, URL: p.url, AlertInterval: p.config.AlertInterval, MetricsToken: p.config.MetricsToken,
		SetupCode: func() string {
			code, _ := os.ReadFile(p.path(setupFile)) // gone: used up
			return strings.TrimSpace(string(code))
		},
		SetupDone: func() error { return os.Remove(p.path(setupFile)) },
		Metrics:   admin.NewRegistry(build.Version()), Log: p.log,
	}
}

// backup writes a backup of what is served [OPS-5].
func (p *program) backup(w io.Writer) error {
	return p.dir.Backup(w, p.store, time.Now(), func(f func()) error {
		return p.decider.Do(context.Background(), func(*engine.Core) error {
			f()
			return nil
		})
	})
}

func (p *program) path(name string) string { return filepath.Join(p.config.Data, name) }

// closeAdmin lets requests under way end, until ctx does.
func (p *program) closeAdmin(ctx context.Context) error {
	p.admin.endLoops()
	_ = os.Remove(p.path(urlFile)) // no server to find there any more
	err := p.admin.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		p.log.Warn("requests to the admin port that took too long were cut off: the server stops")
		return p.admin.http.Close()
	}
	return err
}

// silentConns are the connections that have sent no request yet. Browsers keep
// some ready, and a shutdown would wait for them.
type silentConns struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

func (s *silentConns) note(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == http.StateNew {
		s.conns[c] = true
	} else {
		delete(s.conns, c)
	}
}

func (s *silentConns) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// runtimeSource is what the process shows in metrics beside licensing.
func (p *program) runtimeSource() admin.RuntimeSource {
	var none server.DeciderStats
	stats := func() *server.DeciderStats {
		if s := p.admin.serving.Load(); s != nil {
			return &s.decider.Stats
		}
		return &none
	}
	histogram := func(name, help string, of func(*server.DeciderStats) *server.Histogram) admin.RuntimeHistogram {
		return admin.RuntimeHistogram{Name: name, Help: help, Snapshot: func() (int, []uint64, float64) {
			if p.admin.serving.Load() == nil {
				return 0, nil, 0
			}
			return of(stats()).Snapshot()
		}}
	}
	value := func(name, help string, of func() float64) admin.RuntimeValue {
		return admin.RuntimeValue{Name: name, Help: help, Value: of}
	}
	count := func(name, help string, n *atomic.Uint64) admin.RuntimeValue {
		return value(name, help, func() float64 { return float64(n.Load()) })
	}
	decided := func(name, help string, of func(*server.DeciderStats) *atomic.Uint64) admin.RuntimeValue {
		return value(name, help, func() float64 { return float64(of(stats()).Load()) })
	}
	f, u := &p.front.Stats, &p.front.UDP
	return admin.RuntimeSource{
		Histograms: []admin.RuntimeHistogram{
			histogram("muster_batch_requests", "Requests that one event loop handed to the decider at once.", func(s *server.DeciderStats) *server.Histogram { return &s.BatchSize }),
			histogram("muster_journal_commit_seconds", "Time to write and sync one journal entry.", func(s *server.DeciderStats) *server.Histogram { return &s.CommitSeconds }),
			histogram("muster_checkpoint_pause_seconds", "Pause of the decider for the begin of a checkpoint, and for each of its steps.", func(s *server.DeciderStats) *server.Histogram { return &s.CopySeconds }),
		},
		Counters: []admin.RuntimeValue{
			decided("muster_journal_entries_total", "Journal entries written.", func(s *server.DeciderStats) *atomic.Uint64 { return &s.Entries }),
			decided("muster_journal_written_bytes_total", "Bytes of effects written to the journal.", func(s *server.DeciderStats) *atomic.Uint64 { return &s.EntryBytes }),
			decided("muster_checkpoints_begun_total", "Checkpoint passes begun: one is under way while these are more than the complete ones.", func(s *server.DeciderStats) *atomic.Uint64 { return &s.Begun }),
			decided("muster_checkpoints_total", "Complete checkpoint passes.", func(s *server.DeciderStats) *atomic.Uint64 { return &s.Passes }),
			count("muster_connections_accepted_total", "Device connections accepted.", &f.Accepted),
			count("muster_connections_refused_total", "Device connections closed for the limit of connections, or of bytes of incomplete records.", &f.Refused),
			count("muster_connections_limited_total", "Device connections and handshakes turned away because their source address made too many.", &f.Limited),
			count("muster_connections_overdue_total", "Device connections closed because their time was over: for a record, or idle.", &f.Overdue),
			count("muster_connections_slow_total", "Device connections closed because their answers were not read.", &f.SlowReaders),
			count("muster_handshakes_total", "Handshakes that gave a ticket.", &f.Handshakes),
			count("muster_records_malformed_total", "Records or messages that could not be read.", &f.Malformed),
			count("muster_records_unsealed_total", "Records that did not open under their ticket.", &f.Unsealed),
			count("muster_tickets_unknown_total", "Records under an unknown or expired ticket.", &f.UnknownTickets),
			count("muster_busy_total", "Requests and handshakes answered busy.", &f.Busy),
			count("muster_datagrams_received_total", "Datagrams from devices.", &u.Received),
			count("muster_datagrams_sent_total", "Datagrams to devices.", &u.Sent),
			count("muster_datagrams_malformed_total", "Datagrams that are no record, or could not be read.", &u.Malformed),
			count("muster_datagrams_stranger_total", "Datagrams under a ticket that this server did not make, or that expired.", &u.Strangers),
			count("muster_datagrams_unsealed_total", "Datagrams that did not open under their ticket.", &u.Unsealed),
			count("muster_datagrams_limited_total", "Datagrams dropped because their source or the server was too busy for new ones.", &u.Limited),
			count("muster_datagrams_too_large_total", "Answers that would have been longer than the datagram they answer.", &u.TooLarge),
			count("muster_panics_total", "Records that caused a panic.", &f.Panics),
		},
		Gauges: []admin.RuntimeValue{
			value("muster_connections", "Open device connections.", func() float64 { return float64(f.Connections.Load()) }),
			value("muster_connections_unread_bytes", "Bytes of answers that wait for devices to read them.", func() float64 { return float64(f.Outbound.Load()) }),
			value("muster_connections_incomplete_bytes", "Bytes of incomplete records that connections hold.", func() float64 { return float64(f.Inbound.Load()) }),
			value("muster_clock_offset_seconds", "By how much the machine's clock is ahead of the time in use, while it jumped and is not followed; else 0.", func() float64 { return p.clock.Offset().Seconds() }),
			value("muster_disk_free_bytes", "Free space on the disk of the data directory.", func() float64 { return float64(p.disk.free.Load()) }),
			value("muster_disk_low", "1 while the disk is nearly full and devices are not served.", func() float64 {
				if p.disk.low.Load() {
					return 1
				}
				return 0
			}),
			value("muster_ready", "1 while devices are served.", func() float64 {
				if p.front.Ready() {
					return 1
				}
				return 0
			}),
			decided("muster_streams", "Rows of the device table: streams of client UUIDs.", func(s *server.DeciderStats) *atomic.Uint64 { return &s.Devices }),
			decided("muster_journal_index", "Index of the last durable journal entry.", func(s *server.DeciderStats) *atomic.Uint64 { return &s.Index }),
			decided("muster_checkpoint_index", "Journal index at which the last complete checkpoint began.", func(s *server.DeciderStats) *atomic.Uint64 { return &s.PassIndex }),
			value("muster_journal_bytes", "Size of the journal's segments.", func() float64 {
				if s := p.admin.serving.Load(); s != nil {
					return float64(s.store.Journal.Bytes())
				}
				return 0
			}),
		},
	}
}
