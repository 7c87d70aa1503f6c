package main

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

// logged waits until the server's log has a line, and returns it. It must be there
// once.
func (w *world) logged(expression string) string {
	w.t.Helper()
	line := regexp.MustCompile("(?m)^.*" + expression + ".*$")
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		switch found := line.FindAllString(w.log.String(), -1); len(found) {
		case 0:
		case 1:
			return found[0]
		default:
			w.t.Errorf("%d lines like %q: %q", len(found), expression, found)
			return found[0]
		}
	}
	w.t.Errorf("no line like %q in\n%s", expression, w.log.String())
	return ""
}

// Who is refused at the device port is in the log, each cause once, with what to
// do about it.
func TestRefusalsAreLogged(t *testing.T) {
	w := newWorldN(t, 1)
	w.stop()
	w.config.ConnectionsMax = 30
	w.start()
	key := w.importItems(item("seats", "device-yearly", "1"))
	project := w.p.store.Core.Catalog().Projects[1].ID
	addr := w.p.front.Addr().String()

	exchangeRaw(t, addr, []byte("GET / HTTP/1.1\r\n\r\n"))
	exchangeRaw(t, addr, []byte("GET / HTTP/1.1\r\n\r\n"))
	parsed, err := license.ParseLicenseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	wrong := parsed
	wrong.Password = "guess"
	other := parsed
	other.ProjectID = "2001-999"
	checkIn := func(key license.LicenseKey) error {
		_, err := w.client(key.String(), client.State{}).CheckIn(t.Context(), client.Use{Product: "DBR", Version: 11})
		return err
	}
	if err := checkIn(other); err == nil {
		t.Error("a project that is not there is served")
	}
	for i := range 3 { // one seat, and one row in the device table
		if err := checkIn(parsed); (err == nil) != (i < 1) {
			t.Errorf("device %d: %v", i, err)
		}
	}
	for range 21 { // the last one is not looked at any more
		c, err := client.Dial(t.Context(), wrong, protocol.UUID{}, client.Ticket{})
		if err == nil {
			c.Close()
			t.Fatal("a wrong password is good")
		}
	}
	for range 31 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	w.p.front.Stats.Busy.Add(3) // to bring that about would take a load that the test machine can't bear
	w.p.front.UDP.Limited.Add(4)

	for expression, wanted := range map[string]string{
		"level=WARN msg=\"records could not be read.*give the applications this server's key":          "times=2",
		"level=WARN msg=\"a source address was turned away.*source-handshakes":                         "times=1",
		"level=WARN msg=\"device connections were turned away.*raise connections-max":                  "",
		"level=WARN msg=\"devices were answered busy.*see CPU":                                         "",
		"level=WARN msg=\"datagrams of devices were dropped":                                           "times=4",
		"level=ERROR msg=\"the device table is full.*a larger devices-max":                             "devices-max=1",
		"level=WARN msg=\"devices were refused.*records PROJECT denials.* project=none .*101 no such":  "times=1",
		fmt.Sprintf("level=WARN msg=\"devices were refused.* project=%s .*102 wrong session", project): "times=20",
		fmt.Sprintf("level=WARN msg=\"devices were refused.* project=%s .*120 limit", project):         "times=2",
	} {
		if line := w.logged(expression); !strings.Contains(line, wanted) {
			t.Errorf("no %q in %q", wanted, line)
		}
	}
}
