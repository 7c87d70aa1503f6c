package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"muster/admin"
	"muster/license"
)

// apiRun is what a command line came to.
type apiRun struct {
	code           int
	stdout, stderr string
}

// runAPI runs one of the commands that talk to a server.
func runAPI(t *testing.T, stdin string, args ...string) apiRun {
	t.Helper()
	root := &cobra.Command{Use: "muster", SilenceUsage: true, SilenceErrors: true}
	root.SetFlagErrorFunc(newRoot().FlagErrorFunc())
	addAPICommands(root)
	var stdout, stderr bytes.Buffer
	root.SetArgs(args)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	code := exitOK
	if err := root.ExecuteContext(t.Context()); err != nil {
		code = exitCode(err)
		stderr.WriteString(err.Error())
	}
	return apiRun{code, stdout.String(), stderr.String()}
}

// cli is an operator on the machine of a running server.
type cli struct {
	*world
	file string // a license file of organization 2001
}

func newCLI(t *testing.T) *cli {
	t.Helper()
	for _, name := range []string{"MUSTER_URL", "MUSTER_TOKEN", "MUSTER_DATA"} {
		t.Setenv(name, "")
	}
	c := &cli{world: newWorld(t)}
	t.Setenv("MUSTER_DATA", c.config.Data)
	c.file = filepath.Join(t.TempDir(), "1001.lic")
	if err := os.WriteFile(c.file, c.license("1001", 1), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cli) license(id string, revision uint32) []byte {
	c.t.Helper()
	now := time.Now().Unix()
	header := []license.Field{{Name: "LicenseId", Value: id}, {Name: "OrganizationID", Value: "2001"}, {Name: "Bindings", Value: "key"}}
	items := [][]license.Field{item("scans", "scan", "1000"), item("seats", "device-yearly", "50")}
	file, err := license.Draft(header, items, now)
	if err != nil {
		c.t.Fatal(err)
	}
	if file, err = license.Activate(file, []license.UUID{c.p.identity.Public.UUID()}, now); err != nil {
		c.t.Fatal(err)
	}
	file.Revision = revision
	text, err := file.Sign(c.vendor)
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

// ok runs a command that must succeed; each of wanted must be in its output.
func (c *cli) ok(args []string, wanted ...string) apiRun {
	c.t.Helper()
	return c.okWith("", args, wanted...)
}

func (c *cli) okWith(stdin string, args []string, wanted ...string) apiRun {
	c.t.Helper()
	r := runAPI(c.t, stdin, args...)
	if r.code != exitOK {
		c.t.Fatalf("muster %q: exit code %d: %s", args, r.code, r.stderr)
	}
	for _, w := range wanted {
		if !strings.Contains(r.stdout+r.stderr, w) {
			c.t.Errorf("muster %q: no %q in\n%s%s", args, w, r.stdout, r.stderr)
		}
	}
	return r
}

// fails runs a command that must end with a code and an error that has the words.
func (c *cli) fails(code int, words string, args ...string) {
	c.t.Helper()
	failsAPI(c.t, code, words, args...)
}

func failsAPI(t *testing.T, code int, words string, args ...string) {
	t.Helper()
	if r := runAPI(t, "", args...); r.code != code || !strings.Contains(r.stderr, words) || r.stdout != "" {
		t.Errorf("muster %q: exit code %d, %q, want %d and %q; output %q", args, r.code, r.stderr, code, words, r.stdout)
	}
}

// words splits a command line that has no blanks in its arguments.
func words(line string) []string { return strings.Fields(line) }

// The operator's journey: from an empty server to a license key that works. [OPS-3]
func TestAPIJourney(t *testing.T) { // [IMP-1] [PRJ-3] [FILE-3]
	c := newCLI(t)
	c.ok(words("status"), c.p.identity.Public.UUID().String(), "serving", "127.0.0.1")
	c.ok(words("import "+c.file), "license 1001 (DM_1001_", "1001/scans", "device-yearly", "next: muster key 2001-")
	c.ok(words("import "+c.file), "here already, nothing changed", "next: muster key 2001-")
	c.okWith(string(c.license("1001", 2)), words("import -"), "updated to revision 2")
	id := c.p.store.Core.Catalog().Projects[1].ID
	key := c.ok(words("key "+id), "warning: tcp://127.0.0.1:")
	if strings.Count(key.stdout, "\n") != 1 {
		t.Errorf("the license key does not stand alone on the output: %q", key.stdout)
	}
	parsed, err := license.ParseLicenseKey(key.stdout)
	if err != nil || parsed.ProjectID != id {
		t.Errorf("key %v, %v", parsed.LogValue(), err)
	}
	c.ok(words("license list"), "1001", "2001", "Acme Inc")
	c.ok(words("license show 1001"), "revision", "DM_1001_", c.p.identity.Public.UUID().String())
	if r := c.ok(words("license show 1001 --text")); r.stdout != string(c.p.store.Core.Catalog().Licenses[0].Text) {
		t.Errorf("text %q", r.stdout)
	}
	c.ok(words("item list"), "1001/seats", "active", "2100-01-01 00:00 UTC")
	c.ok(words("item show 1001/scans"), "1D, QR", "1050", "7d")
	c.fails(exitFailed, "no item", words("item show 1001/none")...)
	c.fails(exitFailed, "no license file", words("license show 1002")...)
	c.fails(exitFailed, "no project", words("key 2001-0")...)
}

func TestAPIImportTarget(t *testing.T) { // [IMP-1]
	c := newCLI(t)
	c.ok([]string{"import", c.file, "--new-project", "Ware house"}, "1001")
	id := c.p.store.Core.Catalog().Projects[1].ID
	c.ok(words("project list"), "Ware house", id)
	c.okWith(string(c.license("1002", 1)), words("import - --project "+id), "next: muster key "+id)
	c.ok(words("project show "+id), "1001/scans", "1002/seats", "Ware house", "none")
	c.fails(exitUsage, "not both", "import", c.file, "--project", id, "--new-project", "n")
	c.fails(exitFailed, "name", "import", c.file, "--new-project", "")
	c.fails(exitFailed, "no such file", words("import nowhere.lic")...)
	c.fails(exitUsage, "accepts 1 arg", words("import")...)
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, license.FileSizeMax+1), 0o600); err != nil {
		t.Fatal(err)
	}
	c.fails(exitFailed, "probably another file", "import", large)
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, bytes.Replace(c.license("1003", 1), []byte("1000"), []byte("9000"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	c.fails(exitFailed, "changed after Acme Inc signed it", "import", bad) // [FILE-1]
}

func TestAPIProjects(t *testing.T) { // [PRJ-1] [PRJ-3] [PRJ-6]
	c := newCLI(t)
	c.ok(words("import " + c.file))
	c.ok(words("project create --name Docks --suffix docks --items 1001/seats,1001/scans"), "2001-docks", "1001/seats, 1001/scans", "set by the operator")
	c.ok(words("project edit 2001-docks --name Yard --disable --default"), "Yard", "disabled", "yes")
	c.ok(words("key 2001-docks"), "warning: project 2001-docks is disabled")
	c.ok(words("project edit 2001-docks --enable --default-order"), "usage order         default")
	c.okWith("hush hush\n", words("project edit 2001-docks --password - --password-grace 7d"), "warning: the license key of 2001-docks changed", "old password until")
	if p, _ := c.p.store.Core.Catalog().Project("2001-docks"); p.Password != "hush hush" || p.Disabled || !p.Default {
		t.Errorf("project %+v", p)
	}
	if r := c.ok(words("project show 2001-docks")); strings.Contains(r.stdout, "hush") {
		t.Errorf("the password is shown: %s", r.stdout)
	}
	c.ok([]string{"project", "edit", "2001-docks", "--items", ""})
	if p, _ := c.p.store.Core.Catalog().Project("2001-docks"); len(p.Items) != 0 {
		t.Errorf("items %v", p.Items)
	}
	c.fails(exitUsage, "nothing to change", words("project edit 2001-docks")...)
	c.fails(exitUsage, "not both", words("project edit 2001-docks --enable --disable")...)
	c.fails(exitUsage, "--password-grace", words("project edit 2001-docks --password p --password-grace soon")...)
	c.fails(exitUsage, "standard input is empty", words("project edit 2001-docks --password -")...)
	c.fails(exitUsage, "--name", words("project create")...)
	c.fails(exitFailed, "no item", words("project edit 2001-docks --items 1001/none")...)
	c.fails(exitFailed, "was made, but", words("project create --name n --items 1001/none")...)
	c.fails(exitUsage, "no command", words("project remove 2001-docks")...)
	c.fails(exitUsage, "--nmae", words("project edit 2001-docks --nmae n")...)
}

func TestAPITokens(t *testing.T) {
	c := newCLI(t)
	r := c.ok(words("token create --name monitor --scope read --expires 90d"), `token 1, "monitor", scope read, expires `)
	secret := strings.TrimSpace(r.stdout)
	c.ok(words("token list"), "monitor", "read")
	c.ok([]string{"item", "list", "--token", secret}, "ITEM")
	c.fails(exitFailed, "permission denied", "project", "create", "--name", "n", "--token", secret)
	c.ok([]string{"status", "--url", c.p.url, "--token", secret}, "serving")
	t.Setenv("MUSTER_URL", c.p.url+"/")
	t.Setenv("MUSTER_TOKEN", secret)
	c.ok(words("status"), "serving")
	t.Setenv("MUSTER_URL", "")
	t.Setenv("MUSTER_TOKEN", "")
	c.ok(words("token revoke 1"), "token 1 is revoked")
	c.fails(exitFailed, "token refused", "item", "list", "--token", secret)
	c.fails(exitFailed, "no token 1", words("token revoke 1")...)
	c.fails(exitUsage, "--scope", words("token create --name n")...)
	c.fails(exitFailed, "expected read, write or metrics", words("token create --name n --scope all")...)
}

func TestAPIVendorKeysAndAddresses(t *testing.T) { // [FILE-5] [PRJ-4]
	c := newCLI(t)
	other := newWorld(t).vendor
	public, err := other.Public().MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	c.okWith(string(public), words("vendor-key add -"), other.ID, "next: muster import")
	c.okWith(string(public), words("vendor-key add -"), "trusted already")
	c.ok(words("vendor-key list"), other.ID, "added", c.world.vendor.ID, "configured")
	c.ok(words("address list"), "no address is set", "tcp://127.0.0.1:")
	c.ok(words("address set tcp://a.example:4808 tcp://b.example:4808"), "tcp://a.example:4808\ntcp://b.example:4808\n", "warning: every license key changed")
	c.ok(words("address clear"), "no address is set")
	c.fails(exitFailed, "expected tcp://host:port", words("address set a.example")...)
	c.ok(words("address set tcp://a.example:4808 udp://a.example:4808"), "udp://a.example:4808")
	c.fails(exitFailed, "no tcp:// address", words("address set udp://a.example:4808")...)
	c.fails(exitUsage, "requires at least 1 arg", words("address set")...)
}

func TestAPIJSON(t *testing.T) {
	c := newCLI(t)
	r := c.ok(words("import " + c.file + " --json"))
	var result admin.ImportResult
	if err := json.Unmarshal([]byte(r.stdout), &result); err != nil || result.Outcome != "imported" {
		t.Errorf("%v in %s", err, r.stdout)
	}
	var key admin.LicenseKey
	if err := json.Unmarshal([]byte(c.ok(words("key --json "+result.Project)).stdout), &key); err != nil || key.Project != result.Project {
		t.Errorf("key %+v, %v", key, err)
	}
}

// What keeps the CLI from its server is said, with the way out.
func TestAPIUnreachable(t *testing.T) {
	for _, name := range []string{"MUSTER_URL", "MUSTER_TOKEN", "MUSTER_DATA"} {
		t.Setenv(name, "")
	}
	dir := t.TempDir()
	status := []string{"status", "--data", dir}
	failsAPI(t, exitFailed, "no server runs in "+dir, status...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	l.Close()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(urlFile, closed)
	failsAPI(t, exitFailed, tokenFile, status...)
	write(tokenFile, "secret")
	failsAPI(t, exitFailed, "no server answers at "+closed+" (from ", status...)
	failsAPI(t, exitUsage, "without a token", "status", "--data", dir, "--url", closed)
	failsAPI(t, exitUsage, "expected http://host:port", "status", "--url", "10.0.0.5:48080", "--token", "t")
	failsAPI(t, exitUsage, "expected http://host:port", "status", "--url", "http://user@10.0.0.5", "--token", "t")
	if os.Getuid() == 0 {
		return // whom no permission is denied
	}
	if err := os.Chmod(filepath.Join(dir, tokenFile), 0); err != nil {
		t.Fatal(err)
	}
	failsAPI(t, exitFailed, "permission denied", status...)
}

// The token goes to the address it is for and to nobody that it points to, and
// an answer of somebody else is told as such.
func TestAPIOtherServer(t *testing.T) {
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with %q", r.Header.Get("Authorization"))
	}))
	defer stranger.Close()
	answers := map[string]http.HandlerFunc{
		"302 Found, and not as a muster does": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, stranger.URL, http.StatusFound)
		},
		"404 Not Found, and not as a muster does": http.NotFound,
		"not muster's": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
	}
	for want, answer := range answers {
		s := httptest.NewServer(answer)
		failsAPI(t, exitFailed, want, "status", "--url", s.URL, "--token", "t")
		s.Close()
	}
}

// A command that is interrupted ends.
func TestAPICanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := &apiClient{base: "http://127.0.0.1:1", http: apiHTTP}
	if err := c.send(ctx, http.MethodGet, "/", "", nil, nil); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("error %v", err)
	}
}
