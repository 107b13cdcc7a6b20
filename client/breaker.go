package client

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sony/gobreaker/v2"
)

// ErrOpen is the error of a call that the breaker stops: too many requests failed lately, and nothing was sent.
var ErrOpen = errors.New("the circuit breaker is open")

// Breaker is when to stop asking a service that does not stand, so that callers are answered at once and the service
// has room to recover. It opens when at least FailureShare of at least MinRequests requests within Window failed; after
// OpenFor a single request is let through, whose success closes it.
//
// A failure is a connection's, a broken answer, a status of 500 and above, and a deadline that passed. A 4xx is a
// success, 429 included, for the service stands. A call that its caller cancelled is neither.
type Breaker struct {
	MinRequests  uint32        // zero means 20
	FailureShare float64       // in (0, 1]; zero means 0.5
	Window       time.Duration // zero means 10 s
	OpenFor      time.Duration // zero means 5 s
	// OnChange, if not nil, is told of each change between "closed", "open" and "half-open". It must be quick, and must
	// not use the client.
	OnChange func(from, to string)
}

// buckets is how many steps the window moves in.
const buckets = 10

func (b Breaker) build() (*gobreaker.CircuitBreaker[[]byte], error) {
	if b.MinRequests == 0 {
		b.MinRequests = 20
	}
	if b.FailureShare == 0 {
		b.FailureShare = 0.5
	}
	if b.Window == 0 {
		b.Window = 10 * time.Second
	}
	if b.OpenFor == 0 {
		b.OpenFor = 5 * time.Second
	}
	if !(b.FailureShare > 0 && b.FailureShare <= 1) || b.Window < buckets || b.OpenFor < 0 {
		return nil, errors.New("Breaker: FailureShare must be in (0, 1], Window and OpenFor above 0")
	}
	settings := gobreaker.Settings{
		MaxRequests:  1,
		Interval:     b.Window,
		BucketPeriod: b.Window / buckets,
		Timeout:      b.OpenFor,
		ReadyToTrip: func(n gobreaker.Counts) bool {
			judged := n.TotalSuccesses + n.TotalFailures
			return judged >= b.MinRequests && float64(n.TotalFailures) >= b.FailureShare*float64(judged)
		},
		IsSuccessful: stands,
		IsExcluded:   cancelled,
	}
	if b.OnChange != nil {
		settings.OnStateChange = func(_ string, from, to gobreaker.State) { b.OnChange(from.String(), to.String()) }
	}
	return gobreaker.NewCircuitBreaker[[]byte](settings), nil
}

// stands says whether a request's error shows a service that works.
func stands(err error) bool {
	p, ok := errors.AsType[*Problem](err)
	return err == nil || ok && p.Status < http.StatusInternalServerError
}

// cancelled says whether a request's error says nothing of the service's state.
func cancelled(err error) bool { return errors.Is(err, context.Canceled) }
