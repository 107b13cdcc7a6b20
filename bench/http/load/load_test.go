package load_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/bench/http/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// target is a server on the loopback.
func target(t *testing.T, handle http.HandlerFunc) load.Target {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return load.Target{Address: s.Listener.Addr().String(), Requests: [][]byte{order(t, s.Listener.Addr().String())}}
}

func order(t *testing.T, address string) []byte {
	t.Helper()
	request, err := load.Post(address, "/", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// pipes is a listener in memory.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.waiting:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }

func (p *pipes) dial(context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	p.waiting <- server
	return client, nil
}

// exactly carries a plan out against a server in memory, by a clock that moves only while all wait: what is measured
// is then what can be computed, to the nanosecond, however busy the machine is.
func exactly(t *testing.T, p load.Plan, handle http.HandlerFunc) (r *load.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := &pipes{waiting: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: handle}
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(listener) }()
		r = run(t, load.Target{Dial: listener.dial, Requests: [][]byte{order(t, "memory")}}, p)
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return r
}

func run(t *testing.T, to load.Target, p load.Plan) *load.Result {
	t.Helper()
	r, err := load.Run(t.Context(), to, p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func quantile(t *testing.T, r *load.Result, q float64, want time.Duration) {
	t.Helper()
	if got := load.Quantile(r.OK, q); got != want {
		t.Errorf("quantile %v is %v, want %v", q, got, want)
	}
}

// A server of known delay: what is injected is what is measured, while there are connections enough.
func TestDelayShows(t *testing.T) {
	for _, delay := range []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			r := exactly(t, load.Plan{Rate: 400, Connections: 64, For: 1500 * time.Millisecond},
				func(http.ResponseWriter, *http.Request) { time.Sleep(delay) })
			if len(r.OK) != 600 || r.Answers[200] != 600 || r.Errors != 0 {
				t.Fatalf("%d of 600 requests answered, statuses %v, %d errors (%v)", len(r.OK), r.Answers, r.Errors, r.Error)
			}
			for _, q := range []float64{0, 0.5, 0.99, 1} {
				quantile(t, r, q, delay)
			}
		})
	}
}

// On a real network nothing is faster than the delay, and nothing is lost.
func TestDelayShowsOnTheLoopback(t *testing.T) {
	const delay = 5 * time.Millisecond
	r := run(t, target(t, func(http.ResponseWriter, *http.Request) { time.Sleep(delay) }), load.Plan{Rate: 200, Connections: 16, For: 500 * time.Millisecond})
	if len(r.OK) != 100 || r.Errors != 0 || r.OK[0] < delay {
		t.Errorf("%d of 100 requests answered, %d errors (%v), the fastest in %v", len(r.OK), r.Errors, r.Error, r.OK[0])
	}
	if len(r.Late) == 0 {
		t.Error("the generator does not tell how late it was")
	}
}

// Too few connections for the delay make a queue, and the wait in it counts: of 100 arrivals a second one connection
// serves 50, and each falls 10 ms further behind.
func TestQueueShows(t *testing.T) {
	r := exactly(t, load.Plan{Rate: 100, Connections: 1, For: time.Second},
		func(http.ResponseWriter, *http.Request) { time.Sleep(20 * time.Millisecond) })
	for i, took := range r.OK {
		if want := time.Duration(20+10*i) * time.Millisecond; took != want {
			t.Fatalf("arrival %d took %v, want %v", i, took, want)
		}
	}
	quantile(t, r, 0.5, 510*time.Millisecond)
	quantile(t, r, 0.99, time.Second)
}

// A stall of 200 ms hits a tenth of 2 s of arrivals, though the connections are few: the first waits for the whole of
// it, the last for a millisecond. A closed loop would have seen it 8 times.
func TestStallShows(t *testing.T) {
	var begin time.Time
	r := exactly(t, load.Plan{Rate: 1000, Connections: 8, For: 2 * time.Second}, func(http.ResponseWriter, *http.Request) {
		if begin.IsZero() { // the first arrival is alone
			begin = time.Now()
		}
		if since := time.Since(begin); since >= time.Second && since < 1200*time.Millisecond {
			time.Sleep(1200*time.Millisecond - since)
		}
	})
	quantile(t, r, 0.9, 0)
	quantile(t, r, 0.95, 100*time.Millisecond)
	quantile(t, r, 0.99, 180*time.Millisecond)
	quantile(t, r, 1, 200*time.Millisecond)
}

// Whoever has waited too long for a connection goes away, and refusals are no successes: two connections serve 200 of
// 400 arrivals a second, half of them with 503.
func TestPatienceAndRefusals(t *testing.T) {
	var n atomic.Int64
	r := exactly(t, load.Plan{Rate: 400, Connections: 2, For: time.Second, Patience: 50 * time.Millisecond},
		func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(10 * time.Millisecond)
			if n.Add(1)%2 == 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
	if r.Sent()+r.GaveUp != 400 || r.Sent() < 200 || r.Sent() > 212 {
		t.Errorf("%d sent and %d given up of 400, of which 200 can be served in time and 10 after it", r.Sent(), r.GaveUp)
	}
	if len(r.OK) != r.Answers[200] || r.Answers[200] != r.Sent()/2+r.Sent()%2 {
		t.Errorf("%d latencies, statuses %v", len(r.OK), r.Answers)
	}
	if most := r.OK[len(r.OK)-1]; most > 60*time.Millisecond {
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
	r := exactly(t, load.Plan{Connections: 4, For: 500 * time.Millisecond},
		func(http.ResponseWriter, *http.Request) { time.Sleep(5 * time.Millisecond) })
	if len(r.OK) != 400 || r.Took != 500*time.Millisecond {
		t.Errorf("%d requests in %v, want 400 in 500 ms: 4 at a time, of 5 ms each", len(r.OK), r.Took)
	}
	quantile(t, r, 1, 5*time.Millisecond)
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
	if took := time.Since(begin); err == nil || took > 30*time.Second {
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
