//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/e2e/workload"
)

// feeder is the upstream of a run. It waits for brokers that are away as long as the run does.
type feeder struct {
	client       *kgo.Client
	open         atomic.Int64 // handed over, and neither acknowledged nor failed
	acknowledged atomic.Int64

	mu     sync.Mutex
	failed error
}

func (s *system) newFeeder() (*feeder, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.seeds...), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(50_000),
		kgo.MetadataMaxAge(5*time.Second), kgo.UnknownTopicRetries(-1))
	if err != nil {
		return nil, err
	}
	return &feeder{client: client}, nil
}

// send hands the records over in order, rate a second or, if rate is 0, as fast as it goes, and writes into each one where
// the broker has put it once it has.
func (f *feeder) send(ctx context.Context, records []workload.Record, rate int) {
	const burst = 100
	begin := time.Now()
	for i := range records {
		if rate > 0 && i%burst == 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate)))):
			}
		}
		f.open.Add(1)
		in := &records[i].Input
		record := &kgo.Record{Topic: topics.Orders, Key: in.Key, Value: in.Value, Headers: in.Headers}
		f.client.Produce(ctx, record, func(r *kgo.Record, err error) {
			f.open.Add(-1)
			in.Source = verify.Source{Partition: r.Partition, Offset: r.Offset}
			if err != nil {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.failed = errors.Join(f.failed, fmt.Errorf("produce: %w", err))
				return
			}
			f.acknowledged.Add(1)
		})
	}
}

// close waits for every acknowledgement.
func (f *feeder) close(ctx context.Context) error {
	defer f.client.Close()
	err := f.client.Flush(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(err, f.failed)
}
