package main

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestStopWithOpenConnections stops a server to whose admin port somebody is
// connected: who has said nothing is not waited for, and who is in the middle of a
// request is cut off in the end. Neither is a failure.
func TestStopWithOpenConnections(t *testing.T) {
	for name, says := range map[string]string{
		"browser's spare connection": "",
		"request that never ends":    "POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\nExpect: 100-continue\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c, err := net.Dial("tcp", w.p.admin.listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write([]byte(says)); err != nil {
				t.Fatal(err)
			}
			if says != "" { // the server says that it waits for the rest
				c.SetReadDeadline(time.Now().Add(10 * time.Second)) // only ends a failure
				if answer, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(answer, "100 Continue") {
					t.Fatalf("%q, %v", answer, err)
				}
			}
			resp, err := http.Get(w.p.url + "/healthz") // the server has accepted c, which was first
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			w.stop()
			if cut := strings.Contains(w.log.String(), "were cut off"); cut != (says != "") {
				t.Errorf("cut off a request: %v; the log:\n%s", cut, &w.log)
			}
		})
	}
}
