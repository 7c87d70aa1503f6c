package notices

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A cause is told at once, and then once an hour with how often it happened.
func TestTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := New(slog.New(slog.NewTextHandler(&out, nil)))
		told := func(wanted ...string) {
			t.Helper()
			var lines []string
			if text := strings.TrimSpace(out.String()); text != "" {
				lines = strings.Split(text, "\n")
			}
			if len(lines) != len(wanted) {
				t.Fatalf("%d lines, want %d: %s", len(lines), len(wanted), out.String())
			}
			for i, w := range wanted {
				if !strings.Contains(lines[i], w) {
					t.Errorf("no %q in %s", w, lines[i])
				}
			}
			out.Reset()
		}
		l.Tell(slog.LevelWarn, "a", 2, "too many", "who", "x")
		told(`level=WARN msg="too many" who=x times=2`)
		l.Tell(slog.LevelWarn, "a", 1, "too many", "who", "y")
		l.Tell(slog.LevelError, "b", 1, "another")
		told("level=ERROR msg=another times=1")
		time.Sleep(Quiet - time.Second)
		l.Tell(slog.LevelWarn, "a", 3, "too many", "who", "z")
		told()
		time.Sleep(time.Second)
		l.Tell(slog.LevelWarn, "a", 1, "too many", "who", "w")
		told("who=w times=5")
	})
}

// Strangers can't make it remember, or write, without end.
func TestManyCauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := New(slog.New(slog.NewTextHandler(&out, nil)))
		flood := func(round string) {
			for i := range 3 * causesMax {
				l.Tell(slog.LevelWarn, fmt.Sprint(round, i), 1, "strange")
			}
			if n := strings.Count(out.String(), "\n"); n != causesMax+1 || len(l.causes) != causesMax+1 {
				t.Errorf("round %s: %d lines, %d causes", round, n, len(l.causes))
			}
			out.Reset()
		}
		flood("a")
		time.Sleep(Quiet)
		flood("b")
	})
}
