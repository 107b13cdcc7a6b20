package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/trendbuy/riskscorer/bench/http/load"
)

const (
	// deadline is the service's default, and so long a client of an overloaded server waits.
	deadline = 2 * time.Second
	// crowd bounds the connections under overload.
	crowd = 256
	// heavy is what a request of the overload costs at least: cheaper ones cost the generator as much as the server.
	heavy = 2 * time.Millisecond
)

// loads are offered one after another, as multiples of the peak.
func loads() []float64 { return []float64{1, 2, 5, 10} }

// offered is what came of one offered load.
type offered struct {
	Orders  int     // a request
	Peak    float64 // requests a second in a closed loop
	Times   float64 // of the peak
	Sent    float64 // requests a second that were really sent
	Good    float64 // requests a second answered with 200 within the deadline, from the intended start
	Refused float64 // requests a second with any other answer
	Broken  int     // without an answer
	P50     float64 // ms of those that were served
	P99     float64
	P999    float64
	CPU     float64 // the server's processor time, seconds a second
	Served  float64 // microseconds of the server's processor time a request in a closed loop
}

// overload offers more than the server can serve: heavy batches, and single orders.
func (b *bench) overload(ctx context.Context, r *results, _ []*contender) error {
	s, err := b.get(ctx, r, b.ours("", "riskscorer", ""))
	if err != nil {
		return err
	}
	const probe = 200
	requests, err := b.batches(s, probe)
	if err != nil {
		return err
	}
	t, err := s.closed(ctx, requests, warmUp)
	if err != nil {
		return err
	}
	orders := min(1000, int(math.Ceil(1.25*probe*float64(heavy.Microseconds())/t.CPU)))
	if requests, err = b.batches(s, orders); err != nil {
		return err
	}
	if r.Offered, err = b.crowded(ctx, s, requests, orders); err != nil {
		return err
	}
	r.Singles, err = b.crowded(ctx, s, s.requests, 1)
	return err
}

// crowded measures the peak in a closed loop and then, in every round, each load.
func (b *bench) crowded(ctx context.Context, s *server, requests [][]byte, orders int) ([]offered, error) {
	var peaks []turn
	for range b.rounds {
		t, err := s.closed(ctx, requests, b.length())
		if err != nil {
			return nil, err
		}
		peaks = append(peaks, t)
	}
	peak, served := median(peaks, func(t *turn) float64 { return t.Rate }), median(peaks, func(t *turn) float64 { return t.CPU })
	var all []offered
	for range b.rounds {
		for _, times := range loads() {
			o := offered{Orders: orders, Peak: peak, Times: times, Served: served}
			if err := o.measure(ctx, s, requests, b.length()); err != nil {
				return nil, err
			}
			say("%d orders a request, %.0fx: %.0f/s sent, %.0f%% of the peak served in time, %.0f/s refused, p99 %.1f ms, %d broken",
				orders, times, o.Sent, 100*o.Good/peak, o.Refused, o.P99, o.Broken)
			all = append(all, o)
		}
	}
	return all, nil
}

func (o *offered) measure(ctx context.Context, s *server, requests [][]byte, length time.Duration) error {
	r, used, err := s.offer(ctx, requests, load.Plan{
		Rate: o.Times * o.Peak, Connections: crowd, For: length, Patience: deadline,
	})
	if err != nil {
		return err
	}
	inTime, _ := slices.BinarySearch(r.OK, deadline+1)
	took := r.Took.Seconds()
	o.Sent, o.Good = float64(r.Sent())/took, float64(inTime)/took
	o.Refused, o.Broken = float64(r.Sent()-r.Errors-r.Answers[http.StatusOK])/took, r.Errors
	o.P50, o.P99, o.P999 = milliseconds(load.Quantile(r.OK, 0.5)), milliseconds(load.Quantile(r.OK, 0.99)), milliseconds(load.Quantile(r.OK, 0.999))
	o.CPU = used.Seconds() / took
	return nil
}

// refusal measures what a refused order costs: one of a client that has used up its rate.
func (b *bench) refusal(ctx context.Context, r *results, _ []*contender) error {
	s, err := b.launch(ctx, b.ours("", "riskscorer", "", "RATE_LIMIT=0.01", "RATE_LIMIT_BURST=1"))
	if err != nil {
		return err
	}
	defer func() { _ = s.process.Stop(stopLimit) }()
	for range b.rounds {
		got, used, err := s.offer(ctx, s.requests, load.Plan{Connections: connections, For: b.length()})
		if err != nil {
			return err
		}
		if n := got.Answers[http.StatusTooManyRequests]; n < got.Sent()*9/10 {
			return fmt.Errorf("a client beyond its rate was answered %v", got.Answers)
		}
		r.Refusal = append(r.Refusal, float64(used.Microseconds())/float64(got.Sent()))
	}
	say("refusing costs %.1f us CPU", median(r.Refusal, func(x *float64) float64 { return *x }))
	return nil
}
