package client_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/client"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is the real server with the demo model, behind real listeners on the loopback.
type service struct {
	address string // of the scoring door
	stop    func() error
}

var demo = sync.OnceValues(func() (model, error) {
	b, err := bundle.Open("../models/trendbuy_xgb_v1.0.0", bundle.Options{})
	if err != nil {
		return model{}, err
	}
	return model{scoring.New(b, b.Forest, scoring.NewMetrics(prometheus.NewRegistry()))}, nil
})

type model struct{ scorer *scoring.Scorer }

func (m model) Scorer() *scoring.Scorer { return m.scorer }

type ready struct{}

func (ready) Ready() (bool, []string)       { return true, nil }
func (ready) StreamReady() (bool, []string) { return true, nil }

// serve starts a service.
func serve() (*service, error) {
	m, err := demo()
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	s, err := server.New(server.Config{
		HTTPAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0", ScoreDeadline: time.Minute,
	}, server.Parts{
		Models: m, Readiness: ready{}, Scoring: true, Drain: 5 * time.Second, Version: "test",
		Registerer: registry, Gatherer: registry, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := s.Listen(ctx); err != nil {
		cancel()
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return &service{address: s.Addrs().Scoring, stop: func() error { cancel(); return <-ended }}, nil
}

// start is serve for a test.
func start(tb testing.TB) *service {
	tb.Helper()
	s, err := serve()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.stop(); err != nil {
			tb.Error("service ended with:", err)
		}
	})
	return s
}

// connect returns a client of an address over http, unless the config has a URL.
func connect(tb testing.TB, address string, config client.Config) *client.Client {
	tb.Helper()
	if config.URL == "" {
		config.URL = "http://" + address
	}
	c, err := client.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

// example is the order of the documentation.
func example() client.Order {
	return client.Order{OrderID: "ORD_12345", Features: map[string]any{
		"feature_discount_pct": 0.35, "feature_velocity_24h": 8420, "feature_hours_since_trend_peak": 6.5,
		"feature_creator_reliability": 0.22, "feature_cust_prior_return_rate_90d": 0.31,
		"feature_cust_avg_order_value_90d": 127.5, "feature_prod_size_fit_rate": 0.18, "feature_device_type": "mobile",
	}}
}
