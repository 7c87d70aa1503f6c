//go:build !linux

package journal

import (
	"errors"
	"os"
	"runtime"
)

func openDirect(string) *os.File { return nil }

func readAhead(*os.File) {}

func forget(*os.File) {}

// SyncDir implements Disk. Windows cannot sync a directory and writes renames
// through its own log; there it does nothing. File.Sync is that of os.File.
func (d Dir) SyncDir() error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
