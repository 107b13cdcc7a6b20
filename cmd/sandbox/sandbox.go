package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/service"
	"github.com/trendbuy/riskscorer/stream"
)

const (
	partitions = 6
	// startTimeout bounds the start, settleTimeout the wait for the last orders' outcomes.
	startTimeout  = 30 * time.Second
	settleTimeout = 30 * time.Second
	screenEvery   = time.Second
)

// The ids of the schemas in the pins that the sandbox writes.
const (
	ordersSchemaID  = 1
	resultsSchemaID = 2
)

// sandbox is everything that runs, and the account of it.
type sandbox struct {
	options options
	screen  *screen
	dir     string // holds the schema pins
	cluster *kfake.Cluster
	config  service.Config
	service *service.Service
	client  *kgo.Client
	tally   *tally
	started time.Time
}

// newSandbox starts the broker, creates the topics and opens the service. After an error nothing is left open.
func newSandbox(ctx context.Context, o options, screen *screen) (*sandbox, error) {
	// A signal during the start must not leave half a sandbox: the start completes, then run ends at once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	s := &sandbox{options: o, screen: screen, tally: newTally()}
	for _, step := range []func(context.Context) error{s.startBroker, s.configure, s.createTopics, s.openService, s.openClient} {
		if err := step(ctx); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *sandbox) startBroker(context.Context) (err error) {
	if s.cluster, err = kfake.NewCluster(kfake.NumBrokers(1)); err != nil {
		return fmt.Errorf("start the in-memory broker: %w", err)
	}
	return nil
}

// configure makes the service's settings: its defaults and the sandbox's addresses, whatever the environment says.
func (s *sandbox) configure(ctx context.Context) (err error) {
	if s.dir, err = os.MkdirTemp("", "riskscorer-sandbox-"); err != nil {
		return err
	}
	pins, err := json.Marshal(map[int]string{
		ordersSchemaID: schemas.OrderFeaturesSchema, resultsSchemaID: schemas.RiskResultSchema,
	})
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, "schemas.json")
	if err := os.WriteFile(path, pins, 0o600); err != nil {
		return err
	}
	s.config, err = service.Load(ctx, envconfig.MapLookuper(map[string]string{
		"KAFKA_BROKERS":  strings.Join(s.cluster.ListenAddrs(), ","),
		"SCHEMA_PINS":    path,
		"MODEL_PATH":     s.options.model,
		"HTTP_ADDR":      s.options.http,
		"ADMIN_ADDR":     "127.0.0.1:0",
		"METRICS_ADDR":   "127.0.0.1:0",
		"FETCH_MAX_WAIT": "100ms",
	}))
	return err
}

func (s *sandbox) createTopics(ctx context.Context) error {
	client, err := broker.NewClient(s.config.Broker)
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = client.CreateTopics(ctx, stream.Topics(s.config.Consumer.Topic, s.config.Stream, partitions, 1))
	return err
}

func (s *sandbox) openService(ctx context.Context) (err error) {
	log := slog.New(slog.NewTextHandler(s.screen, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s.service, err = service.New(ctx, s.config, "sandbox", log)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: run this in the repository's root, or set MODEL_PATH", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: choose another address with --http, for example --http 127.0.0.1:0", err)
	default:
		return err
	}
}

// openClient opens the client that publishes orders and reads what comes of them: a user's side of the topics.
func (s *sandbox) openClient(context.Context) (err error) {
	s.client, err = kgo.NewClient(
		kgo.SeedBrokers(s.cluster.ListenAddrs()...),
		kgo.ProducerLinger(0),
		kgo.MaxBufferedRecords(10_000),
		kgo.ConsumeTopics(s.config.Stream.ResultsTopic, s.config.Stream.DeadLettersTopic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100*time.Millisecond),
	)
	return err
}

func (s *sandbox) close() {
	if s.client != nil {
		s.client.Close()
	}
	if s.cluster != nil {
		s.cluster.Close()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// run generates orders until ctx ends or the asked number is out, waits for what comes of them, stops the service,
// and returns the account.
func (s *sandbox) run(ctx context.Context) (*summary, error) {
	defer s.close()
	s.started = time.Now()
	rest, stopRest := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRest()
	g, rest := errgroup.WithContext(rest)
	g.Go(func() error { return s.service.Run(rest) })
	g.Go(func() error { return s.watch(rest) })
	g.Go(func() error { return s.show(rest) })
	s.screen.welcome(s.service.Addrs())

	generating, stopGenerating := context.WithCancel(ctx)
	defer stopGenerating()
	// If anything of the rest fails, there is nothing to generate for.
	context.AfterFunc(rest, stopGenerating)
	err := s.generate(generating)
	if err == nil {
		s.screen.note("draining: waiting for what comes of the last orders")
		s.settle(rest)
	}
	elapsed := time.Since(s.started)
	stopRest()
	if waitErr := g.Wait(); waitErr != nil {
		err = waitErr
	}
	s.screen.end()
	return s.summarize(elapsed), err
}

// settle waits until something came of every order, within a bound: the summary tells if it did not.
func (s *sandbox) settle(ctx context.Context) {
	limit := time.NewTimer(settleTimeout)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !s.tally.settled() {
		select {
		case <-ctx.Done():
			return
		case <-limit.C:
			return
		case <-tick.C:
		}
	}
}

// show keeps the live line until ctx ends.
func (s *sandbox) show(ctx context.Context) error {
	tick := time.NewTicker(screenEvery)
	defer tick.Stop()
	last := s.tally.snapshot(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		rate := int(s.options.rate)
		now := s.tally.snapshot(max(10*rate, 100)) // the percentiles of about ten seconds
		lag := int64(0)
		for _, p := range s.service.StreamStatus().Partitions {
			lag += max(p.Lag, 0)
		}
		s.screen.live(now, now.Results+now.DeadLetters-last.Results-last.DeadLetters, lag)
		last = now
	}
}
