package admission

import "time"

// How the limit moves.
const (
	// headroom is how far above the number of cores the limit can go: work that waits for memory or for the kernel gains
	// a little by company, and a wrong measurement must not cost much.
	headroom = 4
	// An adjustment looks at this much time and at so many turns at least.
	adjustEvery  = 100 * time.Millisecond
	adjustSample = 10
	growEvery    = time.Second
	// Work that takes this much longer than at its best shares its core with other work.
	stretched = 1.25
	relaxed   = 1.1
	// The best time is that of the last one to two such spans, so that a faster model or machine is not for ever.
	remember = 10 * time.Second
)

// kind is work that costs the same a unit: a class, with or without what can be left out.
type kind int

const kinds = 2 * kind(classes)

func kindOf(t *Turn) kind {
	k := 2 * kind(t.request.Class)
	if t.sheds {
		k++
	}
	return k
}

// limit is how many turns run at once: the gradient of TCP Vegas (Brakmo and Peterson, 1995) as Netflix's
// concurrency-limits put it to servers. It falls by the ratio of the best time of a unit of work to the present one,
// and grows by one while work takes no longer than at its best. Times are of work alone: a wait in line is not in them.
type limit struct {
	floor, ceiling int
	value          float64
	peak           int // turns that ran at once since the last adjustment
	sum            float64
	count          int
	adjusted, grew time.Time
	best           [kinds]lowest
}

func newLimit(cores int) limit {
	return limit{floor: cores, ceiling: headroom * cores, value: float64(cores)}
}

func (l *limit) current() int { return int(l.value) }

func (l *limit) used(running int) { l.peak = max(l.peak, running) }

// observe takes in what a unit of a turn's work took, in seconds.
func (l *limit) observe(now time.Time, k kind, unit float64) {
	best := l.best[k].add(now, unit)
	if best <= 0 {
		return // no clock is that fine
	}
	l.sum += min(unit/best, 2*headroom)
	l.count++
	if l.count < adjustSample || now.Sub(l.adjusted) < adjustEvery {
		return
	}
	stretch := l.sum / float64(l.count)
	switch {
	case stretch > stretched:
		l.value = max(float64(l.floor), l.value*max(0.5, stretched/stretch))
	case stretch < relaxed && l.peak >= l.current() && now.Sub(l.grew) >= growEvery:
		l.value = min(float64(l.ceiling), l.value+1)
		l.grew = now
	}
	l.sum, l.count, l.peak, l.adjusted = 0, 0, 0, now
}

// lowest is a minimum over the last one to two spans of remember.
type lowest struct {
	begun           time.Time
	current, before float64 // 0 for none
}

func (l *lowest) add(now time.Time, v float64) float64 {
	if now.Sub(l.begun) > remember {
		l.begun, l.before, l.current = now, l.current, 0
	}
	if l.current == 0 || v < l.current {
		l.current = v
	}
	if l.before != 0 {
		return min(l.before, l.current)
	}
	return l.current
}
