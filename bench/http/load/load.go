// Package load provides a generator of HTTP/1.1 load for benchmarks: constant arrival rate, latency from the intended
// start. An arrival that finds no free connection waits, and its wait counts (Gil Tene's "coordinated omission" is what
// comes of leaving it out). Requests are bytes made beforehand and every latency is kept, so that quantiles are exact
// and the generator takes little from a server on the same cores.
package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// grace is how long answers may take after the last arrival.
const grace = 10 * time.Second

// Target is a server and the requests that it gets, one after another and again from the first.
type Target struct {
	Address  string // host:port
	Requests [][]byte
	// Dial, if not nil, takes the place of TCP: for a server in memory and under the clock of testing/synctest, by which
	// arrivals are then timed.
	Dial func(context.Context) (net.Conn, error)
	// Mark, if not empty, is looked for in the bodies of answers with status 2xx.
	Mark []byte
}

// Post returns a request as it travels; path may have a query.
func Post(address, path string, body []byte) ([]byte, error) {
	at, err := url.Parse("http://" + address + path)
	if err != nil {
		return nil, err
	}
	r := &http.Request{
		Method: http.MethodPost, URL: at,
		Header: http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}},
		Body:   io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	var wire bytes.Buffer
	err = r.Write(&wire)
	return wire.Bytes(), err
}

// Plan says how requests arrive.
type Plan struct {
	// Rate is of arrivals a second, evenly spaced. 0 is a closed loop: each connection sends as soon as it has its answer.
	Rate        float64
	Connections int // at most so many requests are under way
	For         time.Duration
	// Patience is how long an arrival waits for a free connection before it is given up, as a client with a time-out
	// would; 0 is for ever.
	Patience time.Duration
}

// Result is what came of a plan.
type Result struct {
	Took    time.Duration // from the first arrival to the last answer
	Answers map[int]int   // by status
	Errors  int           // requests without an answer
	Error   error         // one of them
	GaveUp  int           // arrivals that were never sent
	Marked  int           // of OK, those with the target's Mark
	// OK are the latencies of answers with status 2xx, from the intended start to the end of the body, sorted; of a
	// closed loop, from the sending.
	OK []time.Duration
	// Late is how much later than intended requests were sent for which a connection was free: the generator's own
	// fault, and part of OK. Sorted.
	Late []time.Duration
}

// Sent is the number of requests that were sent.
func (r *Result) Sent() int {
	n := r.Errors
	for _, answers := range r.Answers {
		n += answers
	}
	return n
}

// Quantile returns the smallest value of a sorted list that at least the share q of it does not exceed; 0 of nothing.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(q*float64(len(sorted)) + 0.999999)
	return sorted[min(len(sorted), max(1, rank))-1]
}

// sleep waits as precisely as package time does.
func sleep(ctx context.Context, at time.Time) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(at)):
	}
}

// Run carries the plan out. The error is for a plan or a server with which nothing can be measured; a request that
// fails is counted.
func Run(ctx context.Context, t Target, p Plan) (*Result, error) {
	if len(t.Requests) == 0 || p.Connections < 1 || p.For <= 0 || p.Rate < 0 {
		return nil, fmt.Errorf("load: %d requests, %d connections, %v and a rate of %g are no plan", len(t.Requests), p.Connections, p.For, p.Rate)
	}
	ctx, cancel := context.WithTimeout(ctx, p.For+grace)
	defer cancel()
	workers := make([]*worker, p.Connections)
	for i := range workers {
		workers[i] = &worker{target: t, result: Result{Answers: make(map[int]int)}}
		defer workers[i].close()
		if err := workers[i].dial(ctx); err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
	}
	begin := time.Now()
	arrivals := &arrivals{plan: p, begin: begin, due: int(p.Rate * p.For.Seconds()), sleep: sleepUntil, turn: make(chan struct{}, 1)}
	if t.Dial != nil {
		arrivals.sleep = sleep
	}
	var running sync.WaitGroup
	for _, w := range workers {
		running.Go(func() { w.run(ctx, arrivals) })
	}
	running.Wait()
	all := &Result{Took: time.Since(begin), Answers: make(map[int]int), GaveUp: arrivals.gaveUp, Late: arrivals.late}
	for _, w := range workers {
		all.add(&w.result)
	}
	slices.Sort(all.OK)
	slices.Sort(all.Late)
	if len(all.Answers) == 0 {
		return all, fmt.Errorf("load: no answer of %s to %d requests: %w", t.Address, all.Errors, errors.Join(all.Error, ctx.Err()))
	}
	return all, nil
}

func (r *Result) add(of *Result) {
	for code, n := range of.Answers {
		r.Answers[code] += n
	}
	r.Errors += of.Errors
	r.Marked += of.Marked
	r.Error = errors.Join(r.Error, of.Error)
	r.OK = append(r.OK, of.OK...)
}

// arrivals gives out the moments at which requests are due. One worker waits for the next of them, and the others for
// that worker: so nobody has to be told, and an arrival for which all were too busy goes to the first that is free.
type arrivals struct {
	plan  Plan
	begin time.Time
	sleep func(context.Context, time.Time)

	turn   chan struct{} // holds one while somebody has the rest; a channel, because synctest waits for no mutex
	given  int
	due    int // in all, of an open loop
	gaveUp int
	late   []time.Duration
}

// next waits for the next arrival and returns when it was due and its number; false is the end.
func (a *arrivals) next(ctx context.Context) (time.Time, int, bool) {
	a.turn <- struct{}{}
	defer func() { <-a.turn }()
	for ctx.Err() == nil {
		number := a.given
		a.given++
		if a.plan.Rate == 0 {
			now := time.Now()
			return now, number, now.Sub(a.begin) < a.plan.For
		}
		if number >= a.due {
			break
		}
		due := a.begin.Add(time.Duration(float64(number) / a.plan.Rate * float64(time.Second)))
		switch wait := time.Until(due); {
		case wait > 0:
			a.sleep(ctx, due)
			a.late = append(a.late, time.Since(due))
		case a.plan.Patience > 0 && -wait > a.plan.Patience:
			a.gaveUp++
			continue
		}
		return due, number, true
	}
	return time.Time{}, 0, false
}
