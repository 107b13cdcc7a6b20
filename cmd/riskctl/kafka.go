package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/producer"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/schemas/registry"
	"github.com/trendbuy/riskscorer/stream"
)

// kafkaTimeout bounds a command that asks Kafka for a few things.
const kafkaTimeout = time.Minute

// The formats of results on Kafka.
const (
	formatAvro = "avro"
	formatJSON = "json"
)

// kafkaSettings are the service's own environment variables, as far as commands that talk to Kafka need them.
type kafkaSettings struct {
	OrdersTopic   string        `env:"ORDERS_TOPIC, default=order-features"`
	Group         string        `env:"KAFKA_GROUP, default=riskscorer"`
	BundleStore   string        `env:"BUNDLE_STORE"`
	PublicKeys    []string      `env:"MODEL_PUBLIC_KEYS"`
	ExtraFeatures schemas.Extra `env:"EXTRA_FEATURES, default=refuse"`
	ResultsFormat string        `env:"RESULTS_FORMAT"`
	Broker        broker.Config
	Stream        stream.Config
	Registry      registry.Config
}

func loadKafkaSettings(ctx context.Context) (kafkaSettings, error) {
	var s kafkaSettings
	if err := envconfig.Process(ctx, &s); err != nil {
		return s, usage(err)
	}
	switch s.ResultsFormat {
	case "", formatJSON, formatAvro:
	default:
		return s, usage(fmt.Errorf("RESULTS_FORMAT is %q, want %s or %s", s.ResultsFormat, formatAvro, formatJSON))
	}
	return s, usage(s.Broker.Validate())
}

// connection is what a command that talks to Kafka works with.
type connection struct {
	kafkaSettings
	client   *broker.Client
	registry *registry.Source // nil without a schema registry and pins
}

// onKafka reads the settings and calls work, which may take as long as its context. It connects with the first call.
func onKafka(ctx context.Context, work func(context.Context, *connection) error) error {
	s, err := loadKafkaSettings(ctx)
	if err != nil {
		return err
	}
	c := &connection{kafkaSettings: s}
	if c.client, err = broker.NewClient(s.Broker); err != nil {
		return usage(err)
	}
	defer c.client.Close()
	if c.registry, err = registry.New(s.Registry); err != nil {
		return usage(err)
	}
	defer c.registry.Close()
	return work(ctx, c)
}

// schemas is the source of writers' schemas, nil where there is none.
func (c *connection) schemas() schemas.SchemaSource {
	if c.registry == nil {
		return nil
	}
	return c.registry
}

// publisher returns an idempotent writer that waits for every replica in sync; its warnings go to standard error.
func (c *connection) publisher(cmd *cobra.Command) *producer.Worker {
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	config := producer.Config{MaxBatchBytes: 900 << 10, MaxInFlight: 16, StallAfter: 5 * time.Second}
	return producer.New(c.client, config, log, prometheus.NewRegistry()).Worker()
}

// checkPartitions says which of the partitions a topic does not have.
func (c *connection) checkPartitions(ctx context.Context, topic string, partitions []int) error {
	n, err := c.client.PartitionCount(ctx, topic)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(partitions, func(p int) bool { return p < 0 || p >= n }); i >= 0 {
		return usage(fmt.Errorf("--partition %d: topic %s has the partitions 0 to %d", partitions[i], topic, n-1))
	}
	return nil
}

// parseTime reads a moment: RFC 3339, a date in UTC, or a duration before now like 24h.
func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return time.Now().Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage(fmt.Errorf("--%s %q is neither a time like 2026-05-01T12:00:00Z, a date, nor a duration before now like 24h", flag, text))
}
