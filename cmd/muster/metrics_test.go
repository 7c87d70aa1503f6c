package main

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"muster/admin"
)

// With --metrics-token this machine needs a token too, of scope metrics or more.
func TestServeMetricsToken(t *testing.T) {
	c := newCLI(t)
	metrics := func(token string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.p.url+"/metrics", nil)
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
		answer.Body.Close()
		return answer.StatusCode
	}
	if got := metrics(""); got != http.StatusOK {
		t.Errorf("without the setting: %d", got)
	}
	var made admin.Token
	if err := json.Unmarshal([]byte(c.ok(words("token create --name prometheus --scope metrics --json")).stdout), &made); err != nil {
		t.Fatal(err)
	}
	c.stop()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	var given serveConfig
	given.flags(flags)
	if err := flags.Parse([]string{"--metrics-token"}); err != nil {
		t.Fatal(err)
	}
	c.config.MetricsToken = given.MetricsToken
	c.start()
	for token, want := range map[string]int{"": http.StatusUnauthorized, "wrong": http.StatusUnauthorized, made.Secret: http.StatusOK} {
		if got := metrics(token); got != want {
			t.Errorf("with the token %.12q: %d, want %d", token, got, want)
		}
	}
}

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
