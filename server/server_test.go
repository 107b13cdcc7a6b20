package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const demoPath = "../models/trendbuy_xgb_v1.0.0"

// example is the order of the design, and of the server that this one replaces.
const example = `{"order_id": "ORD_12345", "features": {"feature_discount_pct": 0.35, "feature_velocity_24h": 8420,
"feature_hours_since_trend_peak": 6.5, "feature_creator_reliability": 0.22, "feature_cust_prior_return_rate_90d": 0.31,
"feature_cust_avg_order_value_90d": 127.5, "feature_prod_size_fit_rate": 0.18, "feature_device_type": "mobile"}}`

// demo opens the demo bundle once for all tests, which do not change it.
var demo = sync.OnceValues(func() (serving, error) {
	b, err := bundle.Open(demoPath, bundle.Options{})
	if err != nil {
		return serving{}, err
	}
	return serving{scoring.New(b, b.Forest, scoring.NewMetrics(prometheus.NewRegistry())), b.Parity}, nil
})

// serving is a model that is served as it is; the zero value is a server without one.
type serving struct {
	scorer *scoring.Scorer
	parity bundle.Parity
}

func (s serving) Scorer() *scoring.Scorer { return s.scorer }

// readiness is a fixed state: the reasons why not, none for ready.
type readiness struct{ model, stream []string }

func (r readiness) Ready() (bool, []string)       { return len(r.model) == 0, r.model }
func (r readiness) StreamReady() (bool, []string) { return len(r.stream) == 0, r.stream }

// running is a server behind real listeners on the loopback.
type running struct {
	server.Addrs
	client   *http.Client
	document *document
	metrics  *prometheus.Registry
	logs     *logs
	stop     func() error
}

// start runs a server with the demo model until the test ends. Options change what it is made of.
func start(tb testing.TB, options ...func(*server.Config, *server.Parts)) *running {
	tb.Helper()
	model, err := demo()
	if err != nil {
		tb.Fatal(err)
	}
	registry, written := prometheus.NewPedanticRegistry(), &logs{}
	config := server.Config{
		HTTPAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0", ScoreDeadline: time.Minute,
	}
	parts := server.Parts{
		Models: model, Readiness: readiness{}, Scoring: true, Drain: 5 * time.Second,
		Version: "test", Parity: func() any { return model.parity },
		Registerer: registry, Gatherer: registry,
		Logger: slog.New(slog.NewTextHandler(written, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, option := range options {
		option(&config, &parts)
	}
	s, err := server.New(config, parts)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := s.Listen(ctx); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	transport := &http.Transport{DisableCompression: true}
	r := &running{
		Addrs: s.Addrs(), metrics: registry, logs: written,
		client: &http.Client{Transport: transport, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
		stop: sync.OnceValue(func() error {
			cancel()
			transport.CloseIdleConnections()
			return <-ended
		}),
	}
	tb.Cleanup(func() {
		if err := r.stop(); err != nil {
			tb.Error("server ended with:", err)
		}
	})
	if open := config.HTTP.CertFile == "" && config.HTTP.TokensFile == ""; open && parts.Scoring && parts.Models.Scorer() != nil {
		r.document = r.readDocument(tb)
	}
	return r
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request to the scoring door; the answer must be what the OpenAPI document says.
func (r *running) do(tb testing.TB, method, path string, header http.Header, body io.Reader) answer {
	tb.Helper()
	a := r.send(tb, method, "http://"+r.Scoring+path, header, body)
	if err := r.document.checkAnswer(method, path, a); err != nil {
		tb.Errorf("%s %s: %d %s\nagainst the OpenAPI document: %v", method, path, a.status, a.body, err)
	}
	return a
}

func (r *running) send(tb testing.TB, method, url string, header http.Header, body io.Reader) answer {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), method, url, body)
	if err != nil {
		tb.Fatal(err)
	}
	request.Header = header.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	response, err := r.client.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return read(tb, response)
}

func read(tb testing.TB, response *http.Response) answer {
	tb.Helper()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(data)}
}

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

// post sends JSON.
func (r *running) post(tb testing.TB, path, body string) answer {
	tb.Helper()
	return r.do(tb, http.MethodPost, path, jsonHeader(), strings.NewReader(body))
}

func (r *running) get(tb testing.TB, door, path string) answer {
	tb.Helper()
	return r.send(tb, http.MethodGet, "http://"+door+path, nil, http.NoBody)
}

// logs is what the server has written.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestStreamRoleLeavesTheScoringDoorShut(t *testing.T) {
	r := start(t, func(_ *server.Config, p *server.Parts) { p.Scoring = false })
	if r.Scoring != "" {
		t.Errorf("the scoring door is at %s, want none", r.Scoring)
	}
	if a := r.get(t, r.Metrics, "/health/live"); a.status != http.StatusOK {
		t.Errorf("live: %d, want 200 on the metrics door", a.status)
	}
}

func TestNewRefusesSettings(t *testing.T) {
	for name, c := range map[string]server.Config{
		"SCORE_DEADLINE": {ScoreDeadline: -time.Second},
	} {
		_, err := server.New(c, server.Parts{Drain: time.Second, Registerer: prometheus.NewRegistry()})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one that names %s", err, name)
		}
	}
}

func TestListenNamesTheDoorWhoseAddressIsTaken(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	registry := prometheus.NewRegistry()
	s, err := server.New(server.Config{
		HTTPAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", MetricsAddr: taken.Addr().String(), ScoreDeadline: time.Second,
	}, server.Parts{
		Models: serving{}, Readiness: readiness{}, Scoring: true, Drain: time.Second, Registerer: registry, Gatherer: registry,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "listen for metrics") {
		t.Errorf("error %v, want one that names the metrics door", err)
	}
	if a := s.Addrs(); a != (server.Addrs{}) {
		t.Errorf("doors %+v stay open after a failed Listen", a)
	}
}

// TestStopLetsRequestsFinish stops the server while a request's body is on its way.
func TestStopLetsRequestsFinish(t *testing.T) {
	r := start(t)
	conn := dial(t, r.Scoring)
	head := fmt.Sprintf("POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(example))
	conn.write(head + example[:20])
	awaitInFlight(t, r, 1)
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	for { // until the door no longer takes connections
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.Scoring)
		if err != nil {
			break
		}
		_ = c.Close()
		time.Sleep(time.Millisecond)
	}
	conn.write(example[20:])
	if a := conn.read(); a.status != http.StatusOK {
		t.Errorf("the request in flight got %d %s, want 200", a.status, a.body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v, want nil when every request finished", err)
	}
}

// TestStopIsBounded stops the server while a body never comes: the connection is cut and Run says so.
func TestStopIsBounded(t *testing.T) {
	r := start(t, func(_ *server.Config, p *server.Parts) { p.Drain = 50 * time.Millisecond })
	conn := dial(t, r.Scoring)
	conn.write("POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	awaitInFlight(t, r, 1)
	before := time.Now()
	err := r.stop()
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(before) > 5*time.Second {
		t.Errorf("Run ended with %v after %v, want the drain's deadline soon", err, time.Since(before))
	}
	r.stop = func() error { return nil } // the cleanup would report it again
}

// awaitInFlight waits until n requests are being answered.
func awaitInFlight(tb testing.TB, r *running, n float64) {
	tb.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if r.metric(tb, "riskscorer_http_requests_in_flight") == n {
			return
		}
	}
	tb.Fatalf("there were never %v requests in flight", n)
}
