package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/trendbuy/riskscorer/bench/http/load"
	"github.com/trendbuy/riskscorer/bench/report"
)

const (
	connections = 8  // of a closed loop
	openLoops   = 64 // connections at most under a constant rate: bounded, and more than should ever be busy
	warmUp      = time.Second
)

// turn is what one turn in a closed loop gave.
type turn struct {
	Rate float64 // answers with status 200 a second
	CPU  float64 // microseconds of the server's processor time an answer
	Shed float64 // share of the answers that went without their reasons, to save time
}

// latency is what one turn at a constant rate gave, in milliseconds from the intended start.
type latency struct {
	Rate, P50, P99, P999 float64
	Late99               float64 // the generator's own part
	Failed               int     // anything but 200
}

// shed is in an answer whose reasons riskscorer left out under overload.
const shed = `"explanation":"NONE"`

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

// offer carries a plan out and returns what the server used meanwhile.
func (s *server) offer(ctx context.Context, requests [][]byte, p load.Plan) (*load.Result, time.Duration, error) {
	before, err := s.process.Used()
	if err != nil {
		return nil, 0, err
	}
	r, err := load.Run(ctx, load.Target{Address: s.address, Requests: requests, Mark: []byte(shed)}, p)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %s", err, s.process.Tail(3))
	}
	after, err := s.process.Used()
	return r, after - before, err
}

// closed is a closed loop of so many connections in which every answer must be 200.
func (s *server) closed(ctx context.Context, requests [][]byte, connections int, length time.Duration) (turn, error) {
	r, used, err := s.offer(ctx, requests, load.Plan{Connections: connections, For: length})
	if err != nil {
		return turn{}, err
	}
	if n := r.Sent() - r.Answers[http.StatusOK]; n > 0 {
		return turn{}, errors.Join(fmt.Errorf("%d of %d requests failed: statuses %v", n, r.Sent(), r.Answers), r.Error)
	}
	return turnOf(r, used), nil
}

func turnOf(r *load.Result, used time.Duration) turn {
	served := float64(max(1, len(r.OK)))
	return turn{
		Rate: served / r.Took.Seconds(),
		CPU:  float64(used.Microseconds()) / served,
		Shed: float64(r.Marked) / served,
	}
}

// open is an open loop at a constant rate.
func (s *server) open(ctx context.Context, rate float64, length time.Duration) (latency, error) {
	r, _, err := s.offer(ctx, s.requests, load.Plan{Rate: rate, Connections: openLoops, For: length})
	if err != nil {
		return latency{}, err
	}
	return latency{
		Rate: rate, Failed: r.Sent() - r.Answers[http.StatusOK],
		P50: milliseconds(load.Quantile(r.OK, 0.5)), P99: milliseconds(load.Quantile(r.OK, 0.99)), P999: milliseconds(load.Quantile(r.OK, 0.999)),
		Late99: milliseconds(load.Quantile(r.Late, 0.99)),
	}, nil
}

// alternate lets contenders take turns. One that fails says why on the page and takes no more.
func (b *bench) alternate(ctx context.Context, r *results, contenders []*contender, take func(*contender, *server, *line) error) error {
	for round := range b.rounds {
		for _, c := range contenders {
			l := r.line(c)
			if l.Error != "" {
				continue
			}
			s, err := b.get(ctx, r, c)
			if err == nil && len(l.Turns) == 0 {
				_, err = s.closed(ctx, s.requests, connections, warmUp)
			}
			if err == nil {
				err = take(c, s, l)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				l.Error = err.Error()
				say("%s: %v", c.label, err)
				continue
			}
			if _, most, err := s.process.Memory(); err == nil {
				l.Peak = float64(most) / (1 << 20)
			}
			say("round %d of %d: %s: %s", round+1, b.rounds, c.label, l.last())
		}
	}
	return nil
}

// turns measures capacity and cost in a closed loop.
func (b *bench) turns(ctx context.Context, r *results, contenders []*contender) error {
	return b.alternate(ctx, r, contenders, func(_ *contender, s *server, l *line) error {
		t, err := s.closed(ctx, s.requests, connections, b.length())
		l.Turns = append(l.Turns, t)
		return err
	})
}

// latencies measures at half of each contender's own capacity.
func (b *bench) latencies(ctx context.Context, r *results, contenders []*contender) error {
	return b.alternate(ctx, r, contenders, func(c *contender, s *server, l *line) error {
		rate, err := b.capacity(ctx, s, l)
		if err != nil {
			return err
		}
		at, err := s.open(ctx, rate/2, b.length())
		l.Latencies = append(l.Latencies, at)
		return err
	})
}

// capacity is a contender's, measured now if it took no turn.
func (b *bench) capacity(ctx context.Context, s *server, l *line) (float64, error) {
	if len(l.Turns) == 0 {
		t, err := s.closed(ctx, s.requests, connections, b.length())
		if err != nil {
			return 0, err
		}
		l.Turns = append(l.Turns, t)
	}
	return l.rate(), nil
}

// starts measures how soon riskscorer answers, in processes of their own.
func (b *bench) starts(ctx context.Context, r *results, _ []*contender) error {
	c := b.ours("", "riskscorer", "")
	for range b.rounds {
		s, err := b.launch(ctx, c)
		if err != nil {
			return err
		}
		r.Starts = append(r.Starts, s.first.Seconds())
		r.Idles = append(r.Idles, s.idle)
		if err := s.process.Stop(stopLimit); err != nil {
			return err
		}
	}
	say("first answer after %.2f s, %.0f MB", report.Median(r.Starts), report.Median(r.Idles))
	return nil
}
