package passthrough

import (
	"context"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// polls is how many polls' records may be unacknowledged: the pipeline's depth.
const polls = 4

// Franz copies with franz-go, pipelined: it fetches on while earlier records wait for their acknowledgement, and
// commits a poll once all that it led to, and every poll before it, is acknowledged.
func Franz(ctx context.Context, job Job) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(job.Broker), kgo.ConsumeTopics(job.From), kgo.ConsumerGroup(job.Group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxPartitionBytes(fetchBytes),
		kgo.AutoCommitMarks(), kgo.AutoCommitInterval(commitEvery),
		kgo.DefaultProduceTopic(job.To), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(fetchBytes-4096), kgo.MaxBufferedRecords(1_000_000),
	)
	if err != nil {
		return fmt.Errorf("franz-go client: %w", err)
	}
	defer client.Close()
	g, ctx := errgroup.WithContext(ctx)
	flights := make(chan *flight, polls-1)
	g.Go(func() error {
		defer close(flights)
		return fly(ctx, client, flights)
	})
	g.Go(func() error {
		for f := range flights {
			f.left.Wait()
			if f.err != nil {
				return f.err
			}
			client.MarkCommitRecords(f.last...)
		}
		return nil
	})
	return stopped(g.Wait())
}

// flight is one poll's records on their way.
type flight struct {
	left sync.WaitGroup
	last []*kgo.Record // of each partition
	once sync.Once
	err  error // of the first record that failed; readable once left is at zero
}

func fly(ctx context.Context, client *kgo.Client, flights chan<- *flight) error {
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
		f := &flight{}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			// A record that is sent gets a partition and an offset: it must be another than the one to commit.
			copies := make([]kgo.Record, len(p.Records))
			for i, r := range p.Records {
				f.left.Add(1)
				copies[i] = kgo.Record{Key: r.Key, Value: r.Value, Headers: r.Headers}
				client.Produce(ctx, &copies[i], func(_ *kgo.Record, err error) {
					if err != nil {
						f.once.Do(func() { f.err = fmt.Errorf("produce: %w", err) })
					}
					f.left.Done()
				})
			}
			if n := len(p.Records); n > 0 {
				f.last = append(f.last, p.Records[n-1])
			}
		})
		select {
		case flights <- f:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
