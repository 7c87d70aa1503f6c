package admin

import (
	"html/template"
	"log/slog"
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
	origins.SetDenyHandler(a.wall(func(r *http.Request) *Problem {
		return refusal(http.StatusForbidden, "cross-origin", "a web page of %q may not change anything here; behind a proxy, let it pass on the Host header as it came", r.Header.Get("Origin"))
	}))
	return secured(a.hostChecked(origins.Handler(next)))
}

// wall refuses every request: for programs with a problem document, for people
// with a page that needs nothing else of this server.
func (a *Admin) wall(refuse func(*http.Request) *Problem) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := refuse(r)
		from := sourceOf(r).String()
		a.notices.Tell(slog.LevelWarn, p.Kind()+" "+from, 1, "a request to the admin port was refused: "+p.Detail, "from", from)
		if !strings.Contains(r.Header.Get("Accept"), "text/html") {
			a.writeProblem(w, r, p)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(p.Status)
		_ = wallPage.Execute(w, p)
	})
}

var wallPage = template.Must(template.New("wall").Parse(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.Title}} · muster</title></head>
<body>
<h1>{{.Title}}</h1>
<p>{{.Detail}}</p>
</body>
</html>
`))

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
	refuse := a.wall(func(r *http.Request) *Problem {
		return refusal(http.StatusMisdirectedRequest, "unknown-host", "this server is not known as %q; open it by its IP address, or let its operator allow the name: muster serve --admin-host %s", hostOf(r.Host), hostOf(r.Host))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.knownHost(r.Host) {
			refuse.ServeHTTP(w, r)
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
