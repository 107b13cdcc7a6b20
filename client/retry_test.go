package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/client"
)

// never is a breaker that stays closed: these tests are about what comes before it.
var never = client.Breaker{MinRequests: 1 << 31}

func TestWhatPassesIsRetried(t *testing.T) {
	s := start(t)
	for name, c := range map[string]struct {
		faults []behaviour
		wait   time.Duration // at least
	}{
		"reset":                  {[]behaviour{reset}, 5 * time.Millisecond},
		"hung up":                {[]behaviour{hangUp}, 5 * time.Millisecond},
		"answer cut":             {[]behaviour{cut}, 5 * time.Millisecond},
		"503":                    {[]behaviour{answer(503, "", "busy")}, 5 * time.Millisecond},
		"502 of a gateway":       {[]behaviour{answer(502, "", "<html>")}, 5 * time.Millisecond},
		"twice":                  {[]behaviour{reset, answer(503, "", "")}, 15 * time.Millisecond},
		"429 with Retry-After":   {[]behaviour{answer(429, "Retry-After: 1\r\n", "")}, time.Second},
		"503 with a past date":   {[]behaviour{answer(503, "Retry-After: Mon, 02 Jan 2006 15:04:05 GMT\r\n", "")}, 5 * time.Millisecond},
		"503 with a strange one": {[]behaviour{answer(503, "Retry-After: soon\r\n", "")}, 5 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := misbehave(t, append(slices.Clone(c.faults), pass(s))...)
			begin := time.Now()
			d, err := connect(t, f.address, client.Config{Timeout: 20 * time.Second}).Score(t.Context(), example())
			if err != nil || d.RiskBand != client.High {
				t.Fatalf("%+v, %v; want the decision", d, err)
			}
			if _, requests := f.seen(); requests != len(c.faults)+1 {
				t.Errorf("%d requests, want %d", requests, len(c.faults)+1)
			}
			if waited := time.Since(begin); waited < c.wait {
				t.Errorf("answered after %v, want a wait of at least %v", waited, c.wait)
			}
		})
	}
}

func TestWhatStaysIsNotRetried(t *testing.T) {
	for name, b := range map[string]behaviour{
		"400":      answer(400, "", ""),
		"401":      answer(401, "", ""),
		"413":      answer(413, "", ""),
		"422":      answer(422, "", `{"title":"The order is against the contract","status":503}`),
		"500":      answer(500, "", ""),
		"504":      answer(504, "", ""),
		"redirect": answer(307, "Location: http://127.0.0.1:1/score\r\n", ""),
		"garbage":  answer(200, "", "<html>"),
		"stranger": answer(200, "", `{"order_id":"ORD_1","risk_score":0.5,"risk_band":"LOW","model_version":"m","top_contributors":[],"prediction_id":"p","explanation":"EXACT"}`),
		"no score": answer(200, "", `{"order_id":"ORD_12345","risk_band":"LOW","model_version":"m","top_contributors":[],"prediction_id":"p","explanation":"EXACT"}`),
		"twice":    answer(200, "", `{"order_id":"ORD_12345","risk_score":0.1,"risk_score":0.9,"risk_band":"LOW","model_version":"m","prediction_id":"p","explanation":"EXACT"}`),
		"band":     answer(200, "", `{"order_id":"ORD_12345","risk_score":0.5,"risk_band":"low","model_version":"m","prediction_id":"p","explanation":"EXACT"}`),
		"above 1":  answer(200, "", `{"order_id":"ORD_12345","risk_score":1.5,"risk_band":"LOW","model_version":"m","prediction_id":"p","explanation":"EXACT"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := misbehave(t, b)
			d, err := connect(t, f.address, client.Config{}).Score(t.Context(), example())
			if _, requests := f.seen(); requests != 1 || err == nil || d.RiskBand != "" {
				t.Errorf("%d requests, %+v, %v; want 1 and an error", requests, d, err)
			}
			var p *client.Problem
			if status, _ := strconv.Atoi(name); status > 0 && (!errors.As(err, &p) || p.Status != status || p.Title == "") {
				t.Errorf("%v; want a problem with the status of the answer", err)
			} else if status == 0 && name != "redirect" && !errors.Is(err, client.ErrAnswer) {
				t.Errorf("%v, want ErrAnswer", err)
			}
		})
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = connect(t, listener.Addr().String(), client.Config{}).Score(t.Context(), example())
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v, want connection refused", err)
	}
	for _, attempts := range []int{1, 2, 5} {
		f := misbehave(t, answer(503, "", ""))
		_, err := connect(t, f.address, client.Config{Attempts: attempts}).Score(t.Context(), example())
		var p *client.Problem
		if _, requests := f.seen(); requests != attempts || !errors.As(err, &p) || p.Status != 503 {
			t.Errorf("%d requests, %v; want %d and a problem of 503", requests, err, attempts)
		}
	}
}

// All calls together make at most 10 retries and a tenth of the calls.
func TestRetryBudget(t *testing.T) {
	f := misbehave(t, answer(503, "", ""))
	c := connect(t, f.address, client.Config{Breaker: never})
	const calls = 100
	for range calls {
		if _, err := c.Score(t.Context(), example()); err == nil {
			t.Fatal("no error")
		}
	}
	if _, requests := f.seen(); requests < calls+15 || requests > calls+20 {
		t.Errorf("%d requests for %d calls, want the calls and 15 to 20 retries", requests, calls)
	}
}

// A service that restarted has closed the connections that the client kept. That costs a caller nothing, not even an
// attempt.
func TestKeptConnectionThatIsClosed(t *testing.T) {
	s := start(t)
	f := misbehave(t, pass(s), hangUp, pass(s))
	c := connect(t, f.address, client.Config{Attempts: 1})
	for call := range 2 {
		if _, err := c.Score(t.Context(), example()); err != nil {
			t.Errorf("call %d: %v", call+1, err)
		}
	}
	if connections, requests := f.seen(); connections != 2 || requests != 3 {
		t.Errorf("%d connections and %d requests, want 2 and 3", connections, requests)
	}
}

func TestDeadline(t *testing.T) {
	const limit = 50 * time.Millisecond
	for name, b := range map[string]behaviour{"silent": silent, "a byte at a time": dribble, "always 503": answer(503, "", "")} {
		t.Run(name, func(t *testing.T) {
			f := misbehave(t, b)
			c := connect(t, f.address, client.Config{Attempts: 1000, Breaker: never})
			late, machine := make([]time.Duration, 9), make([]time.Duration, 9)
			for i := range late {
				slept := time.Now()
				time.Sleep(limit)
				machine[i] = time.Since(slept) - limit
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				begin := time.Now()
				_, err := c.Score(ctx, example())
				late[i] = time.Since(begin) - limit
				cancel()
				var p *client.Problem
				if !errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &p) {
					t.Errorf("%v, want that the deadline has passed, or the problem", err)
				}
				ms, parse := strconv.ParseFloat(f.header(0, "X-Request-Timeout"), 64)
				if parse != nil || ms > limit.Seconds() || ms < limit.Seconds()/2 {
					t.Errorf("X-Request-Timeout is %q, want just under 0.05", f.header(0, "X-Request-Timeout"))
				}
			}
			slices.Sort(late)
			slices.Sort(machine)
			t.Logf("after the deadline: %v; a sleep on this machine: %v", late, machine)
			if late[4] > machine[4]+5*time.Millisecond {
				t.Errorf("the median call ended %v after its deadline, the median sleep %v", late[4], machine[4])
			}
		})
	}
}

// A service that takes connections and says nothing, not even in the handshake.
func TestDeadlineOfAHandshake(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // which ends the handshake
	c := connect(t, "", client.Config{URL: "https://" + listener.Addr().String(), Timeout: 50 * time.Millisecond})
	begin := time.Now()
	if _, err := c.Score(t.Context(), example()); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 500*time.Millisecond {
		t.Errorf("%v after %v, want that the deadline has passed", err, time.Since(begin))
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	f := misbehave(t, silent)
	c := connect(t, f.address, client.Config{Connections: 2, Timeout: 200 * time.Millisecond})
	var calls sync.WaitGroup
	for range 10 {
		calls.Go(func() {
			if _, err := c.Score(t.Context(), example()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want that the deadline has passed", err)
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	if connections, _ := f.seen(); connections > 2 {
		t.Errorf("%d connections, want at most 2", connections)
	}
	calls.Wait()
}

// Config.Timeout bounds a call whose context has no deadline, or a later one.
func TestTimeout(t *testing.T) {
	c := connect(t, misbehave(t, silent).address, client.Config{Timeout: 20 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := c.Score(ctx, example()); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		t.Errorf("%v, want that the deadline has passed", err)
	}
}

// A wait that does not fit into the time that is left is not begun.
func TestRetryAfterBeyondTheDeadline(t *testing.T) {
	date := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for value, want := range map[string]time.Duration{"5": 5 * time.Second, date: time.Hour, "4000000000": 24 * time.Hour} {
		f := misbehave(t, answer(503, "Retry-After: "+value+"\r\n", ""))
		begin := time.Now()
		_, err := connect(t, f.address, client.Config{}).Score(t.Context(), example())
		var p *client.Problem
		if !errors.As(err, &p) || p.RetryAfter > want || p.RetryAfter < want-2*time.Second {
			t.Errorf("Retry-After %s: %v; want a problem that asks to wait %v", value, err, want)
		}
		if _, requests := f.seen(); requests != 1 || time.Since(begin) > time.Second {
			t.Errorf("Retry-After %s: %d requests, answered after %v; want 1, at once", value, requests, time.Since(begin))
		}
	}
}

func TestAnswersAreBounded(t *testing.T) {
	var sent atomic.Int64
	c := connect(t, misbehave(t, endless(&sent)).address, client.Config{Timeout: 20 * time.Second})
	if _, err := c.Score(t.Context(), example()); !errors.Is(err, client.ErrAnswer) {
		t.Errorf("an endless answer: %v, want ErrAnswer", err)
	}
	if sent.Load() > 16<<20 { // 1 MiB is read, the rest lies in the sockets
		t.Errorf("%d bytes of an endless answer went out", sent.Load())
	}
}

func TestCancel(t *testing.T) {
	f := misbehave(t, silent)
	c := connect(t, f.address, client.Config{Breaker: client.Breaker{MinRequests: 1}})
	for range 3 { // were these failures, the breaker would open
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, err := c.Score(ctx, example()); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want that the call was cancelled", err)
		}
	}
	if _, requests := f.seen(); requests != 3 {
		t.Errorf("%d requests, want 3", requests)
	}
}
