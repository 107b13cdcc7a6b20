package admission

import "time"

// Step is how far service is degraded.
type Step int

// The steps, each of which includes the one before.
const (
	Full     Step = iota // everything is done
	Shedding             // what can be left out is
	Refusing             // and requests are turned away
)

const (
	// A queue that has not been shorter than this part of maxWait for a whole span is no burst (Nichols and Jacobson,
	// Controlling Queue Delay, 2012).
	standing    = 0.2
	standSpan   = 100 * time.Millisecond
	standSample = 8
	// Shedding ends when nothing has pressed for a hold. A hold is twice as long as the one before where pressure came
	// back within two of them: what is shed makes room, and its return would take the room again.
	minHold = time.Second
	maxHold = 30 * time.Second
	// refusing is how long one refusal is visible.
	refusing = time.Second
)

// ladder says which step the gate is on.
type ladder struct {
	shedding      bool
	hold          time.Duration
	pressed, left time.Time
	turnedAway    time.Time
	// of the span that is looked at
	from     time.Time
	shortest float64 // wait, as a part of maxWait
	count    int
}

// waited takes in how long a turn waited for its first slice, as a part of maxWait, and says whether it should shed.
func (l *ladder) waited(now time.Time, wait float64) bool {
	if l.count == 0 || wait < l.shortest {
		l.shortest = wait
	}
	l.count++
	if l.count >= standSample && now.Sub(l.from) >= standSpan {
		if l.shortest > standing {
			l.press(now)
		}
		l.from, l.count = now, 0
	}
	return l.sheds(now)
}

// refused takes in that a request was turned away.
func (l *ladder) refused(now time.Time) {
	l.turnedAway = now
	l.press(now)
}

func (l *ladder) press(now time.Time) {
	l.sheds(now) // may have ended
	l.pressed = now
	if l.shedding {
		return
	}
	l.shedding = true
	if now.Sub(l.left) < 2*l.hold {
		l.hold = min(2*l.hold, maxHold)
	} else {
		l.hold = minHold
	}
}

// sheds says whether to shed now.
func (l *ladder) sheds(now time.Time) bool {
	if l.shedding && now.Sub(l.pressed) > l.hold {
		l.shedding, l.left = false, now
	}
	return l.shedding
}

func (l *ladder) step(now time.Time) Step {
	switch {
	case !l.sheds(now):
		return Full
	case now.Sub(l.turnedAway) <= refusing:
		return Refusing
	default:
		return Shedding
	}
}
