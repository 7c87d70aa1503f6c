// Package build says what was built: all programs of the module tell it alike.
package build

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version and commit are set by the linker.
var (
	version = "development"
	commit  = ""
)

// Version is the release.
func Version() string { return version }

// Commit is the commit of the sources, "unknown" if it was not told.
func Commit() string {
	revision := commit
	if info, ok := debug.ReadBuildInfo(); ok && revision == "" { // built by go itself, not by make
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	return cmp.Or(revision, "unknown")
}

// Text tells a person version, commit, Go and platform of a program.
func Text(program string) string {
	return fmt.Sprintf("%s %s\ncommit %s\n%s %s/%s\n", program, Version(), Commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
