package simulation_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/consumer"
	"github.com/trendbuy/riskscorer/producer"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/stream"
)

const (
	demo      = "../../models/trendbuy_xgb_v1.0.0"
	ordersID  = 1
	resultsID = 2
)

// openDemo opens the demo bundle once, outside of any bubble.
var openDemo = sync.OnceValues(func() (*bundle.Bundle, error) { return bundle.Open(demo, bundle.Options{}) })

// pins are the schemas that are known.
type pins struct{}

func (pins) Schema(_ context.Context, id int) (string, error) {
	switch id {
	case ordersID:
		return schemas.OrderFeaturesSchema, nil
	case resultsID:
		return schemas.RiskResultSchema, nil
	}
	return "", fmt.Errorf("id %d: %w", id, schemas.ErrSchemaUnknown)
}

// newPipeline is what service makes of the demo bundle.
func newPipeline(b *bundle.Bundle, log *slog.Logger, reg prometheus.Registerer) *stream.Pipeline {
	scorer := scoring.New(b, b.Forest, scoring.NewMetrics(reg))
	results := sync.OnceValues(func() (*schemas.Results, error) {
		return schemas.NewAvroResults(resultsID, schemas.Model{
			Version: b.Manifest.Version, Digest: b.Digest.String(), Engine: scorer.EngineID(),
		})
	})
	decoder := schemas.NewDecoder(scorer.Contract(), pins{}, schemas.RefuseExtra, log)
	return stream.New(stream.Config{ResultsTopic: topics.Results, DeadLettersTopic: topics.DeadLetters}, &stream.Model{
		Scorer: scorer, Decoder: decoder, Results: func(context.Context) (*schemas.Results, error) { return results() },
	}, log, reg)
}

// settings are those of every process of a run.
type settings struct {
	consumer consumer.Config
	producer producer.Config
}

// process is one instance of the service's stream, wired as package service does it.
type process struct {
	name     string
	client   *broker.Client
	consumer *consumer.Consumer
	signal   context.CancelFunc // SIGTERM
	exited   chan struct{}
	failed   error // of Run, once exited
}

// startProcess starts a process on a host of its own.
func startProcess(t *testing.T, b *bundle.Bundle, n *network, name string, brokers []string, s settings, log *slog.Logger) *process {
	t.Helper()
	log = log.With(slog.String("process", name))
	client, err := broker.NewClient(broker.Config{Brokers: brokers, Dial: n.dial(name)}, topics.Orders, topics.Results, topics.DeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	pipeline := newPipeline(b, log, reg)
	publisher := producer.New(client, s.producer, log, reg)
	p := &process{name: name, client: client, exited: make(chan struct{})}
	p.consumer, err = consumer.New(client, s.consumer, func(int) consumer.Handler {
		return pipeline.Worker(publisher.Worker())
	}, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.signal = cancel
	go func() {
		defer close(p.exited)
		p.failed = p.consumer.Run(ctx)
		client.Close()
	}()
	return p
}

// stopWithin sends SIGTERM and waits for the end, which must come in time.
func (p *process) stopWithin(t *testing.T, bound time.Duration) {
	t.Helper()
	p.signal()
	select {
	case <-p.exited:
	case <-time.After(bound):
		t.Fatalf("%s did not exit within %v of SIGTERM", p.name, bound)
	}
	if p.failed != nil {
		t.Errorf("%s: Run: %v", p.name, p.failed)
	}
}
