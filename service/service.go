// Package service provides the service itself: it reads the configuration, wires the packages to each other by
// role, and runs them until its context ends.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/consumer"
	"github.com/trendbuy/riskscorer/producer"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/schemas/registry"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/leaves"
	"github.com/trendbuy/riskscorer/server"
	"github.com/trendbuy/riskscorer/stream"
)

// Service is a configured service with its model open. Run it once.
type Service struct {
	config   Config
	log      *slog.Logger
	registry *prometheus.Registry
	bundle   *bundle.Bundle
	parity   any // how closely the engine met the golden rows
	scorer   *scoring.Scorer
	server   *server.Server
	client   *broker.Client     // nil in role serve
	consumer *consumer.Consumer // nil in role serve
	turns    *stream.Turns      // taken by the stream, which gives way to calls
}

// New opens the bundle and the listeners; version is the build's. A *bundle.CheckError is a bundle that may not serve.
// After an error nothing is left open.
func New(ctx context.Context, c Config, version string, log *slog.Logger) (*Service, error) {
	s := &Service{config: c, log: log, registry: prometheus.NewRegistry(), turns: stream.NewTurns()}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	if s.bundle, err = openBundle(ctx, c, log); err != nil {
		return nil, err
	}
	var engine scoring.Engine
	if engine, s.parity, err = openEngine(c.Engine, s.bundle); err != nil {
		return nil, err
	}
	s.scorer = scoring.New(s.bundle, engine, scoring.NewMetrics(s.registry))
	log.Info("model loaded", "model_version", s.bundle.Manifest.Version, "model_digest", s.bundle.Digest.String(),
		"engine", s.scorer.EngineID(), "golden_rows", s.bundle.Parity.Rows)
	if c.Role != RoleServe {
		if err := s.openStream(); err != nil {
			return nil, err
		}
	}
	if err := s.openDoors(ctx, version); err != nil {
		s.closeStream()
		return nil, err
	}
	return s, nil
}

func (s *Service) openDoors(ctx context.Context, version string) error {
	var err error
	s.server, err = server.New(s.config.Server, server.Parts{
		Models: s, Readiness: s, Calls: s.turns,
		Extra: s.config.ExtraFeatures, Scoring: s.config.Role != RoleStream,
		Drain: s.config.Consumer.DrainTimeout, Version: version, Parity: func() any { return s.parity },
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

// openBundle opens the bundle, and says how far it is if that takes more than a second.
func openBundle(ctx context.Context, c Config, log *slog.Logger) (*bundle.Bundle, error) {
	prepare := forest.Options{MaxMemory: c.ModelMemory, Progress: forest.NewProgress(func(part float64) error {
		log.Info("preparing the model", "percent", int(100*part))
		return context.Cause(ctx)
	})}
	b, err := bundle.Open(c.ModelPath, bundle.Options{PublicKeys: c.ModelPublicKeys, Model: prepare})
	if _, large := errors.AsType[*forest.MemoryError](err); large {
		return nil, fmt.Errorf("MODEL_PATH %s: %w; MODEL_MEMORY_LIMIT sets the limit", c.ModelPath, err)
	}
	if err != nil {
		return nil, fmt.Errorf("MODEL_PATH %s: %w", c.ModelPath, err)
	}
	if v := b.Manifest.Version; c.ModelVersion != "" && c.ModelVersion != v {
		return nil, fmt.Errorf("MODEL_PATH %s: %w", c.ModelPath, &bundle.CheckError{
			Check: bundle.CheckManifest, Err: fmt.Errorf("version is %q, MODEL_VERSION demands %q", v, c.ModelVersion),
		})
	}
	return b, nil
}

// openEngine returns the engine that scores the bundle's model, and how closely it met the golden rows.
func openEngine(name string, b *bundle.Bundle) (scoring.Engine, any, error) {
	if name == EngineForest {
		return b.Forest, b.Parity, nil
	}
	engine, err := leaves.New(b.Forest)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: SCORING_ENGINE is leaves, which cannot score this model: %w", ErrConfig, err)
	}
	judgement, err := b.Judge(engine)
	if err != nil {
		return nil, nil, &bundle.CheckError{Check: bundle.CheckGolden, Err: fmt.Errorf("engine %s: %w", engine.ID(), err)}
	}
	return engine, judgement, nil
}

// openStream wires the stream: consumer -> stream -> producer. It connects to nothing yet.
func (s *Service) openStream() error {
	c := s.config
	client, err := broker.NewClient(c.Broker, c.Consumer.Topic, c.Stream.ResultsTopic, c.Stream.DeadLettersTopic)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	source, err := registry.New(c.Registry)
	if err != nil {
		return fmt.Errorf("schema registry: %w", err)
	}
	var schemaSource schemas.SchemaSource // nil where neither a registry nor pins are set
	if source != nil {
		schemaSource = source
	}
	decoder := schemas.NewDecoder(s.scorer.Contract(), schemaSource, c.ExtraFeatures, s.log)
	pipeline := stream.New(c.Stream, s.scorer, decoder, s.results(source), s.log, s.registry)
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

// results returns the encoder of results, whose schema id is looked up when it is first needed.
func (s *Service) results(source *registry.Source) stream.ResultsFunc {
	model := schemas.Model{
		Version: s.bundle.Manifest.Version, Digest: s.bundle.Digest.String(), Engine: s.scorer.EngineID(),
	}
	if s.config.ResultsFormat == FormatJSON {
		encoder := schemas.NewJSONResults(model)
		return func(context.Context) (*schemas.Results, error) { return encoder, nil }
	}
	var found onceValue[*schemas.Results]
	return func(ctx context.Context) (*schemas.Results, error) {
		return found.get(func() (*schemas.Results, error) {
			id, err := source.Lookup(ctx, s.config.Stream.ResultsTopic+"-value", schemas.RiskResultSchema)
			if err != nil {
				return nil, err
			}
			return schemas.NewAvroResults(id, model)
		})
	}
}

// Addrs are the addresses of the open listeners.
func (s *Service) Addrs() server.Addrs { return s.server.Addrs() }

// Run serves until ctx ends, then drains: the listeners answer what they have begun, the stream publishes and
// commits what it has read. It returns nil after a clean end.
func (s *Service) Run(ctx context.Context) error {
	defer s.closeStream()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.server.Run(ctx) })
	if s.consumer != nil {
		g.Go(func() error { return s.consumer.Run(ctx) })
	}
	s.log.Info("running", "role", s.config.Role, "addresses", s.server.Addrs())
	err := g.Wait()
	s.log.Info("stopped")
	return err
}
