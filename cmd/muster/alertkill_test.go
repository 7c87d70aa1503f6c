package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"muster/admin"
	"muster/bench"
	"muster/license"
)

// Over kill -9 a message of alerts is neither forgotten nor repeated: one that was
// under way goes out again under its own id, one that was delivered does not, and
// what is newly met afterwards is told once. [ALRT-6]
func TestAlertsOverKillNine(t *testing.T) {
	h := newHook(t)
	h.hold(true)
	o := bench.ServerOptions{
		Binary: built(t), Dir: t.TempDir(), CPU: -1, Stderr: os.Stderr, Args: []string{"--alert-interval", "1s"},
		Items: [][]license.Field{terms("soon", "DBR", "scan", "100", 20)},
	}
	server, err := bench.StartServer(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Kill() }()
	api := func(method, path string, in, out any) {
		t.Helper()
		token, err := secretFile(filepath.Join(server.DataDir(), tokenFile))
		if err != nil {
			t.Fatal(err)
		}
		s := &session{apiClient: &apiClient{base: server.URL, token: token, http: apiHTTP}, ctx: t.Context()}
		if err := s.call(method, "/api/v1/"+path, in, out); err != nil {
			t.Fatal(err)
		}
	}
	killed := func() {
		t.Helper()
		server.Kill()
		if err := server.Restart(o); err != nil {
			t.Fatal(err)
		}
	}
	// told waits until the messages are delivered, and alerts were evaluated since.
	told := func(messages int) {
		t.Helper()
		began := time.Now()
		for end := began.Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			var state admin.Alerts
			var list admin.AlertMessageList
			api(http.MethodGet, "alerts", nil, &state)
			api(http.MethodGet, "alerts/messages", nil, &list)
			open := slices.ContainsFunc(list.Messages, func(m admin.AlertMessage) bool { return m.Deliveries[0].State != "delivered" })
			if !open && len(list.Messages) >= messages && state.Evaluated.After(began.Add(2*time.Second)) {
				if len(list.Messages) > messages {
					t.Errorf("%d messages, want %d", len(list.Messages), messages)
				}
				return
			}
			if time.Now().After(end) {
				t.Fatalf("not delivered: %+v", list)
			}
		}
	}
	secret := hookSecret
	api(http.MethodPut, "alerts/webhook", admin.NewAlertWebhook{URL: h.URL, Secret: &secret}, nil)
	first := <-h.arrived // and it is not known to the server whether it did
	h.hold(false)
	killed()
	told(1)
	if got := h.got(); !slices.Equal(got, []string{first}) {
		t.Fatalf("after a kill on the way %q came, want %q", got, first)
	}
	killed()
	told(1)
	if got := h.got(); len(got) != 1 {
		t.Fatalf("after a kill behind the delivery %q came", got)
	}
	var state admin.Alerts
	api(http.MethodGet, "alerts", nil, &state)
	state.Thresholds.ExpiryDays = append(state.Thresholds.ExpiryDays, 25)
	api(http.MethodPut, "alerts/thresholds", state.Thresholds, nil)
	killed()
	told(2)
	if got := h.got(); len(got) != 2 || got[1] == first {
		t.Errorf("with another threshold met: %q", got)
	}
}
