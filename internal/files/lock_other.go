//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package files

import (
	"fmt"
	"io"
	"runtime"
)

// lockFile has no lock that ends with its process on this system.
func lockFile(path string, _ bool) (io.Closer, error) {
	return nil, fmt.Errorf("%s: locks are not supported on %s: keep client.State by yourself, with client.Options.Keep", path, runtime.GOOS)
}

func syncDir(string) error { return nil }
