// Package producer provides acknowledged, idempotent writing of raw record batches.
package producer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/broker"
)

const (
	// maxRecordBytes is above what any sensible topic takes and below the size of request at which a broker hangs up
	// without saying why (socket.request.max.bytes, 100 MiB).
	maxRecordBytes = 64 << 20
	metadataMaxAge = 30 * time.Second
)

// Config bounds the writing. Each field names its environment variable.
type Config struct {
	// MaxBatchBytes must not exceed the output topics' max.message.bytes; a smaller topic costs refused attempts.
	MaxBatchBytes int `env:"PRODUCE_MAX_BATCH_BYTES, default=921600" help:"bytes of one batch; at most the output topics' max.message.bytes"`
	// MaxInFlight bounds the requests under way, and with them the connections, of the whole process.
	MaxInFlight int `env:"PRODUCE_MAX_IN_FLIGHT, default=64" help:"produce requests under way at once"`
	// StallAfter is how long Publish retries without progress before it reports why it is held up.
	StallAfter time.Duration `env:"PRODUCE_STALL_AFTER, default=5s" help:"how long a publish is tried again before the partition is shown as paused"`
}

// Validate names the variable of each setting that makes no sense.
func (c Config) Validate() error {
	var errs []error
	if c.MaxBatchBytes < 1024 || c.MaxBatchBytes > maxRecordBytes {
		errs = append(errs, fmt.Errorf("PRODUCE_MAX_BATCH_BYTES: %d is not in [1024, %d]", c.MaxBatchBytes, maxRecordBytes))
	}
	if c.MaxInFlight < 1 {
		errs = append(errs, fmt.Errorf("PRODUCE_MAX_IN_FLIGHT: %d is less than 1", c.MaxInFlight))
	}
	if c.StallAfter <= 0 {
		errs = append(errs, fmt.Errorf("PRODUCE_STALL_AFTER: %v is not positive", c.StallAfter))
	}
	return errors.Join(errs...)
}

// Producer hands out workers that share one client, one bound of requests and one cache of partition counts.
// It is safe for concurrent use and holds nothing that needs closing.
type Producer struct {
	client   *broker.Client
	cfg      Config
	log      *slog.Logger
	metrics  *metrics
	inFlight chan struct{}
	// buffers are of batches that were acknowledged and never uncertain, so that no connection reads them any more.
	buffers broker.Buffers

	mu     sync.Mutex
	counts map[string]partitionCount
}

type partitionCount struct {
	n  int
	at time.Time
}

// New returns a producer on client, which stays the caller's. cfg must be valid.
func New(client *broker.Client, cfg Config, logger *slog.Logger, registerer prometheus.Registerer) *Producer {
	return &Producer{
		client: client, cfg: cfg, log: logger, metrics: newMetrics(registerer),
		inFlight: make(chan struct{}, cfg.MaxInFlight),
		counts:   make(map[string]partitionCount),
	}
}

// Worker returns a writer with a producer id of its own, which it asks for when it first publishes. Make one for each
// partition worker and generation, and drop it with them.
func (p *Producer) Worker() *Worker {
	return &Worker{p: p, lanes: make(map[output]*lane), ids: newIDSource()}
}

// partitions returns the topic's partition count, asked for again every half minute and after errors.
func (p *Producer) partitions(ctx context.Context, topic string) (int, error) {
	p.mu.Lock()
	have := p.counts[topic]
	p.mu.Unlock()
	if have.n > 0 && time.Since(have.at) < metadataMaxAge {
		return have.n, nil
	}
	n, err := p.client.PartitionCount(ctx, topic)
	if err != nil {
		return 0, broker.MissingRight("WRITE on topic "+topic, fmt.Errorf("find the partitions of %s: %w", topic, err))
	}
	p.mu.Lock()
	p.counts[topic] = partitionCount{n: n, at: time.Now()}
	p.mu.Unlock()
	return n, nil
}

func (p *Producer) forget(topic string) {
	p.mu.Lock()
	delete(p.counts, topic)
	p.mu.Unlock()
}
