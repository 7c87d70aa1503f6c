package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows says which packages of this module each room may import; what stands in
// docs/ARCHITECTURE.md as a drawing is held here.
var arrows = map[string][]string{
	"protocol":                {},
	"license":                 {},
	"machine":                 {},
	"datagram":                {},
	"internal/allocation":     {},
	"internal/build":          {},
	"internal/uplot":          {},
	"internal/files":          {},
	"internal/notices":        {},
	"storage/journal":         {},
	"storage/journal/simdisk": {"storage/journal"},
	"engine":                  {"protocol", "license"},
	"engine/server":           {"datagram", "engine", "internal/notices", "protocol"},
	"storage":                 {"engine", "license", "machine", "storage/journal"},
	"client":                  {"protocol", "license", "machine"},
	"client/spool":            {"client", "internal/files", "protocol", "license"},
	"admin":                   {"admin/alerts", "engine", "internal/notices", "license"},
	"admin/alerts":            {},
	"admin/portal":            {"admin", "admin/alerts", "internal/uplot"},
	"examples/scanner":        {"client", "client/spool", "license"},
	"bench":                   {"client", "datagram", "protocol", "license", "storage/journal", "internal/build", "internal/uplot"},
	"bench/peer":              {"datagram", "storage/journal"},
	"bench/attack":            {"bench", "client", "protocol", "license"},
	"sim": {
		"protocol", "license", "machine", "datagram", "storage/journal", "storage/journal/simdisk", "storage",
		"engine", "engine/server", "client", "client/spool", "internal/files", "admin", "admin/alerts", "bench", "bench/peer",
	},
}

// homes says where alone each large library is used.
var homes = map[string][]string{
	"github.com/panjf2000/gnet/v2":        {"engine/server", "bench/peer"},
	"github.com/dgraph-io/badger/v4":      {"storage"},
	"github.com/vmihailenco/msgpack/v5":   {"protocol"},
	"github.com/prometheus/client_golang": {"admin", "cmd/muster"},
	"github.com/wneessen/go-mail":         {"admin/alerts"},
}

const module = "muster/"

func TestImportArrows(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "testdata" || d.Name() == "muster-data") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		from := filepath.ToSlash(rel)
		seen[from] = true
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			checkImport(t, from, to, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for from := range arrows {
		if !seen[from] {
			t.Errorf("arrows name package %s, which is not there", from)
		}
	}
}

func checkImport(t *testing.T, from, to, path string) {
	t.Helper()
	if strings.HasPrefix(from, "cmd/") { // wires everything
		return
	}
	allowed, known := arrows[from]
	if !known {
		t.Errorf("%s: package %s has no row in arrows", path, from)
		return
	}
	inner, ours := strings.CutPrefix(to, module)
	if ours && inner != from && !slices.Contains(allowed, inner) && !strings.HasSuffix(path, "_test.go") {
		t.Errorf("%s: %s may not import %s", path, from, inner)
	}
	for library, rooms := range homes {
		if (to == library || strings.HasPrefix(to, library+"/")) && !slices.Contains(rooms, from) {
			t.Errorf("%s: %s belongs to %v alone", path, library, rooms)
		}
	}
}
