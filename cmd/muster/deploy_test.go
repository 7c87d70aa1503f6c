package main

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"muster/internal/build"
)

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, &out, &errs); code != exitOK || out.String() != build.Text("muster") {
			t.Errorf("%v: %d %q %q", args, code, out.String(), errs.String())
		}
	}
	if !regexp.MustCompile(`^muster \S+\ncommit \S+\ngo\S+ ` + runtime.GOOS + "/" + runtime.GOARCH + "\n$").MatchString(build.Text("muster")) {
		t.Errorf("%q", build.Text("muster"))
	}
}

// exposureMax is the exposure that systemd-analyze may find: it calls up to 2.0 "OK".
const exposureMax = 2.0

// The systemd unit is one that systemd takes, and leaves the server few rights.
func TestSystemdUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze is installed")
	}
	text, err := os.ReadFile("../../deploy/muster.service")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "muster.service")
	if err := os.WriteFile(unit, bytes.ReplaceAll(text, []byte("/usr/local/bin/muster"), []byte(self)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err := exec.Command(analyze, "security", "--offline=true", unit).CombinedOutput()
	m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("security: %v\n%s", err, out)
	}
	if exposure, err := strconv.ParseFloat(string(m[1]), 64); err != nil || exposure > exposureMax {
		t.Errorf("exposure %s, want at most %v:\n%s", m[1], exposureMax, out)
	}
}

// copySources copies what git knows of, as it stands.
func copySources(t *testing.T, from, to string) {
	t.Helper()
	list, err := exec.Command("git", "-C", from, "ls-files", "-z", "--", "*.go", "go.mod", "go.sum", "Makefile", "admin", "bench", "internal").Output()
	if err != nil {
		t.Skipf("this is no checkout of git: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// What "make build" builds is static, and the same bytes in another directory.
func TestReproducibleBuild(t *testing.T) {
	makePath, err := exec.LookPath("make")
	if err != nil || testing.Short() {
		t.Skip("make is not installed, or the test has to be short")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var builds [][]byte
	for range 2 {
		dir := filepath.Join(t.TempDir(), "src")
		copySources(t, root, dir)
		cmd := exec.Command(makePath, "build", "VERSION=test", "COMMIT=0123")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		data, err := os.ReadFile(filepath.Join(dir, "bin", programName()))
		if err != nil {
			t.Fatal(err)
		}
		builds = append(builds, data)
	}
	if !bytes.Equal(builds[0], builds[1]) {
		t.Error("two builds differ")
	}
	if runtime.GOOS != "linux" {
		return
	}
	program, err := elf.NewFile(bytes.NewReader(builds[0]))
	if err != nil {
		t.Fatal(err)
	}
	if libraries, err := program.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("it needs %v, %v", libraries, err)
	}
}

func programName() string { return "muster" + map[string]string{"windows": ".exe"}[runtime.GOOS] }
