package main

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/engine"
	"muster/license"
	"muster/machine"
	"muster/storage"
)

// TestKilledRestore kills "muster restore --replace" before and between its
// renames, and at any moment: what is there is the old directory or the restored
// one, whole, or neither, and then no server begins a new one; the next restore
// ends well, and the old one is kept. [OPS-5]
func TestKilledRestore(t *testing.T) {
	needStrace(t)
	binary, old := built(t), newServer(t)
	for before, want := range map[string]string{".before-restore": "old", ".restoring": "neither"} {
		t.Run("rename of "+before, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			got := killedRestore(t, old, data, 0, "strace", "-f", "-o", os.DevNull, "-P", data+before, "-e", "trace=renameat", "-e", "inject=renameat:signal=KILL", binary)
			if got != want {
				t.Errorf("met %s, want %s", got, want)
			}
		})
	}
	met := map[string]int{}
	for n := range 10 {
		t.Run(fmt.Sprint("moment ", n+1), func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			met[killedRestore(t, old, data, time.Duration(rand.IntN(200))*time.Millisecond, binary)]++
		})
	}
	t.Logf("met %v", met)
}

// newServer makes the data directory of a server that has no license yet.
func newServer(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "old")
	dir, err := storage.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	id, err := dir.LoadIdentity(license.BindKey, machine.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := dir.Open(storage.Options{Core: engine.Config{Server: id.Public, Trusted: &license.KeyRing{}, TokenKey: id.TokenKey}, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = store.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// killedRestore restores over a copy of old at data, by a command that kills or until
// a moment, and says what it met.
func killedRestore(t *testing.T, old, data string, after time.Duration, by ...string) (met string) {
	if err := os.CopyFS(data, os.DirFS(old)); err != nil {
		t.Fatal(err)
	}
	restore := []string{"restore", filepath.Join("testdata", "format-1.tar.zst"), "--data", data, "--replace", "--vendor-key", filepath.Join("testdata", "format-1.vendor.pub")}
	cmd := exec.Command(by[0], append(by[1:], restore...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if after > 0 {
		time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	}
	_ = cmd.Wait()

	met = whichServer(t, data)
	if met == "restored" {
		return met
	}
	mustMuster(t, restore...)
	if again := whichServer(t, data); again != "restored" {
		t.Errorf("%s was met, and restored again it is %s", met, again)
	}
	if kept := whichServer(t, data+".before-restore"); kept != "old" {
		t.Errorf("what was there before is %s", kept)
	}
	return met
}

// whichServer says whose data directory is there.
func whichServer(t *testing.T, data string) string {
	t.Helper()
	if _, err := os.Stat(data); os.IsNotExist(err) {
		if _, err := storage.OpenDir(data); err == nil || !strings.Contains(err.Error(), "a restore that was cut short") {
			t.Errorf("a new server may begin in the place of the old one: %v", err)
		}
		return "neither"
	}
	said := mustMuster(t, "verify", data, "--vendor-key", filepath.Join("testdata", "format-1.vendor.pub"))
	if strings.Contains(said, "100001/scans") {
		return "restored"
	}
	return "old"
}
