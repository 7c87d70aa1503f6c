package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Accounts, sessions and the audit, as an operator on the machine uses them.
func TestAPIAccounts(t *testing.T) { // [OPS-2] [OPS-3]
	c := newCLI(t)
	run := func(stdin, args string) apiRun { t.Helper(); return runAPI(t, stdin, strings.Fields(args)...) }
	if r := run("correct horse\n", "reset-admin"); r.code != exitOK || !strings.Contains(r.stdout, "account admin, role admin") {
		t.Fatalf("reset-admin: %+v", r)
	}
	if r := run("\n", "reset-admin"); r.code != exitUsage {
		t.Errorf("without a password: %+v", r)
	}
	if r := run("short\n", "account set eyes"); r.code != exitFailed || !strings.Contains(r.stderr, "10 to 256 characters") {
		t.Errorf("a short password: %+v", r)
	}
	c.okWith("battery staple\n", words("account set eyes --role viewer"))
	if out := c.ok(words("account list")).stdout; !strings.Contains(out, "viewer") || !strings.Contains(out, "admin") {
		t.Errorf("accounts:\n%s", out)
	}
	c.ok(words("account set eyes --role admin"))
	if out := c.ok(words("session list")).stdout; strings.Count(out, "\n") != 1 {
		t.Errorf("sessions:\n%s", out)
	}
	failsAPI(t, exitFailed, "no session", "session", "end", "7")
	c.ok(words("account remove eyes"))
	failsAPI(t, exitFailed, "another account an admin", "account", "remove", "admin")

	list := c.ok(words("audit list")).stdout
	for _, want := range []string{"account.set", "account.remove", `{"role":"viewer"} -> {"role":"admin"}`} {
		if !strings.Contains(list, want) {
			t.Errorf("the audit has no %s:\n%s", want, list)
		}
	}
	if out := c.ok(words("audit list --limit 1 --before 3")).stdout; !strings.Contains(out, "older ones: --before 2") {
		t.Errorf("a page:\n%s", out)
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	export := c.ok(words("audit export")).stdout
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(export)
	verified := c.ok([]string{"audit", "verify", path}).stdout
	if !strings.HasPrefix(verified, "4 entries, 1 to 4, are whole") {
		t.Errorf("verified: %s", verified)
	}
	head := verified[strings.LastIndex(strings.TrimSpace(verified), " ")+1:]
	c.ok([]string{"audit", "verify", "--head", strings.TrimSpace(head), path})
	write(strings.Replace(export, `"eyes"`, `"ears"`, 1))
	failsAPI(t, exitFailed, "altered", "audit", "verify", path)
	write(export[:strings.LastIndex(strings.TrimSpace(export), "\n")+1])
	failsAPI(t, exitFailed, "missing at its end", "audit", "verify", "--head", strings.TrimSpace(head), path)
}
