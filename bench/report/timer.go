package report

import (
	"syscall"
	"time"
)

const (
	timedRounds = 5
	timedLimit  = time.Second // of all rounds
)

// Timed returns the median over several rounds of the microseconds of processor time an item, of a run that works on so
// many.
func Timed(items int, run func()) float64 {
	run() // warms up
	rounds := make([]float64, timedRounds)
	for i := range rounds {
		begin, n := processorTime(), 0
		for processorTime()-begin < timedLimit/timedRounds {
			run()
			n += items
		}
		rounds[i] = float64((processorTime() - begin).Nanoseconds()) / 1e3 / float64(n)
	}
	return Median(rounds)
}

// processorTime is what this process has used, user and system.
func processorTime() time.Duration {
	var use syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &use) // it fails for a bad argument only
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
