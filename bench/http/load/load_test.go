package load_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/bench/http/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// slack is what a busy machine may add to a median.
const slack = 4 * time.Millisecond

func target(t *testing.T, handle http.HandlerFunc) load.Target {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	address := s.Listener.Addr().String()
	request, err := load.Post(address, "/", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return load.Target{Address: address, Requests: [][]byte{request}}
}

func run(t *testing.T, to load.Target, p load.Plan) *load.Result {
	t.Helper()
	r, err := load.Run(t.Context(), to, p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func milliseconds(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

// A server of known delay: what is injected is what is measured, while there are connections enough.
func TestDelayShows(t *testing.T) {
	for _, delay := range []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			r := run(t, target(t, func(http.ResponseWriter, *http.Request) { time.Sleep(delay) }),
				load.Plan{Rate: 400, Connections: 64, For: 1500 * time.Millisecond})
			if len(r.OK) != 600 || r.Answers[200] != 600 || r.Errors != 0 {
				t.Fatalf("%d of 600 requests answered, statuses %v, %d errors (%v)", len(r.OK), r.Answers, r.Errors, r.Error)
			}
			if p50 := load.Quantile(r.OK, 0.5); p50 < delay || p50 > delay+slack {
				t.Errorf("p50 %v, want %v", p50, delay)
			}
			if r.OK[0] < delay {
				t.Errorf("the fastest of all took %v, less than the delay", r.OK[0])
			}
		})
	}
}

// Too few connections for the delay make a queue, and the wait in it counts: 100 arrivals a second, of which one
// connection serves 50, fall behind by 10 ms each.
func TestQueueShows(t *testing.T) {
	const delay = 20 * time.Millisecond
	r := run(t, target(t, func(http.ResponseWriter, *http.Request) { time.Sleep(delay) }),
		load.Plan{Rate: 100, Connections: 1, For: time.Second})
	for _, q := range []float64{0.5, 0.99} {
		want := delay + time.Duration(q*100)*10*time.Millisecond
		if got := load.Quantile(r.OK, q); got < want-15*time.Millisecond || got > want*5/4 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

// A stall of 200 ms hits a tenth of 2 s of arrivals, though the connections are few: the first of them waits for the
// whole of it, the last for nothing, so that a share s of all waits longer than 200 ms x (1 - 10 s).
func TestStallShows(t *testing.T) {
	var (
		gate   sync.RWMutex
		first  sync.Once
		longer atomic.Int64 // what the machine made of 200 ms
	)
	stall := func() {
		time.Sleep(time.Second)
		gate.Lock()
		defer gate.Unlock()
		begin := time.Now()
		time.Sleep(200 * time.Millisecond)
		longer.Store(int64(time.Since(begin)))
	}
	var stalled sync.WaitGroup
	r := run(t, target(t, func(http.ResponseWriter, *http.Request) {
		first.Do(func() { stalled.Go(stall) })
		gate.RLock()
		defer gate.RUnlock()
	}), load.Plan{Rate: 1000, Connections: 8, For: 2 * time.Second})
	stalled.Wait()
	length := time.Duration(longer.Load())
	for share, want := range map[float64]time.Duration{
		0.01: length - milliseconds(20), 0.05: length - milliseconds(100),
	} {
		if got := load.Quantile(r.OK, 1-share); got < want-milliseconds(10) || got > want+milliseconds(40) {
			t.Errorf("%v of arrivals waited longer than %v, want %v", share, got, want)
		}
	}
	if p50 := load.Quantile(r.OK, 0.5); p50 > slack {
		t.Errorf("p50 %v, which the stall should not touch", p50)
	}
}

// Whoever has waited too long for a connection goes away, and refusals are no successes.
func TestPatienceAndRefusals(t *testing.T) {
	var n atomic.Int64
	r := run(t, target(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(10 * time.Millisecond)
		if n.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}), load.Plan{Rate: 400, Connections: 2, For: time.Second, Patience: 50 * time.Millisecond})
	if r.GaveUp < 100 || r.Sent()+r.GaveUp != 400 {
		t.Errorf("%d given up and %d sent of 400, of which at most 200 can be served", r.GaveUp, r.Sent())
	}
	if len(r.OK) != r.Answers[200] || r.Answers[200] > r.Answers[503]+1 {
		t.Errorf("%d latencies, statuses %v", len(r.OK), r.Answers)
	}
	if most := r.OK[len(r.OK)-1]; most > 60*time.Millisecond+10*slack {
		t.Errorf("one was served %v after its start, with a patience of 50 ms", most)
	}
}

// Answers are told apart by what is in them.
func TestMark(t *testing.T) {
	var n atomic.Int64
	to := target(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%4 == 0 {
			_, _ = w.Write([]byte("without reasons"))
		}
	})
	to.Mark = []byte("reasons")
	if r := run(t, to, load.Plan{Rate: 200, Connections: 4, For: 200 * time.Millisecond}); r.Marked != 10 || len(r.OK) != 40 {
		t.Errorf("%d of %d answers have the mark, want 10 of 40", r.Marked, len(r.OK))
	}
}

// A closed loop keeps its connections busy, and no longer than it should.
func TestClosedLoop(t *testing.T) {
	var busy, most atomic.Int64
	r := run(t, target(t, func(http.ResponseWriter, *http.Request) {
		now := busy.Add(1)
		defer busy.Add(-1)
		for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
	}), load.Plan{Connections: 4, For: 500 * time.Millisecond})
	if most.Load() > 4 || len(r.OK) < 100 || len(r.OK) > 400 {
		t.Errorf("%d requests in %v, up to %d at a time; want at most 400, 4 at a time", len(r.OK), r.Took, most.Load())
	}
}

// A server that breaks connections costs errors, not the run; one that always does is an error.
func TestBrokenConnections(t *testing.T) {
	var n atomic.Int64
	r := run(t, target(t, func(http.ResponseWriter, *http.Request) {
		if n.Add(1)%10 == 0 {
			panic(http.ErrAbortHandler)
		}
	}), load.Plan{Rate: 200, Connections: 4, For: 500 * time.Millisecond})
	if r.Errors != 10 || r.Answers[200] != 90 || r.Error == nil {
		t.Errorf("%d errors (%v), statuses %v, want 10 of 100", r.Errors, r.Error, r.Answers)
	}
	_, err := load.Run(t.Context(), target(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		load.Plan{Connections: 1, For: 50 * time.Millisecond})
	if err == nil {
		t.Error("a server that answers nothing was measured")
	}
}

// A server that never answers does not hold the run beyond its context.
func TestContextEndsTheRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := load.Run(ctx, target(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server sees that its client leaves
		<-r.Context().Done()
	}),
		load.Plan{Rate: 10, Connections: 2, For: time.Minute})
	if took := time.Since(begin); err == nil || took > 5*time.Second {
		t.Errorf("it took %v and ended with %v", took, err)
	}
}

func TestQuantile(t *testing.T) {
	list := []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for q, want := range map[float64]time.Duration{0: 1, 0.1: 1, 0.11: 2, 0.5: 5, 0.99: 10, 1: 10} {
		if got := load.Quantile(list, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
	if got := load.Quantile(nil, 0.5); got != 0 {
		t.Errorf("quantile of nothing is %v", got)
	}
}
