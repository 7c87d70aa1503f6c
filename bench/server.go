package bench

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/license"
)

// Server is a real muster server as a child process, with a vendor and a
// license of its own.
type Server struct {
	*Child
	Dir     string // holds everything; the data directory is Dir/data
	UUID    license.UUID
	URL     string // of the admin API
	Key     string // license key of the imported project
	ring    *license.KeyRing
	vendor  license.PrivateKey
	token   string
	http    http.Client
	addr    string        // where devices are served; kept over restarts
	options ServerOptions // of the last start
}

// ServerOptions are how a server is started.
type ServerOptions struct {
	Binary string   // the muster program
	Under  []string // a command with arguments that runs it, such as "ip netns exec NAME"; empty: it runs by itself
	Host   string   // where it listens; empty: 127.0.0.1
	Dir    string   // empty or new
	CPU    int      // to pin to, negative: none
	Args   []string
	Stderr io.Writer
	Items  [][]license.Field // of the license
}

// StartServer starts a server, activates a license for it and imports that, by
// the same ways a vendor and an operator go.
func StartServer(ctx context.Context, o ServerOptions) (*Server, error) {
	s := &Server{Dir: o.Dir}
	if err := s.writeVendor(); err != nil {
		return nil, err
	}
	if err := s.Restart(o); err != nil {
		return nil, err
	}
	if err := s.importLicense(ctx, o.Items); err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// writeVendor makes a vendor, whose public key the server is started with.
func (s *Server) writeVendor() (err error) {
	if s.vendor, err = license.GenerateKey("Demo Vendor", rand.Reader); err != nil {
		return err
	}
	s.ring = &license.KeyRing{}
	if err := s.ring.Add(s.vendor.Public()); err != nil {
		return err
	}
	pub, err := s.vendor.Public().MarshalText()
	if err != nil {
		return err
	}
	return os.WriteFile(s.VendorKey(), pub, 0o600)
}

// Remote is a server that runs already: its counters can be asked for, with a
// token of its admin API, nothing else. Of ca, PEM, it trusts the certificates;
// nil: those that the system trusts.
func Remote(url, token string, ca []byte) (*Server, error) {
	s := &Server{URL: strings.TrimSuffix(url, "/"), token: token}
	if ca == nil {
		return s, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("no certificate (PEM) to trust the admin API by")
	}
	s.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	return s, nil
}

// DataDir is the server's data directory.
func (s *Server) DataDir() string { return filepath.Join(s.Dir, "data") }

// VendorKey is the file with the vendor's public key.
func (s *Server) VendorKey() string { return filepath.Join(s.Dir, "vendor.pub") }

// Ring holds the vendor's key, as an application embeds it.
func (s *Server) Ring() *license.KeyRing { return s.ring }

// Restart starts the process on the same directory, after it has ended.
func (s *Server) Restart(o ServerOptions) (err error) {
	host := cmp.Or(o.Host, "127.0.0.1")
	args := append([]string{o.Binary, "serve", "--data", s.DataDir(), "--vendor-key", s.VendorKey(),
		"--listen", cmp.Or(s.addr, host+":0"), "--admin", host + ":0", "--binding", "key", "--log-level", "warn"}, o.Args...)
	args = append(slices.Clone(o.Under), args...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = o.Stderr
	child, err := startChild(cmd, o.CPU, func(line string) bool {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "devices" {
			s.addr = f[1]
		}
		return strings.TrimSpace(line) == "ready"
	})
	if err != nil {
		return err
	}
	s.Child, s.options = child, o
	token, err := os.ReadFile(filepath.Join(s.DataDir(), "local.token"))
	if err != nil {
		return err
	}
	url, err := os.ReadFile(filepath.Join(s.DataDir(), "admin.url"))
	if err != nil {
		return err
	}
	s.token, s.URL = strings.TrimSpace(string(token)), strings.TrimSpace(string(url))
	return nil
}

func (s *Server) importLicense(ctx context.Context, items [][]license.Field) error {
	var server struct{ UUID license.UUID }
	if err := s.api(ctx, "GET", "/api/v1/server", nil, &server); err != nil {
		return err
	}
	s.UUID = server.UUID
	now := time.Now().Unix()
	header := []license.Field{{Name: "LicenseId", Value: "100001"}, {Name: "OrganizationID", Value: "200001"}, {Name: "Bindings", Value: "key"}}
	file, err := license.Draft(header, items, now)
	if err != nil {
		return err
	}
	if file, err = license.Activate(file, []license.UUID{s.UUID}, now); err != nil {
		return err
	}
	text, err := file.Sign(s.vendor)
	if err != nil {
		return err
	}
	var imported struct{ Project string }
	if err := s.api(ctx, "POST", "/api/v1/license-files?project=new&name=Demo", text, &imported); err != nil {
		return err
	}
	var key struct{ LicenseKey string }
	if err := s.api(ctx, "GET", "/api/v1/projects/"+imported.Project+"/key", nil, &key); err != nil {
		return err
	}
	s.Key = key.LicenseKey
	return nil
}

// Counted is what the server counts for an item.
type Counted struct {
	Name  string `json:"name"`
	Usage struct {
		Uses           uint64 `json:"uses"`
		Held           uint64 `json:"held"`
		Authorizations uint64 `json:"authorizations"`
	} `json:"usage"`
}

// Counts asks the server what it counts.
func (s *Server) Counts(ctx context.Context) ([]Counted, error) {
	var list struct{ Items []Counted }
	return list.Items, s.api(ctx, "GET", "/api/v1/items", nil, &list)
}

// Metrics are the server's metrics that have no labels, by name.
func (s *Server) Metrics(ctx context.Context) (map[string]float64, error) {
	text, err := s.call(ctx, "GET", "/metrics", nil)
	values := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			values[name] = v
		}
	}
	return values, err
}

// api makes one call of the admin API.
func (s *Server) api(ctx context.Context, method, path string, body []byte, result any) error {
	data, err := s.call(ctx, method, path, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, result)
}

func (s *Server) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	if body != nil {
		req.Header.Set("Content-Type", "text/plain")
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("admin API: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("admin API: %w", err)
	}
	if resp.StatusCode >= 300 {
		return nil, fmt.Errorf("admin API: %s %s: %s: %s", method, path, resp.Status, data)
	}
	return data, nil
}
