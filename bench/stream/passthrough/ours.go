package passthrough

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/consumer"
	"github.com/trendbuy/riskscorer/producer"
)

// Ours copies with riskscorer's consumer and producer, and the service's defaults but for the batch.
func Ours(ctx context.Context, job Job) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	metrics := prometheus.NewRegistry()
	client, err := broker.NewClient(broker.Config{Brokers: []string{job.Broker}}, job.From, job.To)
	if err != nil {
		return err
	}
	defer client.Close()
	publisher := producer.New(client, producer.Config{MaxBatchBytes: 900 << 10, MaxInFlight: 64, StallAfter: 5 * time.Second}, log, metrics)
	c, err := consumer.New(client, consumer.Config{
		Group: job.Group, Topic: job.From, OffsetReset: consumer.ResetEarliest,
		SessionTimeout: 10 * time.Second, DrainTimeout: 8 * time.Second,
		FetchMaxBytes: fetchBytes, FetchMaxWait: 500 * time.Millisecond, MemoryLimit: 256 << 20, BatchRecords: job.Batch,
	}, func(int) consumer.Handler {
		return &identity{to: job.To, publisher: publisher.Worker()}
	}, log, metrics)
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

// identity publishes what it is given.
type identity struct {
	to        string
	publisher *producer.Worker
	records   []broker.Record
}

// Handle publishes the key, value and headers of each record.
func (h *identity) Handle(ctx context.Context, records []broker.Record) error {
	h.records = h.records[:0]
	for i := range records {
		r := &records[i]
		h.records = append(h.records, broker.Record{Topic: h.to, Key: r.Key, Value: r.Value, Headers: r.Headers})
	}
	return h.publisher.Publish(ctx, h.records)
}

// Close has nothing to end.
func (*identity) Close() {}
