package admission

import (
	"context"
	"slices"
	"time"
)

// Turn is a request's place at work. Use it from one goroutine.
type Turn struct {
	gate    *Gate
	request Request
	asked   time.Time
	begun   time.Time     // of the first slice, zero before it
	since   time.Time     // of the slice that runs
	worked  time.Duration // in slices that ended
	weight  float64       // what it adds to its line's backlog, in seconds
	holds   bool          // a core
	sheds   bool
	left    bool       // ended
	ready   chan error // gets one value when it is the turn's time; nil where it never waited
}

// Sheds says whether the gate was so busy that the work should do without what can be left out.
func (t *Turn) Sheds() bool { return t.sheds }

// Yield lets those go first whose class was given less, between two slices of the turn's work. The error is ErrLate
// where the request's time has passed, ErrBusy where it passed in line, or the context's; nothing is left to do then but
// to Leave.
func (t *Turn) Yield(ctx context.Context) error {
	g, now := t.gate, time.Now()
	if !now.Before(t.request.Due) {
		return ErrLate
	}
	g.mu.Lock()
	g.book(t, now)
	mine, other := &g.lines[t.request.Class], &g.lines[1-t.request.Class]
	if len(other.waiting) == 0 || other.spent > mine.spent {
		g.mu.Unlock()
		return ctx.Err()
	}
	g.stop(t, now)
	t.wait(true)
	g.dispatch(now)
	g.mu.Unlock()
	return t.await(ctx)
}

// Done ends a turn whose work is done, and learns from what it took.
func (t *Turn) Done() { t.end(true) }

// Leave ends the turn, if Done has not.
func (t *Turn) Leave() { t.end(false) }

func (t *Turn) end(done bool) {
	if t.left {
		return
	}
	t.left = true
	g, now := t.gate, time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.holds {
		g.stop(t, now)
	}
	if size := float64(t.request.Size); size > 0 {
		l, took := &g.lines[t.request.Class], now.Sub(t.begun).Seconds()/size
		switch {
		case done:
			l.service.add(t.worked.Seconds() / size)
			l.elapsed.add(took)
			g.limit.observe(now, kindOf(t), t.worked.Seconds()/size)
		case took > float64(l.elapsed): // half of the work took longer than all of it should
			l.elapsed.add(took)
		}
	}
	g.dispatch(now)
}

// wait puts the turn in line, at the front where it has worked already. The caller holds the lock.
func (t *Turn) wait(front bool) {
	l := &t.gate.lines[t.request.Class]
	t.weight = max(0, float64(l.service)*float64(t.request.Size)-t.worked.Seconds())
	t.ready = make(chan error, 1)
	l.backlog += t.weight
	at := len(l.waiting)
	if front {
		at = 0
	}
	l.waiting = slices.Insert(l.waiting, at, t)
}

// await waits for the turn's time, at most until it is due.
func (t *Turn) await(ctx context.Context) error {
	due := time.NewTimer(time.Until(t.request.Due))
	defer due.Stop()
	select {
	case err := <-t.ready:
		return err
	case <-ctx.Done():
		return t.giveUp(ctx.Err())
	case <-due.C:
		return t.giveUp(ErrBusy)
	}
}

// giveUp takes the turn out of its line; a core that it was given meanwhile goes to the next.
func (t *Turn) giveUp(err error) error {
	g, now := t.gate, time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	l := &g.lines[t.request.Class]
	if i := slices.Index(l.waiting, t); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		l.backlog -= t.weight
	}
	if t.holds {
		g.stop(t, now)
		g.dispatch(now)
	}
	return err
}
