package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sony/gobreaker/v2"
)

// The waits before retries: 10 ms, then twice as long each time, each drawn from the half to the one and a half of
// that. A customer waits, so they begin small; the jitter keeps callers that failed together apart.
const (
	firstWait = 10 * time.Millisecond
	maxWait   = time.Second
)

// request is what one call sends, as often as it takes.
type request struct {
	url   string
	body  []byte
	limit int64 // of the answer, in bytes
}

// call sends the request until it is answered, at most Config.Attempts times, within the deadline, the breaker and the
// retry budget. Scoring has no side effects, so that repeating is always safe; whether it is useful, the error tells.
func (c *Client) call(ctx context.Context, r request, parse func([]byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	due, _ := ctx.Deadline()
	c.budget.deposit()
	waits := backoff.ExponentialBackOff{
		InitialInterval: firstWait, MaxInterval: maxWait, Multiplier: 2, RandomizationFactor: 0.5,
	}
	var last error
	for n := 1; ; n++ {
		if !c.on(ctx) {
			return after(ErrOff, last)
		}
		err := c.guarded(ctx, r, parse)
		if err == nil {
			return nil
		}
		if errors.Is(err, ErrOpen) {
			return after(err, last)
		}
		asked, again := retryable(err)
		if !again || n == c.config.Attempts {
			return err
		}
		// A wait that would end past the deadline is not begun: the caller has better uses for the time.
		wait := asked + waits.NextBackOff()
		if time.Until(due) <= wait || !c.budget.withdraw() {
			return err
		}
		if !sleep(ctx, wait) {
			return after(ctx.Err(), err)
		}
		last = err
	}
}

// after adds the failure before it to what ended a call.
func after(err, last error) error {
	if last == nil {
		return err
	}
	return fmt.Errorf("%w, after: %w", err, last)
}

// guarded makes one request if the breaker lets it through.
func (c *Client) guarded(ctx context.Context, r request, parse func([]byte) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	header := c.header(ctx)
	_, err := c.breaker.Execute(func() ([]byte, error) {
		answer, err := c.send(ctx, r, header)
		if err != nil {
			return nil, err
		}
		return nil, parse(answer)
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return ErrOpen
	}
	return err
}

// retryable says whether an error may pass by itself, and how long the service asked to wait for that.
func retryable(err error) (wait time.Duration, again bool) {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return 0, false
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		switch p.Status {
		// 502 is a gateway's word for a connection that was refused or reset.
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable:
			return p.RetryAfter, true
		}
		return 0, false
	}
	// What is no connection's failure, such as a certificate that is not trusted, will be so again.
	dial, ok := errors.AsType[*net.OpError](err)
	return 0, errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || ok && dial.Op == "dial"
}

// sleep waits, and says whether the context is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// The retry budget: all calls together make at most budgetMax retries and one more for every tenth call, so that a
// service in trouble is asked a tenth more, not three times as much.
const (
	budgetMax   = 10.0
	budgetShare = 0.1
)

// budget is a bucket of retries. It is safe for concurrent use.
type budget struct {
	mu     sync.Mutex
	tokens float64
}

func (b *budget) deposit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+budgetShare, budgetMax)
}

func (b *budget) withdraw() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
