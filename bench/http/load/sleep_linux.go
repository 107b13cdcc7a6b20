package load

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// rough is what the runtime's timers may be late by: they wait in whole milliseconds.
const rough = 2 * time.Millisecond

// sleepUntil waits to within some ten microseconds, which time.Sleep does not.
func sleepUntil(ctx context.Context, at time.Time) {
	sleep(ctx, at.Add(-rough))
	for wait := time.Until(at); wait > 0 && ctx.Err() == nil; wait = time.Until(at) {
		// The kernel adds 50 us for the sake of batteries unless the thread, whichever this is now, forbids it. Failing
		// makes the wait longer, which is measured; a signal makes it shorter, and the loop goes on.
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
		rest := unix.NsecToTimespec(wait.Nanoseconds())
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &rest, nil)
	}
}
