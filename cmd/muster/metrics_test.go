package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"muster/admin"
)

var described = regexp.MustCompile(`fqName: "(muster_[a-z_]+)", help: "([^"]*)"`)

// docs/METRICS.md has every metric, with its help, and none besides.
func TestMetricsAreDocumented(t *testing.T) {
	w := newWorld(t)
	api := admin.New(w.p.adminConfig("token"))
	api.Metrics.MustRegister(admin.NewRuntimeCollector(w.p.runtimeSource()))
	descs := make(chan *prometheus.Desc, 1000)
	api.Metrics.Describe(descs)
	close(descs)
	shown := map[string]string{}
	for d := range descs {
		if m := described.FindStringSubmatch(d.String()); m != nil {
			shown[m[1]] = m[2]
		}
	}
	text, err := os.ReadFile("../../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(muster_[a-z_]+)` \\| [^|]* \\| [^|]* \\| (.*) \\|$").FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = m[2]
	}
	for name, help := range shown {
		if documented[name] != help {
			t.Errorf("%s is documented as %q, its help is %q", name, documented[name], help)
		}
	}
	for name := range documented {
		if _, known := shown[name]; !known {
			t.Errorf("%s is documented, and is no metric", name)
		}
	}
}
