package spool_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"muster/client/spool"
	"muster/license"
)

// The child of the tests that kill is this test binary, with these in its environment.
const (
	childDir    = "MUSTER_SPOOL_DIR"
	childKey    = "MUSTER_SPOOL_KEY"
	childVendor = "MUSTER_SPOOL_VENDOR"
	childCount  = "MUSTER_SPOOL_COUNT"
)

func TestMain(m *testing.M) {
	if os.Getenv(childDir) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

// child adds and sends until it is killed. Before each Add it says so, and after it
// that the count is durable.
func child() {
	ring := &license.KeyRing{}
	check(ring.Add(must(license.ParsePublicKey([]byte(os.Getenv(childVendor))))))
	count := must(strconv.ParseUint(os.Getenv(childCount), 10, 32))
	sp := must(spool.Open(spool.Options{Dir: os.Getenv(childDir), LicenseKey: os.Getenv(childKey), Vendor: ring, Use: scan}))
	if sp.Damaged() != nil {
		panic(sp.Damaged())
	}
	sending := make(chan struct{}, 1)
	for n := 0; ; n++ {
		if !sp.Valid() {
			must(sp.CheckIn(context.Background()))
		}
		fmt.Println("adding")
		check(sp.Add("QR", uint32(count)))
		fmt.Println("durable")
		if n%3 == 2 { // beside what is added, and never two at a time
			select {
			case sending <- struct{}{}:
				go func() {
					check(sp.Send(context.Background()))
					<-sending
				}()
			default:
			}
		}
	}
}

// run starts a child that adds a count again and again, kills it after it has said
// so many lines, and enters what it said.
func (l *ledger) run(t *testing.T, s *testServer, dir string, count uint32, lines int) {
	vendor := string(must(s.Ring.List()[0].MarshalText()))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childKey+"="+s.Key, childVendor+"="+vendor, fmt.Sprintf("%s=%d", childCount, count))
	var fault strings.Builder
	cmd.Stderr = &fault
	out := must(cmd.StdoutPipe())
	check(cmd.Start())
	said := bufio.NewScanner(out)
	for n := 0; said.Scan(); n++ {
		l.says(said.Text(), count)
		if n == lines {
			check(cmd.Process.Kill())
		}
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err == nil || fault.Len() > 0 {
		t.Errorf("the child ended by itself: %v\n%s", err, &fault)
	}
}

// says enters a line of a child: a count is in doubt from "adding" to "durable".
func (l *ledger) says(line string, count uint32) {
	if line == "adding" {
		l.doubts |= uint64(count)
		return
	}
	l.doubts &^= uint64(count)
	l.durable += uint64(count)
}

// checkSum is check for children that add their count many times: what was counted
// beyond what is durable is a sum of counts in doubt, each at most once.
func (l *ledger) checkSum(counted uint64) error {
	if counted < l.durable || (counted-l.durable)&^l.doubts != 0 {
		return fmt.Errorf("%d was counted, %d is durable, counts in doubt are %b", counted, l.durable, l.doubts)
	}
	return nil
}

// TestKillNine kills a process that adds and sends, again and again, at moments all
// over its life. What it was told is durable is what the server counts. [CLI-3]
func TestKillNine(t *testing.T) {
	s := startServer()
	defer s.Close()
	dir := t.TempDir()
	l := ledger{}
	r := rand.New(rand.NewPCG(1, 2))
	const rounds = 20
	for round := range rounds {
		l.run(t, s, dir, 1<<round, r.IntN(40))
	}
	sp := open(t, s, dir)
	mustSend(t, sp)
	if err := l.checkSum(s.uses(1)); err != nil {
		t.Error(err)
	}
	if sp.Damaged() != nil || sp.Dropped() != 0 || s.streams() != 1 {
		t.Errorf("damaged: %v, dropped %d, %d streams", sp.Damaged(), sp.Dropped(), s.streams())
	}
	t.Logf("%d is durable, %d was counted", l.durable, s.uses(1))
}

// TestKillNineOfSeveral: two and five processes at once share a spool, and each is
// killed and started again. [CLI-3] [CLI-9]
func TestKillNineOfSeveral(t *testing.T) {
	for _, processes := range []int{2, 5} {
		t.Run(fmt.Sprint(processes), func(t *testing.T) {
			s := startServer()
			defer s.Close()
			dir := t.TempDir()
			const rounds = 4
			all := make([]ledger, processes)
			var wg sync.WaitGroup
			for p := range processes {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(p), 3))
					for round := range rounds {
						all[p].run(t, s, dir, 1<<(p*rounds+round), r.IntN(30))
					}
				})
			}
			wg.Wait()
			mustSend(t, open(t, s, dir))
			l := ledger{}
			for _, part := range all {
				l.durable += part.durable
				l.doubts |= part.doubts
			}
			if err := l.checkSum(s.uses(1)); err != nil {
				t.Error(err)
			}
			if n := s.streams(); n > spool.FoldersMax {
				t.Errorf("%d streams", n)
			}
			t.Logf("%d is durable, %d was counted, %d streams", l.durable, s.uses(1), s.streams())
		})
	}
}
