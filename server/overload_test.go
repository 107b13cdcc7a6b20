package server_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/server"
)

// heavy serves the demo model, each explanation of which is computed 500 times over: some 5 ms of one core.
func heavy(tb testing.TB) func(*server.Config, *server.Parts) {
	tb.Helper()
	model, err := demo()
	if err != nil {
		tb.Fatal(err)
	}
	row := make([]float64, model.scorer.Contract().NumFeature())
	return explaining(tb, func() {
		orders := [1]scoring.Order{{Row: row}}
		for range 500 {
			model.scorer.Decide(make([]scoring.Decision, 0, 1), orders[:])
		}
	})
}

// answers is what became of requests that came at their times, whatever became of those before.
type answers struct {
	mu              sync.Mutex
	served, refused []time.Duration // from the intended start
	failed          []string
}

func (x *answers) add(status int, took time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch status {
	case http.StatusOK:
		x.served = append(x.served, took)
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		x.refused = append(x.refused, took)
	default:
		x.failed = append(x.failed, fmt.Sprint(status))
	}
}

func quantile(took []time.Duration, q float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(len(took)-1, int(q*float64(len(took))))]
}

// offer sends a request a gap, on so many connections, for a time. A request that finds all of them taken waits, and its
// wait counts.
func offer(tb testing.TB, addr, text string, gap, over time.Duration, connections int) *answers {
	tb.Helper()
	var x answers
	due := make(chan time.Time, int(over/gap)+1)
	var clients sync.WaitGroup
	for range connections {
		clients.Go(func() {
			ask := asker(tb, addr, text)
			for at := range due {
				x.add(ask(), time.Since(at))
			}
		})
	}
	begin := time.Now()
	for at := begin; at.Before(begin.Add(over)); at = at.Add(gap) {
		time.Sleep(time.Until(at))
		due <- at
	}
	close(due)
	clients.Wait()
	return &x
}

// asker returns a function that sends a request on a connection of its own and returns the answer's status, 0 for none.
func asker(tb testing.TB, addr, text string) func() int {
	tb.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Error(err)
		return func() int { return 0 }
	}
	tb.Cleanup(func() { _ = conn.Close() })
	in := bufio.NewReader(conn)
	return func() int {
		if _, err := io.WriteString(conn, text); err != nil {
			return 0
		}
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return 0
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		return response.StatusCode
	}
}

// peak is how many requests a second are answered when as many ask as there are cores, each one after the other.
func peak(tb testing.TB, addr, text string, over time.Duration) float64 {
	tb.Helper()
	var served atomic.Int64
	var clients sync.WaitGroup
	end := time.Now().Add(over)
	for range runtime.GOMAXPROCS(0) {
		clients.Go(func() {
			for ask := asker(tb, addr, text); time.Now().Before(end); {
				if ask() == http.StatusOK {
					served.Add(1)
				}
			}
		})
	}
	clients.Wait()
	return float64(served.Load()) / over.Seconds()
}

const (
	healthCheck = "GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n"
	// insisting requests cost the same under any load, since nothing of theirs is shed.
	insisting = "POST /score?explain=full HTTP/1.1\r\nHost: x\r\n" + jsonLine + "X-Request-Timeout: 0.5\r\n"
)

func insistingText() string {
	return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", insisting, len(example), example)
}

// BenchmarkOverload offers several times of what the server can do: requests of some 5 ms that want their reasons, half
// a second each. goodput is in parts of the peak, which is measured just before; clients share the server's cores, and
// so does a handler that does nothing, whose p99 says what the machine costs. Each figure is the median of three rounds.
func BenchmarkOverload(b *testing.B) {
	const over = 1500 * time.Millisecond
	for _, times := range []float64{0.7, 2, 5, 10} {
		b.Run(fmt.Sprint("times=", times), func(b *testing.B) {
			r := start(b, heavy(b), func(_ *server.Config, p *server.Parts) { p.Logger = slog.New(slog.DiscardHandler) })
			bare := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			defer bare.Close()
			text := insistingText()
			for b.Loop() {
				seen := make(map[string][]float64)
				note := func(name string, value float64) { seen[name] = append(seen[name], value) }
				for range 3 {
					capacity := peak(b, r.Scoring, text, time.Second/2)
					var health, control *answers
					var probers sync.WaitGroup
					probers.Go(func() { health = offer(b, r.Scoring, healthCheck, 10*time.Millisecond, over, 4) })
					probers.Go(func() { control = offer(b, bare.Listener.Addr().String(), healthCheck, 10*time.Millisecond, over, 4) })
					x := offer(b, r.Scoring, text, time.Duration(float64(time.Second)/capacity/times), over, 128)
					probers.Wait()
					note("peak/s", capacity)
					note("goodput", float64(len(x.served))/over.Seconds()/capacity)
					for name, took := range map[string][]time.Duration{
						"served": x.served, "refused": x.refused, "health": health.served, "bare": control.served,
					} {
						note(name+"-p99-ms", float64(quantile(took, 0.99).Microseconds())/1e3)
					}
				}
				for name, values := range seen {
					slices.Sort(values)
					b.ReportMetric(values[1], name)
				}
			}
		})
	}
}

// TestHealthDoesNotWait probes both doors at some ten times of what the server can do, and beside them a handler of the same
// process that has nothing to do with it: what the machine and the runtime cost, health may cost, and little more.
func TestHealthDoesNotWait(t *testing.T) {
	r := start(t, heavy(t))
	bare := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer bare.Close()
	text := insistingText()
	const over = time.Second
	gap := time.Second / time.Duration(2000*runtime.GOMAXPROCS(0))
	doors := []string{bare.Listener.Addr().String(), r.Scoring, r.Metrics}
	probes := make([]*answers, len(doors))
	var probers sync.WaitGroup
	for i, door := range doors {
		probers.Go(func() { probes[i] = offer(t, door, healthCheck, 10*time.Millisecond, over, 4) })
	}
	x := offer(t, r.Scoring, text, gap, over, 128)
	probers.Wait()
	if len(x.served) == 0 || len(x.refused) < len(x.served) || len(x.failed) > 0 {
		t.Errorf("%d served, %d refused, failed %q: want an overload", len(x.served), len(x.refused), x.failed)
	}
	control := quantile(probes[0].served, 0.99)
	for i, h := range probes[1:] {
		p99 := quantile(h.served, 0.99)
		t.Logf("p99 of health %v, of a bare handler %v, of what is served %v", p99, control, quantile(x.served, 0.99))
		if len(h.refused)+len(h.failed) > 0 || p99 > 2*control+50*time.Millisecond {
			t.Errorf("health at %s: %d refused, %q failed, p99 %v; of a bare handler %v", doors[1+i], len(h.refused), h.failed, p99, control)
		}
	}
}
