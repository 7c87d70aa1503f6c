package main

import (
	"bytes"
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"muster/protocol"
)

// operatingTable is the first column of the table below a heading of
// docs/OPERATING.md, row by row.
func operatingTable(t *testing.T, heading string) (rows []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/OPERATING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/OPERATING.md has no %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, line := range strings.Split(section, "\n") {
		if strings.HasPrefix(line, "| ") {
			rows = append(rows, strings.TrimSpace(strings.Split(line, " | ")[0][1:]))
		}
	}
	return rows[1:] // without the header
}

// holdTable compares the rows of a table with what there is.
func holdTable(t *testing.T, heading string, rows, there []string) {
	t.Helper()
	for _, name := range there {
		if n := len(slices.DeleteFunc(slices.Clone(rows), func(r string) bool { return r != name })); n != 1 {
			t.Errorf("%s: %s has %d rows", heading, name, n)
		}
	}
	for _, row := range rows {
		if !slices.Contains(there, row) {
			t.Errorf("%s: there is no %s", heading, row)
		}
	}
}

// constants are the whole numbers among the constants of a file that match.
func constants(t *testing.T, path string, match func(name string, spec *ast.ValueSpec) bool) (values []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 && match(spec.Names[0].Name, spec) {
			if v, ok := spec.Values[0].(*ast.BasicLit); ok && v.Kind == token.INT {
				values = append(values, v.Value)
			}
		}
		return true
	})
	return values
}

// docs/OPERATING.md has a row for every reply code, exit code and alarm, and none
// for what there is not.
func TestOperatingTables(t *testing.T) {
	codes := constants(t, "../../protocol/codes.go", func(_ string, spec *ast.ValueSpec) bool {
		kind, ok := spec.Type.(*ast.Ident)
		return ok && kind.Name == "Code"
	})
	codes = slices.DeleteFunc(codes, func(c string) bool { return c == strconv.Itoa(int(protocol.OK)) })
	var rows []string
	for _, row := range operatingTable(t, "What devices are told, and what to do") {
		rows = append(rows, strings.Split(row, ", ")...)
	}
	holdTable(t, "reply codes", rows, append(codes, "busy"))

	exits := constants(t, "main.go", func(name string, _ *ast.ValueSpec) bool { return strings.HasPrefix(name, "exit") })
	holdTable(t, "exit codes", operatingTable(t, "Exit codes"), exits)

	rules, err := os.ReadFile("../../deploy/prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var alarms []string
	for _, m := range regexp.MustCompile(`(?m)^\s*- alert: (\S+)$`).FindAllStringSubmatch(string(rules), -1) {
		alarms = append(alarms, "`"+m[1]+"`")
	}
	holdTable(t, "alarms", operatingTable(t, "Alarms"), alarms)
	if len(codes) < 20 || len(exits) < 5 || len(alarms) < 10 {
		t.Errorf("%d codes, %d exit codes, %d alarms were found", len(codes), len(exits), len(alarms))
	}
}

// startFault brings about that a server does not start on a data directory that
// one has served, and says with which settings.
type startFault func(t *testing.T, w *world, data string) []string

func overwrite(name, text string) startFault {
	return func(t *testing.T, _ *world, data string) []string {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return nil
	}
}

func settings(args ...string) startFault {
	return func(*testing.T, *world, string) []string { return args }
}

// cut leaves nothing but the beginning of the journal.
func cut(t *testing.T, _ *world, data string) []string {
	files, err := filepath.Glob(filepath.Join(data, "journal", "*.log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no journal: %v", err)
	}
	if err := os.Truncate(files[0], 700); err != nil {
		t.Fatal(err)
	}
	return nil
}

func taken(setting string) startFault {
	return func(t *testing.T, _ *world, _ string) []string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return []string{setting, l.Addr().String()}
	}
}

// startFaults are what can keep a server from starting, by what its error says.
var startFaults = map[string][]struct {
	bring startFault
	code  int
}{
	"expected": {{settings("--listen", "nowhere", "--loops", "0"), exitUsage}},
	"config file": {{func(t *testing.T, _ *world, data string) []string {
		overwrite("c.yaml", "lisen: :1")(t, nil, data)
		return []string{"--config", filepath.Join(data, "c.yaml")}
	}, exitUsage}},
	"no such file; the vendor ships it as NAME.pub": {{settings("--vendor-key", "nowhere.pub"), exitUsage}},
	"the data directory is in use by another muster process": {{func(t *testing.T, w *world, _ string) []string {
		w.start()
		return nil
	}, exitLocked}},
	"address already in use": {{taken("--listen"), exitFailed}, {taken("--admin"), exitFailed}},
	"it is not a muster data directory": {{func(t *testing.T, _ *world, _ string) []string {
		dir := t.TempDir()
		overwrite("thesis.txt", "")(t, nil, dir)
		return []string{"--data", dir}
	}, exitFailed}},
	"start the version that wrote it":          {{overwrite("FORMAT", "muster data directory, format 2\n"), exitFailed}},
	"journal damaged":                          {{cut, exitFailed}},
	"restore the data directory from a backup": {{overwrite("manifest", "nothing"), exitFailed}},
	"damaged":                          {{overwrite("manifest", "nothing"), exitFailed}},
	"restore it from a backup":         {{overwrite("identity.json", "{"), exitFailed}},
	"remove the file to make new ones": {{overwrite("ticket-keys.json", "{"), exitFailed}},
	"certificate of the admin API":     {{settings("--admin-cert", "none.crt", "--admin-key", "none.key"), exitFailed}},
	"profile":                          {{settings("--profile", "/dev/null/profile"), exitFailed}},
}

// writtenIn are errors that a test can't well bring about: they stand in the source.
var writtenIn = map[string]string{
	"it was written by a newer muster":             "storage/store.go",
	"what is in memory could not be written":       "storage/badger.go",
	"unknown format version":                       "storage/journal/errors.go",
	"use the muster version that wrote it":         "storage/manifest.go",
	"a write was lost":                             "storage/store.go",
	"is cut short":                                 "storage/store.go",
	"of its manifest":                              "storage/store.go",
	"of the manifest are there":                    "storage/store.go",
	"hardware binding needs":                       "storage/identity.go",
	"no room for the next journal segment":         "storage/journal/errors.go",
	"the limit of open files is too low":           "engine/server/server.go",
	"this data directory wakes on another machine": "cmd/muster/program.go",
}

// Every row of what keeps a server from starting is what a server says that does not
// start, and every error of a start has a row.
func TestStartFaultsAreDocumented(t *testing.T) {
	var pieces []string
	for _, row := range operatingTable(t, "It does not start") {
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row, -1) {
			pieces = append(pieces, m[1])
		}
	}
	system := []string{syscall.EACCES.Error(), syscall.ENOSPC.Error()}
	for _, piece := range pieces {
		if file := writtenIn[piece]; file != "" {
			if text, err := os.ReadFile("../../" + file); err != nil || !bytes.Contains(text, []byte(piece)) {
				t.Errorf("%q does not stand in %s, %v", piece, file, err)
			}
		} else if startFaults[piece] == nil && !slices.Contains(system, piece) {
			t.Errorf("nothing says %q", piece)
		}
		for _, fault := range startFaults[piece] {
			t.Run(piece, func(t *testing.T) {
				w := newWorld(t)
				w.stop()
				args := append([]string{"serve", "--data", w.config.Data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-level", "error"}, fault.bring(t, w, w.config.Data)...)
				ctx, cancel := context.WithCancel(t.Context())
				var out starting
				out.started = cancel
				var errs bytes.Buffer
				if code := run(ctx, args, &out, &errs); code != fault.code || !strings.Contains(errs.String(), piece) {
					t.Errorf("exit code %d, want %d with %q: %s", code, fault.code, piece, errs.String())
				}
			})
		}
	}
	for _, list := range [][]string{mapKeys(startFaults), mapKeys(writtenIn)} {
		for _, piece := range list {
			if !slices.Contains(pieces, piece) {
				t.Errorf("%q has no row", piece)
			}
		}
	}
	for _, path := range []string{"storage/datadir.go", "storage/identity.go", "storage/store.go", "storage/badger.go", "storage/manifest.go", "cmd/muster/program.go", "cmd/muster/adminplane.go", "cmd/muster/admintls.go", "cmd/muster/profile.go"} {
		for _, text := range errorTexts(t, "../../"+path) {
			// An error that wraps another one leaves the remedy to that.
			if !strings.Contains(text, "%w") && !slices.ContainsFunc(pieces, func(p string) bool { return strings.Contains(text, p) }) {
				t.Errorf("%s: %q has no row", path, text)
			}
		}
	}
}

// starting stops a server that starts all the same.
type starting struct{ started func() }

func (s *starting) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("ready\n")) {
		s.started()
	}
	return len(p), nil
}

func mapKeys[V any](m map[string]V) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

// errorTexts are the texts of errors that a file makes.
func errorTexts(t *testing.T, path string) (texts []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		fun, ok := call.Fun.(*ast.SelectorExpr)
		text, lit := call.Args[0].(*ast.BasicLit)
		if !ok || !lit || fun.Sel.Name != "Errorf" && fun.Sel.Name != "New" {
			return true
		}
		if s, err := strconv.Unquote(text.Value); err == nil {
			texts = append(texts, s)
		}
		return true
	})
	return texts
}
