package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"muster/client"
	"muster/license"
)

// proxyBlocks are the configurations in docs/PROXY.md.
func proxyBlocks(t *testing.T) (location, stream string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/PROXY.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```nginx\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d configurations in docs/PROXY.md", len(blocks))
	}
	return blocks[0][1], blocks[1][1]
}

// freePort is a loopback address that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startNginx runs a real nginx before a world, with the documented configuration.
func startNginx(w *world) (web, device string) {
	t := w.t
	path, err := exec.LookPath("nginx")
	if err != nil && os.Getenv("MUSTER_NGINX") == "required" {
		t.Fatal("no nginx is installed, and MUSTER_NGINX=required")
	}
	const module = "/usr/lib/nginx/modules/ngx_stream_module.so"
	if !exists(module) || err != nil {
		t.Skip("no nginx with its stream module is installed (Debian: apt-get install nginx libnginx-mod-stream)")
	}
	location, stream := proxyBlocks(t)
	web, device = freePort(t), freePort(t)
	location = strings.Replace(location, "http://127.0.0.1:48080", w.p.url, 1)
	stream = strings.Replace(strings.Replace(stream, "10.0.0.7:4808", w.p.front.Addr().String(), 1), "listen 4808", "listen "+device, 1)
	dir := t.TempDir()
	config := fmt.Sprintf("load_module %s;\ndaemon off; master_process off; pid %[2]s/pid; error_log stderr error;\nevents {}\n"+
		"http { access_log off; client_body_temp_path %[2]s/a; proxy_temp_path %[2]s/b; fastcgi_temp_path %[2]s/c; uwsgi_temp_path %[2]s/d; scgi_temp_path %[2]s/e;\n"+
		"server { listen %[3]s;\n%[4]s}\n}\n%[5]s", module, dir, web, location, stream)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-p", dir, "-e", "stderr", "-c", file)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	awaitPort(t, web)
	return web, device
}

// awaitPort waits until a program listens.
func awaitPort(t *testing.T, addr string) {
	t.Helper()
	for range 500 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("nothing listens on %s", addr)
}

// What docs/PROXY.md says works with Debian's nginx: the portal and API below a
// path, metrics that need a token, and the device port.
func TestNginx(t *testing.T) {
	w := newWorld(t)
	key := w.importItems(terms("scans", "DBR", "scan", "100", 100))
	web, device := startNginx(w)
	token, err := secretFile(w.p.path(tokenFile))
	if err != nil {
		t.Fatal(err)
	}
	get := func(path, token string) (*http.Response, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+web+"/dls"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := apiHTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer, string(body)
	}
	if answer, _ := get("/", ""); answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "./setup" {
		t.Errorf("the portal: %s, to %q", answer.Status, answer.Header.Get("Location"))
	}
	if answer, body := get("/setup", ""); answer.StatusCode != http.StatusOK || !strings.Contains(body, `<base href="./">`) {
		t.Errorf("a page: %s %s", answer.Status, body)
	}
	if answer, body := get("/api/v1/items", token); answer.StatusCode != http.StatusOK || !strings.Contains(body, "scans") {
		t.Errorf("the API: %s %s", answer.Status, body)
	}
	if answer, _ := get("/metrics", ""); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("metrics without a token: %s", answer.Status)
	}
	parsed, err := license.ParseLicenseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Addresses[0].HostPort = device
	c := w.client(parsed.String(), client.State{})
	if _, err := c.CheckIn(t.Context(), client.Use{Product: "DBR", Version: 11}); err != nil {
		t.Errorf("a device by the proxy: %v", err)
	}
}
