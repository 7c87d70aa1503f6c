package alerts

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// message has an alert of every rule.
func message() *Message {
	at := time.Date(2026, 11, 24, 19, 20, 0, 0, time.UTC)
	measure := func(r Rule, subject, title string, value, of uint64) Measure {
		return Measure{Rule: r, Subject: subject, Title: title, Value: value, Of: of}
	}
	failures := measure(Failures, "200001-100001", "Warehouse", 42, 200)
	failures.Devices = 31
	soon := measure(Expiry, "100001/gates", "Gate servers", 0, 0)
	soon.Expiry, soon.End = at.Unix()+7*daySeconds, at.Unix()+14*daySeconds
	grace := measure(Expiry, "100002/shop", "", 0, 0)
	grace.Expiry, grace.End = at.Unix()-60, at.Unix()+7*daySeconds
	return &Message{
		ID: "7.812830AF-52F7-3160-ADB9-837611A234A7@muster", Time: at, Server: "812830AF-52F7-3160-ADB9-837611A234A7", Portal: "https://licenses.example.com/",
		Alerts: []Alert{
			{measure(Seats, "100001/readers", "Handheld readers", 22, 25), 80},
			{measure(Uses, "100001/scans", "Web & batch <scans>", 60000, 60000), 100},
			{measure(Overuse, "100001/floor", "", 4000, 6000), 60},
			{failures, 20}, {soon, 7}, {grace, 0},
		},
	}
}

// golden compares with a file in testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not as it was (-update writes it anew):\n%s", path, got)
	}
}

// Names that vendors and operators chose begin no line and no element of their own.
func TestNamesStayInTheirLine(t *testing.T) {
	m := message()
	m.Alerts = m.Alerts[:1]
	m.Alerts[0].Title = "x\r\nBcc: thief@example.com\r\n\r\n<script>alert(1)</script>"
	r := m.render()
	if strings.ContainsAny(r.subject, "\r\n") || strings.Contains(r.plain, "\nBcc:") || strings.Contains(r.html, "<script>") {
		t.Errorf("%q\n%s\n%s", r.subject, r.plain, r.html)
	}
}

func TestMoreThanCanBeSpelledOut(t *testing.T) {
	m := message()
	m.More = 17
	r := m.render()
	if !strings.Contains(r.subject, "23 usage alerts") || !strings.Contains(r.plain, "And 17 more.") || !strings.Contains(r.html, "And 17 more.") {
		t.Errorf("%s\n%s", r.subject, r.plain)
	}
}
