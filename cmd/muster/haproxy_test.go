package main

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

// proxyHost is where HAProxy connects from, so that a device's own address is another.
const proxyHost = "127.0.0.5"

// startHAProxy runs a real HAProxy before a world, with the configuration of
// docs/PROXY.md but for the header that it sends.
func startHAProxy(w *world, header string) (device string) {
	t := w.t
	path, err := exec.LookPath("haproxy")
	if err != nil && os.Getenv("MUSTER_HAPROXY") == "required" {
		t.Fatal("no haproxy is installed, and MUSTER_HAPROXY=required")
	}
	if err != nil {
		t.Skip("no haproxy is installed (Debian: apt-get install haproxy)")
	}
	text, err := os.ReadFile("../../docs/PROXY.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```haproxy\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 1 || !strings.Contains(blocks[0][1], " send-proxy-v2 ") {
		t.Fatalf("%d configurations in docs/PROXY.md", len(blocks))
	}
	device = freePort(t)
	config := strings.NewReplacer(":4808\n", device+"\n", "10.0.0.7:4808", w.p.front.Addr().String()+" source "+proxyHost, "send-proxy-v2", header).Replace(blocks[0][1])
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-db", "-f", file)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	awaitPort(t, device)
	return device
}

// What docs/PROXY.md says of HAProxy works with Debian's: the server knows devices
// by their own addresses, and takes a proxy's word alone.
func TestHAProxy(t *testing.T) {
	w := newWorld(t)
	w.stop()
	w.config.Guards.ProxiedFrom = []netip.Prefix{netip.MustParsePrefix(proxyHost + "/32")}
	w.start()
	key := w.importItems(item("scans", "scan", "100", license.Field{Name: "Networks", Value: "127.0.0.1/32"}))
	parsed, err := license.ParseLicenseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	checkIn := func(addr string) error {
		parsed.Addresses[0].HostPort = addr
		_, err := w.client(parsed.String(), client.State{}).CheckIn(t.Context(), client.Use{Product: "DBR", Version: 11})
		return err
	}
	front := w.p.front.Addr().String()
	if err := checkIn(front); err != nil {
		t.Errorf("a device that comes straight: %v", err)
	}
	if err := checkIn(startHAProxy(w, "send-proxy-v2")); err != nil {
		t.Errorf("a device behind the proxy: %v", err)
	}
	for _, header := range []string{"send-proxy", ""} {
		before := w.p.front.Stats.Malformed.Load()
		parsed.Addresses[0].HostPort = startHAProxy(w, header)
		if c, err := client.Dial(t.Context(), parsed, protocol.UUID{}, client.Ticket{}); err == nil {
			c.Close()
			t.Errorf("a proxy with the header %q is served", header)
		}
		if w.p.front.Stats.Malformed.Load() == before {
			t.Errorf("the header %q is not counted as malformed", header)
		}
	}
	header := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), 127, 0, 0, 1, 127, 0, 0, 1, 0, 1, 0, 2)
	if back := exchangeRaw(t, front, header); len(back) > 0 && string(back) != string(protocol.AppendReject(nil, protocol.RejectMalformed)) {
		t.Errorf("a header of somebody who is no proxy is answered %x", back)
	}

	// Unless the proxy is named it needs no header, and stands for its devices.
	w.stop()
	w.config.Guards.ProxiedFrom = nil
	w.start()
	var refused *client.Error
	if err := checkIn(startHAProxy(w, "")); !errors.As(err, &refused) || refused.Code != protocol.Expired {
		t.Errorf("a device whose address is the proxy's: %v, want 111", err)
	}
}
