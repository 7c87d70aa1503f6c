package storage

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/engine"
)

// victimDir is where the child of TestKilledWhileSettling works.
const victimDir = "MUSTER_STORE_VICTIM"

// numbered is an object of a megabyte that hardly compresses, and begins with its number.
func numbered(n int) string {
	raw := make([]byte, 800<<10)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(raw)
	return fmt.Sprintf("%d %s", n, base64.StdEncoding.EncodeToString(raw))
}

// numberOf is the number of such an object, -1 if it is not whole; none is number 0.
func numberOf(object string) (n int) {
	if object == "" {
		return 0
	}
	if _, err := fmt.Sscanf(object, "%d ", &n); err != nil || object != numbered(n) {
		return -1
	}
	return n
}

// victim writes an object and a checkpoint, again and again, and says which is durable.
func victim(t *testing.T, path string) {
	b := &bed{t: t, path: path, segment: 4 << 20}
	b.open()
	for n := numberOf(b.object(kind, 1)) + 1; ; n++ {
		b.put(kind, 1, numbered(n))
		b.put(kind, 2, numbered(n))
		fmt.Println("durable", n)
		b.deny(100)
		b.pass()
	}
}

// TestKilledWhileSettling kills a process that writes checkpoints, at moments around
// the one at which Badger is closed, opened anew and rid of what is obsolete: what it
// said is durable is there, whole.
func TestKilledWhileSettling(t *testing.T) {
	if path := os.Getenv(victimDir); path != "" {
		victim(t, path)
	}
	const settlesAfter = settleBytes / (2 << 20) // checkpoints
	b := &bed{t: t, path: filepath.Join(t.TempDir(), "data"), segment: 4 << 20}
	for range 6 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileSettling$")
		cmd.Env = append(os.Environ(), victimDir+"="+b.path)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		durable, lines, end := 0, 0, settlesAfter-3+rand.IntN(6)
		for said := bufio.NewScanner(out); said.Scan(); {
			if _, err := fmt.Sscanf(said.Text(), "durable %d", &durable); err != nil {
				t.Errorf("the child says %q", said.Text())
			}
			if lines++; lines == end {
				time.AfterFunc(time.Duration(rand.IntN(100))*time.Millisecond, func() { _ = cmd.Process.Kill() })
			}
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") || lines < end {
			t.Fatalf("after %d checkpoints the child ended by itself: %v", lines, err)
		}
		b.open()
		one, two := numberOf(b.object(kind, 1)), numberOf(b.object(kind, 2))
		if one < durable || one > durable+1 || two < durable || two > one {
			t.Errorf("objects %d and %d are there (-1: not whole), %d is durable", one, two, durable)
		}
		b.close()
	}
}

// TestKilledWhileALogIsMade: Badger makes a log and gives it its size in two steps.
func TestKilledWhileALogIsMade(t *testing.T) {
	for _, log := range []string{"000099.vlog", "00099.mem"} {
		b := newBedWith(t, 4<<20)
		b.put(kind, 1, numbered(1))
		b.pass()
		b.close()
		if err := os.WriteFile(filepath.Join(b.path, "state", log), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for n := 1; n < 3; n++ {
			b.open()
			if numberOf(b.object(kind, 1)) != n {
				t.Errorf("with an empty %s: object %d is not there", log, n)
			}
			b.put(kind, 1, numbered(n+1))
			b.pass()
			b.close()
		}
	}
}

// TestEmptiedValueLog: a log that lost what pages point to is not one that was being made.
func TestEmptiedValueLog(t *testing.T) {
	b := newBedWith(t, 4<<20)
	b.put(kind, 1, numbered(1))
	b.pass()
	b.close()
	logs, err := filesWith(filepath.Join(b.path, "state"), ".vlog")
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range logs {
		if err := os.Truncate(log, 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := b.tryOpen(); err == nil || !strings.Contains(err.Error(), "restore the data directory from a backup") {
			t.Errorf("error %v", err)
		}
	}
}

// TestOpenedAnewWithinACheckpoint puts so many pages that Badger is opened anew on the
// way, but not while somebody reads beside it: all of them are there.
func TestOpenedAnewWithinACheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	db := must(openBadger(path, quiet()))
	const batch, batches = 1 << 20 / engine.PageBytes, settleBytes>>20 + 2 // of a MiB
	put := func(n int) {
		t.Helper()
		list := make([]KeyValue, batch)
		for i := range list {
			number := uint32(n*batch + i)
			list[i] = KeyValue{pageKey(engine.PageID{Table: 1, Number: number}), binary.BigEndian.AppendUint32(make([]byte, engine.PageBytes-4), number)}
		}
		if err := db.Put(list); err != nil {
			t.Fatal(err)
		}
	}
	db.settling.RLock()
	for n := range batches {
		put(n)
	}
	if db.mapped < settleBytes {
		t.Errorf("opened anew while a backup reads: %d bytes are mapped of %d", db.mapped, db.written)
	}
	db.settling.RUnlock()
	put(batches)
	if db.mapped != batch*engine.PageBytes || db.written != (batches+1)*batch*engine.PageBytes {
		t.Errorf("not opened anew: %d bytes are mapped of %d", db.mapped, db.written)
	}
	next := uint32(0)
	err := db.Scan(pagePrefix, func(_, value []byte) error {
		if got := binary.BigEndian.Uint32(value[engine.PageBytes-4:]); got != next {
			return fmt.Errorf("page %d holds %d", next, got)
		}
		next++
		return nil
	})
	if err != nil || next != (batches+1)*batch {
		t.Errorf("%d pages, want %d: %v", next, (batches+1)*batch, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
