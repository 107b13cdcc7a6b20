// Package service provides the service itself: it reads the configuration, wires the packages to each other by
// role, and runs them until its context ends.
package service

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/consumer"
	"github.com/trendbuy/riskscorer/producer"
	"github.com/trendbuy/riskscorer/server"
	"github.com/trendbuy/riskscorer/stream"
)

// Service is a configured service with its model open. Run it once.
type Service struct {
	config   Config
	log      *slog.Logger
	registry *prometheus.Registry
	models   *models
	current  atomic.Pointer[model] // the one that serves, at both doors
	reloader *reloader
	tracing  *tracing // nil for none
	server   *server.Server
	client   *broker.Client     // nil in role serve
	consumer *consumer.Consumer // nil in role serve
	turns    *stream.Turns      // taken by the stream, which gives way to calls
}

// New opens the bundle and the listeners; version is the build's. A *bundle.CheckError is a bundle that may not serve.
// After an error nothing is left open.
func New(ctx context.Context, c Config, version string, log *slog.Logger) (*Service, error) {
	s := &Service{config: c, log: log, registry: prometheus.NewRegistry(), turns: stream.NewTurns(c.Cores)}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	if s.models, err = newModels(c, log, s.registry); err != nil {
		return nil, err
	}
	s.reloader = newReloader(s) // it knows what lies at MODEL_PATH now, so that no later change is missed
	first, err := s.models.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	s.use(first)
	logLoaded(log, first)
	if s.tracing, err = newTracing(ctx, c.Tracing, version, log, s.registry); err != nil {
		return nil, err
	}
	if c.Role != RoleServe {
		if err := s.openStream(); err != nil {
			s.tracing.close(ctx)
			return nil, err
		}
	}
	if err := s.openDoors(ctx, version); err != nil {
		s.closeStream()
		s.tracing.close(ctx)
		return nil, err
	}
	return s, nil
}

// otherMemory is for all but models and the stream's records: connections, bodies on their way, and garbage. The 150 MiB of
// docs/memory.md have the program itself, which the collector does not see, and what it takes to react.
const otherMemory = 100 << 20

// use makes a model the one that serves, and tells the collector what the process should take at most with it.
func (s *Service) use(m *model) {
	s.current.Store(m)
	c := &s.config
	if c.SoftLimit != nil && c.Role != RoleServe && c.Consumer.MemoryLimit > 0 {
		c.SoftLimit(int64(c.Consumer.MemoryLimit) + 2*m.memory + otherMemory)
	}
}

func (s *Service) openDoors(ctx context.Context, version string) error {
	var err error
	s.server, err = server.New(s.config.Server, server.Parts{
		Models: s, Readiness: s, Calls: s.turns, Cores: s.config.Cores,
		Extra: s.config.ExtraFeatures, Scoring: s.config.Role != RoleStream,
		Drain: s.config.Consumer.DrainTimeout, Version: version, Parity: func() any { return s.current.Load().parity }, Reloader: s.reloader, Tracer: s.tracing.tracer(),
		Registerer: s.registry, Gatherer: s.registry, Logger: s.log,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := s.server.Listen(ctx); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// openStream wires the stream: consumer -> stream -> producer. It connects to nothing yet.
func (s *Service) openStream() error {
	c := s.config
	client, err := broker.NewClient(c.Broker, c.Consumer.Topic, c.Stream.ResultsTopic, c.Stream.DeadLettersTopic)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	pipeline := stream.New(c.Stream, s, s.log, s.registry)
	pipeline.Trace(s.tracing.tracer())
	pipeline.GiveWay(s.turns)
	publisher := producer.New(client, c.Producer, s.log, s.registry)
	s.consumer, err = consumer.New(client, c.Consumer, func(int) consumer.Handler {
		return pipeline.Worker(publisher.Worker())
	}, s.log, s.registry)
	if err != nil {
		return fmt.Errorf("consumer: %w", err)
	}
	s.client = client
	return nil
}

func (s *Service) closeStream() {
	if s.client != nil {
		s.client.Close()
	}
}

// Addrs are the addresses of the open listeners.
func (s *Service) Addrs() server.Addrs { return s.server.Addrs() }

// Run serves until ctx ends, then drains: the listeners answer what they have begun, the stream publishes and
// commits what it has read. It returns nil after a clean end.
func (s *Service) Run(ctx context.Context) error {
	defer s.tracing.close(ctx)
	defer s.closeStream()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.server.Run(ctx) })
	g.Go(func() error { return s.reloader.run(ctx) })
	if s.consumer != nil {
		g.Go(func() error { return s.consumer.Run(ctx) })
	}
	s.log.Info("running", "role", s.config.Role, "addresses", s.server.Addrs())
	err := g.Wait()
	s.log.Info("stopped")
	return err
}
