//go:build unix

package main

import "golang.org/x/sys/unix"

// openFilesMax raises the limit of open files as far as it goes and returns it;
// 0 if it is not known.
func openFilesMax() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	if limit.Cur < limit.Max {
		raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			return uint64(raised.Cur)
		}
	}
	return uint64(limit.Cur)
}
