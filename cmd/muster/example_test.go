package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"muster/bench"
	"muster/license"
)

// TestExample runs the application of the README against a real server, twice: what
// it counts is there, and the second run asks for no other grant.
func TestExample(t *testing.T) { // [CLI-1] [CLI-3]
	dir := t.TempDir()
	scanner := filepath.Join(dir, "scanner")
	if out, err := exec.Command("go", "build", "-o", scanner, "muster/examples/scanner").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	server, err := bench.StartServer(t.Context(), bench.ServerOptions{
		Binary: built(t), Dir: dir, CPU: -1, Stderr: os.Stderr, Items: [][]license.Field{item("item-1", "device-yearly", "500")},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Kill(); <-server.Ended() }()
	key := filepath.Join(dir, "scanner.key")
	if err := os.WriteFile(key, []byte(server.Key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	scan := func(args ...string) (string, error) {
		args = append([]string{"--vendor-key", server.VendorKey(), "--key", key, "--dir", filepath.Join(dir, "scanner-data")}, args...)
		out, err := exec.Command(scanner, args...).CombinedOutput()
		return string(out), err
	}
	for _, n := range []string{"3", "4"} {
		if out, err := scan(n); err != nil || !strings.HasPrefix(out, "licensed by 100001/item-1 until ") || !strings.HasSuffix(out, n+" scans counted\n") {
			t.Errorf("scanner %s: %v\n%s", n, err, out)
		}
	}
	counted, err := server.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if u := counted[0].Usage; u.Uses != 7 || u.Authorizations != 1 || u.Held != 1 {
		t.Errorf("%+v is counted, want 7 uses, 1 authorization, 1 seat", u)
	}
	for args, want := range map[string]string{"many": "how many scans?", "--product Other 1": "scanner: ", "--key missing 1": "missing"} {
		if out, err := scan(strings.Fields(args)...); err == nil || !strings.Contains(out, want) {
			t.Errorf("scanner %s: %v\n%s", args, err, out)
		}
	}
}
