// Package admission provides the decision which requests begin work, and when: a gate with a concurrency limit that
// adapts to measured time, a ladder of degradation, token buckets of clients, and budgets of memory. It knows no HTTP.
package admission

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Class is a size class of requests. Each has a queue of its own, and its share of the time when both want work done.
type Class int

// The classes.
const (
	Order Class = iota // one order: well below a millisecond
	Batch              // up to 1,000 of them, worked on in slices
	classes
)

// weights are the shares of the time that the classes get while both have requests waiting.
func (c Class) weight() float64 {
	if c == Batch {
		return 1
	}
	return 3
}

// maxWait is how long a request that has so much time waits at most, by estimate. A queue is for bursts: under a load
// that stays, all of it is latency and none of it throughput. Batches are long, and whoever sends them is in less of a
// hurry: some may wait, for a quarter of their time.
func (c Class) maxWait(left time.Duration) time.Duration {
	const short, long = 25 * time.Millisecond, 250 * time.Millisecond
	if c == Batch {
		return min(max(left/4, short), long)
	}
	return short
}

// The errors of a request that is not admitted.
var (
	// ErrBusy is the gate's fault: too much waits already. The same request may be admitted later.
	ErrBusy = errors.New("too much waits already")
	// ErrLate is the request's: such work takes longer than the time that the request has.
	ErrLate = errors.New("the work does not fit the time")
)

// maxWaiting bounds a class's queue where work is so short that maxWait does not.
const maxWaiting = 1024

// Request is what asks for a turn.
type Request struct {
	Class Class
	// Size is proportional to the work within a class: 1 for an order, the body's bytes for a batch.
	Size int
	// Due is when the answer is worth nothing any more.
	Due time.Time
	// Insists says that the request is of no use without its reasons. While they are shed it waits only where few wait.
	Insists bool
}

// Gate admits requests to the cores. It is safe for concurrent use.
type Gate struct {
	mu      sync.Mutex
	limit   limit
	running int
	lines   [classes]line
	ladder  ladder
}

// line is what the gate knows of a class.
type line struct {
	waiting []*Turn // the first is next
	backlog float64 // seconds of work that wait
	running int
	// spent is the time that the class was given, in seconds divided by its weight: of two classes that wait, the one
	// that was given less is next (start-time fair queueing; Goyal, Vin and Cheng, 1996).
	spent   float64
	service average // seconds of work a unit of size
	elapsed average // seconds from a turn's first slice to its end, a unit of size
}

// New returns a gate before so many cores. The work that it admits is computation: the limit is never below their
// number, and not far above.
func New(cores int) *Gate {
	return &Gate{limit: newLimit(max(cores, 1))}
}

// Expect says whether Enter would let the request wait or work, without entering: nil, ErrBusy or ErrLate. It is for
// the time before a request's body is read.
func (g *Gate) Expect(r Request) error {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.judge(&r, now)
}

// Enter waits until the request may work. The error is ErrBusy, ErrLate or the context's; without one, the turn's
// Leave must be called, whatever happens in between.
func (g *Gate) Enter(ctx context.Context, r Request) (*Turn, error) {
	now := time.Now()
	g.mu.Lock()
	if err := g.judge(&r, now); err != nil {
		g.mu.Unlock()
		return nil, err
	}
	t := &Turn{gate: g, request: r, asked: now}
	l := &g.lines[r.Class]
	if len(l.waiting) == 0 && l.running == 0 { // an idle class saves nothing up
		l.spent = max(l.spent, g.lines[1-r.Class].spent)
	}
	if g.running < g.limit.current() && g.none() {
		g.start(t, now)
		g.mu.Unlock()
		return t, nil
	}
	t.wait(false)
	g.mu.Unlock()
	if err := t.await(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// judge says whether the request can be done in time.
func (g *Gate) judge(r *Request, now time.Time) error {
	if !now.Before(r.Due) {
		return ErrLate
	}
	if g.running == 0 {
		return nil // an idle gate tries, so that a wrong estimate is not for ever
	}
	l := &g.lines[r.Class]
	own := l.elapsed.of(r.Size)
	if now.Add(own).After(r.Due) {
		return ErrLate
	}
	wait := g.expected(r.Class)
	few := len(l.waiting) < g.limit.current()
	switch {
	case now.Add(wait + own).After(r.Due),
		!few && (wait > r.Class.maxWait(r.Due.Sub(now)) || len(l.waiting) >= maxWaiting),
		!few && r.Insists && g.ladder.sheds(now):
		g.ladder.refused(now)
		return ErrBusy
	}
	return nil
}

// expected is how long a request of the class would wait, apart from the rest of what runs.
func (g *Gate) expected(c Class) time.Duration {
	share := 1.0
	if len(g.lines[1-c].waiting) > 0 {
		share = c.weight() / (Order.weight() + Batch.weight())
	}
	return seconds(g.lines[c].backlog / share / float64(g.limit.current()))
}

func (g *Gate) none() bool { return len(g.lines[Order].waiting)+len(g.lines[Batch].waiting) == 0 }

// start gives a turn a core. The caller holds the lock.
func (g *Gate) start(t *Turn, now time.Time) {
	g.running++
	g.lines[t.request.Class].running++
	g.limit.used(g.running)
	t.since, t.holds = now, true
	if t.begun.IsZero() {
		t.begun = now
		r := &t.request
		wait := now.Sub(t.asked).Seconds() / r.Class.maxWait(r.Due.Sub(t.asked)).Seconds()
		t.sheds = g.ladder.waited(now, wait) && !r.Insists
	}
}

// stop takes a turn's core and books the time. The caller holds the lock.
func (g *Gate) stop(t *Turn, now time.Time) {
	l := &g.lines[t.request.Class]
	g.book(t, now)
	g.running--
	l.running--
	t.holds = false
}

// book adds a turn's time since its last slice to what its class was given.
func (g *Gate) book(t *Turn, now time.Time) {
	slice := now.Sub(t.since)
	t.since, t.worked = now, t.worked+slice
	g.lines[t.request.Class].spent += slice.Seconds() / t.request.Class.weight()
}

// dispatch starts what may start now. The caller holds the lock.
func (g *Gate) dispatch(now time.Time) {
	for g.running < g.limit.current() && !g.none() {
		t := g.next().pop()
		own := g.lines[t.request.Class].elapsed.of(t.request.Size)
		if fresh := t.begun.IsZero(); fresh && g.running > 0 && now.Add(own).After(t.request.Due) {
			g.ladder.refused(now)
			t.ready <- ErrBusy
			continue
		}
		g.start(t, now)
		t.ready <- nil
	}
}

// next is the line whose turn it is, orders first where both were given the same.
func (g *Gate) next() *line {
	o, b := &g.lines[Order], &g.lines[Batch]
	if len(o.waiting) == 0 || len(b.waiting) > 0 && b.spent < o.spent {
		return b
	}
	return o
}

func (l *line) pop() *Turn {
	t := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	l.backlog -= t.weight
	return t
}

// State is what a gate does at a moment.
type State struct {
	Limit   int          // turns that may run at once
	Running int          // turns that do
	Waiting [classes]int // requests in line, by class
	Step    Step
}

// State returns what the gate does now.
func (g *Gate) State() State {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := State{Limit: g.limit.current(), Running: g.running, Step: g.ladder.step(now)}
	for c := range g.lines {
		s.Waiting[c] = len(g.lines[c].waiting)
	}
	return s
}

// average is a moving average of a cost a unit of size, in seconds; 0 while nothing is known.
type average float64

// add takes one more measurement in, an eighth; one stall counts for no more than four times what was known.
func (a *average) add(v float64) {
	if *a == 0 {
		*a = average(v)
		return
	}
	*a += (average(min(v, 4*float64(*a))) - *a) / 8
}

func (a average) of(size int) time.Duration { return seconds(float64(a) * float64(size)) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
