package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"muster/bench"
)

// muster builds the program that is measured, and this one beside it.
func muster(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir, "../muster", ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "muster")
}

// call runs a command line.
func call(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

// TestLoad runs every way of going against a real server: at a rate with the
// whole mix, by depth, by datagram; then reads the reports and compares them.
func TestLoad(t *testing.T) {
	server, dir := muster(t), t.TempDir()
	common := []string{"load", "--muster", server, "--unpinned", "--devices", "400", "--connections", "4"}
	for name, args := range map[string][]string{
		"rate":  {"--rate", "2000", "--ramp", "200ms", "--hold", "1s", "--mix-new", "5", "--mix-release", "5", "--mix-late", "5", "--mix-check-in", "10"},
		"depth": {"--depth", "16", "--per-record", "4", "--hold", "500ms"},
		"udp":   {"--udp", "--rate", "1000", "--hold", "1s"},
		"find":  {"--find-p99", "1ns", "--find-from", "1.4", "--hold", "1s"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, name)
			code, out, errs := call(t, slices.Concat(common, []string{"--json", file + ".json", "--html", file + ".html"}, args)...)
			if name == "find" { // nothing is that fast
				if code != exitFailed || !strings.Contains(errs, "not even one request a second") {
					t.Errorf("code %d, %s%s", code, out, errs)
				}
				return
			}
			if code != exitOK || !strings.Contains(out, "both sides agree to the last use") {
				t.Fatalf("code %d, %s%s", code, out, errs)
			}
			r, err := bench.ReadReport(file + ".json")
			if err != nil {
				t.Fatal(err)
			}
			f := r.Measures[0].Rounds[0]
			if f.Requests < 300 || f.Latency.P50 <= 0 || f.Latency.P99 < f.Latency.P50 || f.Latency.Max < f.Latency.P999 || len(f.Refused) > 0 || f.Other > 0 {
				t.Errorf("figures %+v", f)
			}
			if a := r.Audit; a.ToldUses == 0 || a.ToldUses != a.CountedUses || a.ToldCheckIns < 400 || a.ToldCheckIns != a.CountedCheckIns {
				t.Errorf("audit %+v", a)
			}
			if len(r.Series) == 0 || r.Machine.CPUs == 0 || r.Go == "" {
				t.Errorf("report %+v", r)
			}
			page, err := os.ReadFile(file + ".html")
			if err != nil || !bytes.Contains(page, []byte("uPlot=")) || !bytes.Contains(page, []byte("Latency")) || bytes.Contains(page, []byte("src=")) {
				t.Errorf("the page is not whole, or needs something else: %v", err)
			}
		})
	}
	code, out, errs := call(t, "diff", filepath.Join(dir, "rate.json"), filepath.Join(dir, "rate.json"))
	if code != exitOK || strings.Count(out, "1.00 ×") < 6 {
		t.Errorf("code %d, %s%s", code, out, errs)
	}
}

// TestLoadFile: flags go over the file, the file over the defaults.
func TestLoadFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "load.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	plan := func(args ...string) (bench.Plan, error) {
		t.Helper()
		l := &loadFlags{given: bench.DefaultPlan()}
		f := pflag.NewFlagSet("load", pflag.ContinueOnError)
		l.flags(f)
		if err := f.Parse(append(args, "--file", file)); err != nil {
			t.Fatal(err)
		}
		err := l.plan(f)
		return l.run.Plan, err
	}
	write("devices: 500\nconnections: 10\nmix: {report: 9, check-in: 1}\nstages:\n- {rate: 100, ramp: 5s, hold: 1m}\n- {rate: 50, hold: 10s}\n")
	got, err := plan("--connections", "20")
	if err != nil || got.Devices != 500 || got.Conns != 20 || got.Mix.CheckIn != 1 || len(got.Stages) != 2 || got.Stages[0].Ramp.Seconds() != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = plan("--rate", "7", "--hold", "3s"); err != nil || len(got.Stages) != 1 || got.Stages[0].Rate != 7 || got.Stages[0].Hold.Seconds() != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	write("device: 500\n")
	if _, err = plan(); err == nil || !strings.Contains(err.Error(), "field device not found") {
		t.Errorf("an unknown key gave %v", err)
	}
}

func TestLoadRefusesNonsense(t *testing.T) {
	for _, row := range []struct {
		says string
		args []string
	}{
		{"exclude each other", []string{"load", "--depth", "8", "--rate", "100"}},
		{"expected 1 to 60000", []string{"load", "--connections", "0"}},
		{"at least as many as its depth", []string{"load", "--devices", "10", "--connections", "5", "--depth", "8"}},
		{"datagram has room", []string{"load", "--udp", "--per-record", "16"}},
		{"--product and --module", []string{"load", "--key", "x"}},
		{"expected http://host:port", []string{"load", "--key", "x", "--product", "x", "--module", "x", "--admin", "127.0.0.1:48080"}},
		{"unknown flag", []string{"load", "--nonsense"}},
		{"--rounds and --time", []string{"--rounds", "0"}},
		{"accepts 2 arg", []string{"diff", "one"}},
	} {
		if code, _, errs := call(t, row.args...); code != exitUsage || !strings.Contains(errs, row.says) || !strings.Contains(errs, "--help") {
			t.Errorf("%v: code %d, %q, want %q", row.args, code, errs, row.says)
		}
	}
	for _, text := range []string{"", "{}", "[1]", `{"command":"load","measures":[{"name":"x"}]}`} {
		file := filepath.Join(t.TempDir(), "report.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, errs := call(t, "diff", file, file); code != exitFailed || !strings.Contains(errs, file) {
			t.Errorf("a report of %q: code %d, %q", text, code, errs)
		}
	}
}

// TestLab runs every measurement of a lab once, briefly, as processes of their
// own: they pin themselves to a CPU.
func TestLab(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the echoes and the CPU times of the lab are Linux's")
	}
	dir := filepath.Dir(muster(t))
	for name, args := range map[string][]string{
		"canonical": {"--devices", "6400"},
		"peers":     {"peers", "--devices", "6400"},
		"growth":    {"growth", "--devices", "20000"},
		"admin":     {"admin", "--devices", "6400"},
		"overload":  {"overload", "--devices", "6400"},
		"loops":     {"loops", "--devices", "6400"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath("redis-server"); name == "peers" && err != nil {
				t.Skip("redis-server (the Debian package) is not installed")
			}
			file := filepath.Join(t.TempDir(), "report.json")
			cmd := exec.Command(filepath.Join(dir, "muster-bench"), append(args, "--rounds", "1", "--time", "300ms", "--json", file)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			r, err := bench.ReadReport(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Measures) < 2 || len(r.Notes) == 0 || r.Command != name {
				t.Errorf("report %+v", r)
			}
			for _, m := range r.Measures {
				serves := !strings.HasSuffix(m.Name, "pauses") // that is a look at the machine
				if f := m.Rounds[0]; f.Latency.Max <= 0 || serves && (f.Requests == 0 || f.Memory == 0) || f.CPUSeconds < 0 || f.Other > 0 || len(f.Refused) > 0 {
					t.Errorf("%s: %+v", m.Name, f)
				}
			}
		})
	}
	t.Run("only", func(t *testing.T) {
		for _, row := range []struct {
			command, only string
			want          []string
		}{
			{"overload", "TCP, half", []string{"TCP, peak", "TCP, half of the peak"}}, // half of what was measured
			{"loops", "loops: 2", []string{"report, 16 a record, event loops: 2"}},
			{"loops", "nonsense", nil},
		} {
			file := filepath.Join(t.TempDir(), "report.json")
			out, err := exec.Command(filepath.Join(dir, "muster-bench"), row.command, "--only", row.only,
				"--devices", "6400", "--rounds", "1", "--time", "100ms", "--json", file).CombinedOutput()
			if row.want == nil {
				if err == nil || !strings.Contains(string(out), `"nonsense" in its name`) {
					t.Errorf("%s --only %q: %v\n%s", row.command, row.only, err, out)
				}
				continue
			}
			r, err := bench.ReadReport(file)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var names []string
			for _, m := range r.Measures {
				names = append(names, m.Name)
			}
			if !slices.Equal(names, row.want) {
				t.Errorf("%s --only %q measured %q", row.command, row.only, names)
			}
		}
	})
}
