package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/server"
)

// laden is the demo model, with something that happens before rows are explained. The numbers stay the model's.
type laden struct {
	scoring.Engine
	before func()
}

func (e laden) ContributionsTo(dst, rows []float64) {
	e.before()
	e.Engine.ContributionsTo(dst, rows)
}

// explaining serves the demo model with something that happens before rows are explained.
func explaining(tb testing.TB, before func()) func(*server.Config, *server.Parts) {
	tb.Helper()
	b, err := bundle.Open(demoPath, bundle.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	scorer := scoring.New(b, laden{b.Forest, before}, scoring.NewMetrics(prometheus.NewRegistry()))
	return func(_ *server.Config, p *server.Parts) { p.Models = serving{scorer: scorer, parity: b.Parity} }
}

// await waits until a metric has a value.
func (r *running) await(tb testing.TB, want float64, name string, labels ...string) {
	tb.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if r.metric(tb, name, labels...) == want {
			return
		}
	}
	tb.Fatalf("%s%v is %v, want %v", name, labels, r.metric(tb, name, labels...), want)
}

// idle checks that no request holds anything.
func (r *running) idle(tb testing.TB) {
	tb.Helper()
	for _, name := range []string{"computing_requests", "waiting_requests", "body_memory_bytes"} {
		r.await(tb, 0, "riskscorer_http_"+name)
	}
}

func TestRateLimit(t *testing.T) {
	r := start(t, func(c *server.Config, _ *server.Parts) { c.Limits = server.Limits{Rate: 0.5, Burst: 3} })
	for i := range 3 {
		if a := r.post(t, "/score", example); a.status != http.StatusOK {
			t.Fatalf("request %d: %d, want 200 within the burst", i, a.status)
		}
	}
	for _, path := range []string{"/score", "/score/batch"} {
		a := r.post(t, path, example)
		if retry := a.header.Get("Retry-After"); a.status != http.StatusTooManyRequests || retry != "2" {
			t.Errorf("%s: %d, Retry-After %q, want 429 and 2 s for a token", path, a.status, retry)
		}
		if err := r.document.checkProblem(a); err != nil {
			t.Error(err)
		}
	}
	r.await(t, 1, "riskscorer_http_refused_requests_total", "class=order", "reason=rate")
	r.await(t, 1, "riskscorer_http_refused_requests_total", "class=batch", "reason=rate")
	for range 20 {
		if a := r.get(t, r.Scoring, "/health/ready"); a.status != http.StatusOK {
			t.Fatalf("health: %d, want 200: probes are not limited", a.status)
		}
	}
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: 5 * time.Second}
	conn, err := other.DialContext(t.Context(), "tcp", r.Scoring)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	second := &wire{t, conn, bufio.NewReader(conn)}
	second.write(request(jsonLine, example))
	if a := second.read(); a.status != http.StatusOK {
		t.Errorf("another client: %d, want 200", a.status)
	}
}

func TestRequestTimeout(t *testing.T) {
	r := start(t)
	send := func(values ...string) answer {
		h := jsonHeader()
		h["X-Request-Timeout"] = values
		return r.send(t, http.MethodPost, "http://"+r.Scoring+"/score", h, strings.NewReader(example))
	}
	for _, value := range []string{"2", "0.5", "30", "007.250", "99999999999999999999"} {
		if a := send(value); a.status != http.StatusOK {
			t.Errorf("%q: %d %s, want 200", value, a.status, a.body)
		}
	}
	for _, values := range [][]string{
		{""},
		{"0"},
		{"0.0"},
		{"-1"},
		{"+1"},
		{"1e3"},
		{"0x1"},
		{"1s"},
		{"1,5"},
		{".5"},
		{"5."},
		{"1.2.3"},
		{"NaN"},
		{"Inf"},
		{"1 2"},
		{"1_0"},
		{"１"},
		{strings.Repeat("9", 21)},
		{"1", "1"},
		{"1, 1"},
	} {
		a := send(values...)
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, "X-Request-Timeout") {
			t.Errorf("%q: %d %s, want 400 that names the header", values, a.status, a.body)
		}
		if err := r.document.checkProblem(a); err != nil {
			t.Error(err)
		}
	}
	if a := send("0.0000001"); a.status != http.StatusGatewayTimeout {
		t.Errorf("no time at all: %d %s, want 504", a.status, a.body)
	}
	r.await(t, 1, "riskscorer_http_refused_requests_total", "class=order", "reason=late")
}

func TestLimitsAreChecked(t *testing.T) {
	for name, l := range map[string]server.Limits{
		"RATE_LIMIT is":              {Rate: -1},
		"RATE_LIMIT is 2":            {Rate: 2e6},
		"RATE_LIMIT_BURST is -1":     {Rate: 1, Burst: -1},
		"RATE_LIMIT_BURST is set":    {Burst: 1},
		"RATE_LIMIT_BURST is 100000": {Rate: 1, Burst: 10_000_000},
	} {
		_, err := server.New(server.Config{ScoreDeadline: time.Second, Limits: l},
			server.Parts{Scoring: true, Drain: time.Second, Registerer: prometheus.NewRegistry()})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: error %v, want one that says %q", l, err, name)
		}
	}
}

// TestShedsReasons floods a model that is slow to explain: answers lose their reasons, not their meaning, and get them
// back when the flood is over.
func TestShedsReasons(t *testing.T) {
	r := start(t, explaining(t, func() { time.Sleep(20 * time.Millisecond) }))
	exact := r.decide(t, example)
	var (
		mu                  sync.Mutex
		none, explained, no int
		clients             sync.WaitGroup
	)
	until, step := time.Now().Add(time.Second), 0.0
	clients.Go(func() {
		for time.Now().Before(until) {
			step = max(step, r.metric(t, "riskscorer_http_degradation_step"))
			time.Sleep(10 * time.Millisecond)
		}
	})
	for i := range 40 {
		clients.Go(func() {
			for time.Now().Before(until) {
				path := "/score"
				if i%4 == 0 {
					path += "?explain=full"
				}
				a := r.send(t, http.MethodPost, "http://"+r.Scoring+path, jsonHeader(), strings.NewReader(example))
				mu.Lock()
				if err := r.document.checkAnswer(http.MethodPost, "/score", a); err != nil {
					t.Error(err)
				}
				switch full := path != "/score"; {
				case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "":
					no++
				case full && strings.Contains(a.body, `"explanation":"EXACT"`):
					explained++
				case !full && strings.Contains(a.body, `"explanation":"NONE"`):
					d := decode[decision](t, a)
					if d.PredictionID != exact.PredictionID || d.RiskScore != exact.RiskScore || len(d.TopContributors) > 0 {
						t.Errorf("shed: %s\nexact: %+v", a.body, exact)
					}
					none++
				case !full && strings.Contains(a.body, `"explanation":"EXACT"`):
				default:
					t.Errorf("%s: %d %s", path, a.status, a.body)
				}
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	if none == 0 || explained == 0 || no == 0 {
		t.Errorf("%d answers without reasons, %d of explain=full with them, %d refusals; want some of each", none, explained, no)
	}
	if got := r.metric(t, "riskscorer_http_shed_decisions_total"); got != float64(none) {
		t.Errorf("%v shed decisions are counted, want %d", got, none)
	}
	if step < 1 {
		t.Errorf("step %v during the flood, want 1 or 2", step)
	}
	r.await(t, 0, "riskscorer_http_degradation_step")
	if d := r.decide(t, example); d.Explanation != exact.Explanation {
		t.Errorf("afterwards: %+v, want reasons again", d)
	}
	r.idle(t)
}

// TestNothingLeaks ends requests in every way there is: what they held is free afterwards.
func TestNothingLeaks(t *testing.T) {
	var panics sync.Map
	r := start(t, explaining(t, func() {
		if _, yes := panics.Load("now"); yes {
			panic("planted")
		}
		time.Sleep(time.Millisecond)
	}))
	batch := "[" + strings.Repeat(example+",", 400) + example + "]"
	var clients sync.WaitGroup
	for i := range 30 {
		clients.Go(func() { // clients that go, early and late, in their bodies and while they wait
			for j := range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(i*7+j*3)%40)*time.Millisecond)
				path, body := "/score", example
				if i%2 == 0 {
					path, body = "/score/batch", batch
				}
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.Scoring+path, strings.NewReader(body))
				if err != nil {
					t.Error(err)
				} else {
					request.Header = jsonHeader()
					if response, err := r.client.Do(request); err == nil {
						_, _ = io.Copy(io.Discard, response.Body)
						_ = response.Body.Close()
					}
				}
				cancel()
			}
		})
	}
	clients.Wait()
	slow := dial(t, r.Scoring)
	slow.write(fmt.Sprintf("POST /score HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n{", jsonLine, 60<<10))
	r.await(t, 2048, "riskscorer_http_body_memory_bytes") // not what it claims
	_ = slow.Close()
	r.await(t, 0, "riskscorer_http_degradation_step") // else nothing is explained, and nothing panics
	panics.Store("now", true)
	for range 50 {
		if a := r.post(t, "/score", example); a.status != http.StatusInternalServerError {
			t.Fatalf("%d, want 500 of a planted panic", a.status)
		}
	}
	panics.Delete("now")
	r.idle(t)
	if a := r.post(t, "/score", example); a.status != http.StatusOK {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
}

// TestUnreadAnswersHoldNoTurn has a client that sends batch after batch and reads no answer, until the kernel takes no more
// of them: the turn of the last one is over all the same, and the connection ends when an answer's time is over.
func TestUnreadAnswersHoldNoTurn(t *testing.T) {
	t.Parallel()
	r := start(t)
	batch := "[" + strings.Repeat(example+",", 999) + example + "]"
	text := fmt.Sprintf("POST /score/batch HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", jsonLine, len(batch), batch)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.Scoring)
	if err != nil {
		t.Fatal(err)
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		for {
			if _, err := io.WriteString(conn, text); err != nil {
				return // it was cut
			}
		}
	})
	for decided := -1.0; decided != r.metric(t, "riskscorer_http_decisions_total"); time.Sleep(time.Second) {
		decided = r.metric(t, "riskscorer_http_decisions_total")
	}
	if flying, computing := r.metric(t, "riskscorer_http_requests_in_flight"), r.metric(t, "riskscorer_http_computing_requests"); flying != 1 || computing != 0 {
		t.Errorf("%v requests are in flight and %v compute, want one whose answer nobody reads, which does not", flying, computing)
	}
	r.await(t, 0, "riskscorer_http_requests_in_flight")
	r.idle(t)
	_ = conn.Close()
	sending.Wait()
}
