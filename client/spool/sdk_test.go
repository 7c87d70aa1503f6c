package spool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"muster/client"
	"muster/client/spool"
	"muster/internal/files"
	"muster/license"
	"muster/protocol"
)

// The code of docs/SDK.md, as it stands there.

// run is an application from its start to its end.
func run(ctx context.Context, dir, licenseKey string, vendorKey []byte, work func(*spool.Spool) error) error {
	vendor, err := license.ParsePublicKey(vendorKey) // the vendor's acme.key.pub, built into the application
	if err != nil {
		return err
	}
	ring := &license.KeyRing{}
	if err := ring.Add(vendor); err != nil {
		return err
	}
	s, err := spool.Open(spool.Options{
		Dir: dir, LicenseKey: licenseKey, Vendor: ring,
		Use: client.Use{Product: "Reader", Version: 3, Modules: []string{"QR"}, ChargeWay: license.Scan},
	})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Damaged(); err != nil {
		log.Print(err) // usage was lost: a person has to know
	}
	if !s.Valid() { // a grant of the last run may still be good
		if _, err := s.CheckIn(ctx); err != nil {
			return err // a text that says what is wrong and what to do
		}
	}

	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(running, func(err error) { log.Print(err) })
	}()

	err = work(s)

	stop()
	<-ended
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.Send(last); err != nil {
		log.Print(err) // it is on disk, and goes out in the next run
	}
	return err
}

func work(s *spool.Spool) error {
	if !s.Valid() {
		return errors.New("there is no license to work under")
	}
	// … scan …
	return s.Add("QR", 1)
}

// batch counts in memory, and on disk once a second.
func batch(ctx context.Context, s *spool.Spool, scans *atomic.Uint32) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.Add("QR", scans.Swap(0)) // nothing is lost at the end
		case <-tick.C:
			n := scans.Swap(0)
			if err := s.Add("QR", n); err != nil { // a full disk, say
				scans.Add(n) // the next second will do
			}
		}
	}
}

// explain says what a refusal means to the application.
func explain(err error) string {
	var network net.Error
	switch {
	case client.CodeOf(err) == protocol.LimitExceeded:
		return "all seats are taken"
	case errors.As(err, &network): // no server was reached
		return "no connection to the license server; work goes on while the grant is valid"
	}
	return err.Error()
}

// keeping is a client that keeps its state by itself.
func keeping(path, licenseKey string, ring *license.KeyRing) (*client.Client, error) {
	var state client.State
	if b, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(b, &state); err != nil {
			return nil, err
		}
	}
	return client.New(client.Options{
		LicenseKey: licenseKey, Vendor: ring, State: state,
		Keep: func(state client.State) error {
			b, err := json.Marshal(state)
			if err != nil {
				return err
			}
			return writeDurably(path, b) // beside, sync, rename, sync the directory
		},
	})
}

func writeDurably(path string, b []byte) error { return files.Replace(files.OS{}, path, b) }

// TestApplication runs what docs/SDK.md shows.
func TestApplication(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir, key := t.TempDir(), must(s.Ring.List()[0].MarshalText())
	for range 2 {
		check(run(context.Background(), dir, s.Key, key, work))
	}
	check(run(context.Background(), dir, s.Key, key, func(sp *spool.Spool) error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		var scans atomic.Uint32
		scans.Store(5)
		return batch(ctx, sp, &scans)
	}))
	if s.uses(1) != 7 {
		t.Errorf("%d scans counted, want 7", s.uses(1))
	}
	for range 2 {
		c := must(keeping(filepath.Join(dir, "own"), s.Key, s.Ring))
		must(c.CheckIn(context.Background(), scan))
		check(c.Close())
	}
	if n := s.streams(); n != 2 {
		t.Errorf("%d streams, want 2: that of the spool and that of the client", n)
	}
	for want, err := range map[string]error{
		"seats": &client.Error{Code: protocol.LimitExceeded}, "no connection": &net.OpError{Op: "dial", Err: errors.New("refused")}, "not kept": client.ErrNotKept, "expired": &client.Error{Code: protocol.Expired},
	} {
		if got := explain(fmt.Errorf("check-in: %w", err)); !strings.Contains(got, want) {
			t.Errorf("%v is explained by %q", err, got)
		}
	}
}

// TestDocumentedCode: every block of Go in docs/SDK.md stands in this file, which
// is compiled and run.
func TestDocumentedCode(t *testing.T) {
	code := flat(string(must(os.ReadFile("sdk_test.go"))))
	doc := string(must(os.ReadFile(filepath.Join("..", "..", "docs", "SDK.md"))))
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(doc, -1)
	if len(blocks) < 5 {
		t.Errorf("%d blocks of code", len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(code, flat(block[1])) {
			t.Errorf("this does not stand in sdk_test.go:\n%s", block[1])
		}
	}
}

// flat is code without indentation and empty lines.
func flat(code string) string {
	return strings.Join(strings.FieldsFunc(regexp.MustCompile(`(?m)^[\t ]+`).ReplaceAllString(code, ""), func(r rune) bool { return r == '\n' }), "\n")
}
