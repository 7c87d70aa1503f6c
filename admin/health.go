package admin

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func (a *Admin) healthRoutes() []route {
	return []route{
		{method: "GET", path: "/healthz", handle: alive, doc: doc{"Say that the process lives", nil, plainText, []int{200}}},
		{method: "GET", path: "/readyz", handle: a.ready,
			doc: doc{"Say whether devices are served; 503 if not", nil, plainText, []int{200}}},
		{method: "GET", path: "/metrics", scope: ScopeMetrics, query: []string{"name[]"}, handle: a.metrics(),
			doc: doc{"Metrics for Prometheus", nil, plainText, []int{200}}},
	}
}

func alive(w http.ResponseWriter, _ *http.Request) error {
	return writeText(w, http.StatusOK, []byte("ok\n"))
}

func (a *Admin) ready(w http.ResponseWriter, _ *http.Request) error {
	if !a.isReady() {
		return notReady()
	}
	return writeText(w, http.StatusOK, []byte("ready\n"))
}

func (a *Admin) isReady() bool { return a.Catalog() != nil && a.Ready() }

func (a *Admin) metrics() func(http.ResponseWriter, *http.Request) error {
	handler := promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{
		EnableOpenMetrics: true,                     // who asks for it gets it
		ErrorHandling:     promhttp.ContinueOnError, // what can be read is shown, the rest is logged
		ErrorLog:          slog.NewLogLogger(a.Log.Handler(), slog.LevelError),
	})
	return func(w http.ResponseWriter, r *http.Request) error {
		handler.ServeHTTP(w, r)
		return nil
	}
}
