package admin

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Guarded puts the walls that need no token before other pages of this origin, as
// they stand before the API.
func (a *Admin) Guarded(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(a.serve(route{handle: refuseOrigin}))
	return secured(a.hostChecked(origins.Handler(next)))
}

func refuseOrigin(_ http.ResponseWriter, r *http.Request) error {
	return refusal(http.StatusForbidden, "cross-origin", "a web page of %q may not change anything here", r.Header.Get("Origin"))
}

// secured sets the headers that keep answers out of caches, frames and scripts.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}

// hostChecked refuses requests for names that are not this server's. A web page
// whose name was made to point here (DNS rebinding) shares its origin with this
// API, and the Host header is what gives it away; an IP address cannot be rebound.
func (a *Admin) hostChecked(next http.Handler) http.Handler {
	refuse := a.serve(route{handle: func(_ http.ResponseWriter, r *http.Request) error {
		return refusal(http.StatusMisdirectedRequest, "unknown-host", "this server is not known as %q; use its IP address, or add the name to the hosts of the admin API", r.Host)
	}})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.knownHost(r.Host) {
			refuse(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *Admin) knownHost(hostPort string) bool {
	host := hostOf(hostPort)
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return isLoopbackName(host) || slices.ContainsFunc(a.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

func isLoopbackName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// hostOf is a Host header without the port and without brackets.
func hostOf(hostPort string) string {
	if host, _, err := net.SplitHostPort(hostPort); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostPort, "["), "]")
}

// isLoopback says whether a host is reached on its own machine only.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return isLoopbackName(host) || err == nil && ip.Unmap().IsLoopback()
}

// fromLoopback says whether a request was made on this machine, by nobody else's
// leave: a proxy beside the server forwards strangers.
func fromLoopback(r *http.Request) bool {
	for _, forwarded := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(forwarded) != "" {
			return false
		}
	}
	return isLoopback(hostOf(r.RemoteAddr))
}
