package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"
	"github.com/open-feature/go-sdk/openfeature/memprovider"

	"github.com/trendbuy/riskscorer/client"
)

func TestBreakerOpensAndCloses(t *testing.T) {
	t.Parallel()
	f := misbehave(t, answer(500, "", ""))
	var mu sync.Mutex
	var changes []string
	c := connect(t, f.address, client.Config{Breaker: client.Breaker{
		MinRequests: 5, OpenFor: time.Second,
		OnChange: func(from, to string) { mu.Lock(); defer mu.Unlock(); changes = append(changes, from+" to "+to) },
	}})
	ask := func() error { _, err := c.Score(t.Context(), example()); return err }
	for range 5 {
		if err := ask(); err == nil || errors.Is(err, client.ErrOpen) {
			t.Fatalf("%v, want a problem", err)
		}
	}
	for range 20 {
		begin := time.Now()
		if err := ask(); !errors.Is(err, client.ErrOpen) || time.Since(begin) > 200*time.Millisecond {
			t.Fatalf("%v after %v, want ErrOpen at once", err, time.Since(begin))
		}
	}
	if _, requests := f.seen(); requests != 5 {
		t.Errorf("%d requests, want the 5 that opened the breaker", requests)
	}
	time.Sleep(1010 * time.Millisecond)
	if err := ask(); err == nil || errors.Is(err, client.ErrOpen) { // the trial, which fails
		t.Errorf("%v, want a problem", err)
	}
	if err := ask(); !errors.Is(err, client.ErrOpen) {
		t.Errorf("%v, want ErrOpen after a trial that failed", err)
	}
	f.then(pass(start(t)))
	time.Sleep(1010 * time.Millisecond)
	for range 10 {
		if err := ask(); err != nil {
			t.Error("the service is back:", err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	want := []string{"closed to open", "open to half-open", "half-open to open", "open to half-open", "half-open to closed"}
	if !slices.Equal(changes, want) {
		t.Errorf("the breaker went %q, want %q", changes, want)
	}
}

// Retries count too, and end when the breaker opens; the error still says what had failed.
func TestBreakerOpensWithinACall(t *testing.T) {
	f := misbehave(t, answer(503, "", ""))
	c := connect(t, f.address, client.Config{Attempts: 5, Breaker: client.Breaker{MinRequests: 2}})
	_, err := c.Score(t.Context(), example())
	var p *client.Problem
	if _, requests := f.seen(); requests != 2 || !errors.Is(err, client.ErrOpen) || !errors.As(err, &p) || p.Status != 503 {
		t.Errorf("%d requests, %v; want 2, and ErrOpen with the problem of 503", requests, err)
	}
}

// A service that refuses bad orders or too many of them stands.
func TestRefusalsDoNotOpenTheBreaker(t *testing.T) {
	for _, status := range []int{400, 422, 429} {
		f := misbehave(t, answer(status, "", ""))
		c := connect(t, f.address, client.Config{Attempts: 1, Breaker: client.Breaker{MinRequests: 1}})
		for range 10 {
			if _, err := c.Score(t.Context(), example()); err == nil || errors.Is(err, client.ErrOpen) {
				t.Errorf("%d: %v, want a problem", status, err)
			}
		}
	}
}

func TestDeadlinesOpenTheBreaker(t *testing.T) {
	c := connect(t, misbehave(t, silent).address, client.Config{Timeout: 50 * time.Millisecond, Breaker: client.Breaker{MinRequests: 3}})
	for range 3 {
		if _, err := c.Score(t.Context(), example()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want that the deadline has passed", err)
		}
	}
	if _, err := c.Score(t.Context(), example()); !errors.Is(err, client.ErrOpen) {
		t.Errorf("%v, want ErrOpen", err)
	}
}

// toggle is a flag in memory, behind OpenFeature's own client.
func toggle(t *testing.T) (flags *openfeature.Client, set func(on bool)) {
	t.Helper()
	state := func(variant string) map[string]memprovider.InMemoryFlag {
		return map[string]memprovider.InMemoryFlag{client.DefaultFlag: {
			State: memprovider.Enabled, DefaultVariant: variant, Variants: map[string]any{"on": true, "off": false},
		}}
	}
	provider := memprovider.NewInMemoryProvider(state("on"))
	api := isolated.NewAPI()
	if err := api.SetProviderAndWait(t.Context(), provider); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := api.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return api.NewClient(), func(on bool) { provider.UpdateFlags(state(map[bool]string{true: "on", false: "off"}[on])) }
}

func TestFlagTurnsTheCallOff(t *testing.T) {
	f := misbehave(t, pass(start(t)))
	flags, set := toggle(t)
	c := connect(t, f.address, client.Config{Flags: flags})
	set(false)
	for range 10 {
		if _, err := c.Score(t.Context(), example()); !errors.Is(err, client.ErrOff) {
			t.Errorf("%v, want ErrOff", err)
		}
		if _, err := c.ScoreBatch(t.Context(), []client.Order{example()}); !errors.Is(err, client.ErrOff) {
			t.Errorf("%v, want ErrOff", err)
		}
	}
	if connections, _ := f.seen(); connections != 0 {
		t.Errorf("%d connections, want none", connections)
	}
	set(true)
	if _, err := c.Score(t.Context(), example()); err != nil {
		t.Error("turned on:", err)
	}
	f.then(func(_ *faulty, conn net.Conn, r *http.Request) bool {
		set(false)
		return answer(503, "", "")(f, conn, r)
	})
	_, err := c.Score(t.Context(), example())
	var p *client.Problem
	if _, requests := f.seen(); requests != 2 || !errors.Is(err, client.ErrOff) || !errors.As(err, &p) {
		t.Errorf("turned off within a call: %d requests, %v; want no retry, and ErrOff with the problem", requests, err)
	}
}

// A flag that cannot be evaluated leaves the call on.
func TestFlagThatIsNotThere(t *testing.T) {
	api := isolated.NewAPI()
	defer func() {
		if err := api.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	c := connect(t, start(t).address, client.Config{Flags: api.NewClient(), Flag: "nobody-made-it"})
	if _, err := c.Score(t.Context(), example()); err != nil {
		t.Error(err)
	}
}
