//go:build sabotage

package sabotage

import (
	"os"
	"syscall"
)

// At ends the process if this is the point that the file of FileVariable holds at the moment. A file needs no state here,
// and lets a test choose the point and the moment while the process runs.
func At(p Point) {
	armed, err := os.ReadFile(os.Getenv(FileVariable))
	if err != nil || Point(armed) != p {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal may reach another thread first: this one goes no further
}

// On reports whether this bug is planted.
func On(b Bug) bool { return Bug(os.Getenv(BugVariable)) == b }
