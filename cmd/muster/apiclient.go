package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"muster/admin"
)

// apiClient makes requests of a server's admin API.
type apiClient struct {
	base   string // without a slash at the end
	token  string
	http   *http.Client
	source string // file that base was read from, "" if it was given
	raw    []byte // the last answer
}

const (
	apiTimeout   = 30 * time.Second
	apiAnswerMax = 64 << 20 // bytes
	apiPageRows  = 500      // of a list that is read page by page
)

// apiHTTP follows no redirect: the token is for one address.
var apiHTTP = &http.Client{
	Timeout:       apiTimeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// trusting is apiHTTP for a server whose certificate is, or was signed by, one in
// a file.
func trusting(path string) (*http.Client, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a system without
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, usageError("%s: expected a certificate in PEM form", path)
	}
	client := *apiHTTP
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	client.Transport = transport
	return &client, nil
}

// apiPath is a path below /api/v1; the parts are escaped.
func apiPath(parts ...string) string {
	path := "/api/v1"
	for _, part := range parts {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// call makes a request with a JSON body, none if in is nil, and reads the answer
// into out unless it is nil.
func (s *session) call(method, path string, in, out any) error {
	var body []byte
	contentType := ""
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
		contentType = "application/json"
	}
	return s.send(s.ctx, method, path, contentType, body, out)
}

// allPages reads a list page by page. add appends a page to what was read, and
// says where it ended. What --json prints is the whole.
func allPages[L any](s *session, list string, add func(all, page *L) uint32) (all *L, err error) {
	all = new(L)
	for next := uint32(0); ; {
		page := new(L)
		if err := s.call(http.MethodGet, fmt.Sprintf("%s?limit=%d&after=%d", apiPath(list), apiPageRows, next), nil, page); err != nil {
			return nil, err
		}
		first := next == 0
		if next = add(all, page); next == 0 {
			if !first {
				s.raw, err = json.MarshalIndent(all, "", "  ")
				s.raw = append(s.raw, '\n')
			}
			return all, err
		}
	}
}

// post sends a text.
func (s *session) post(path string, text []byte, out any) error {
	return s.send(s.ctx, http.MethodPost, path, "text/plain; charset=utf-8", text, out)
}

func (c *apiClient) send(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return c.unreachable(err)
	}
	defer answer.Body.Close()
	if c.raw, err = io.ReadAll(io.LimitReader(answer.Body, apiAnswerMax+1)); err != nil {
		return fmt.Errorf("the answer of %s broke off: %w; look whether the request took effect", c.base, err)
	}
	if len(c.raw) > apiAnswerMax {
		return fmt.Errorf("the answer of %s has more than %d bytes, which is the limit here; use curl for it", c.base, apiAnswerMax)
	}
	if answer.StatusCode/100 != 2 {
		return c.refused(answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(c.raw, out); err != nil {
		return fmt.Errorf("%s answered with something that is not muster's: %w; check --url", c.base, err)
	}
	return nil
}

// unreachable says why there was no answer.
func (c *apiClient) unreachable(err error) error {
	where := c.base
	if c.source != "" {
		where += " (from " + c.source + ")"
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("no server answers at %s: is it running? Start it with \"muster serve\", or name another with --url or --data", where)
	}
	if inner := (*url.Error)(nil); errors.As(err, &inner) {
		err = inner.Err
	}
	if unknown := (*tls.CertificateVerificationError)(nil); errors.As(err, &unknown) {
		return fmt.Errorf("the certificate of %s is not trusted: %w; give the one that it is trusted by with --ca, such as a copy of %s from the server's data directory", where, unknown.Err, certFile)
	}
	return fmt.Errorf("no answer from %s: %w", where, err)
}

// refused is the server's own sentence, if it is a muster that answered.
func (c *apiClient) refused(answer *http.Response) error {
	var p admin.Problem
	if json.Unmarshal(c.raw, &p) != nil || !strings.HasPrefix(p.Type, admin.ProblemPrefix) {
		return fmt.Errorf("%s answered %s, and not as a muster does; check --url", c.base, answer.Status)
	}
	switch p.Status {
	case http.StatusUnauthorized:
		return fmt.Errorf("token refused by %s: %w", c.base, &p)
	case http.StatusForbidden:
		return fmt.Errorf("permission denied by %s: %w", c.base, &p)
	}
	return &p
}
