package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/examples/results"
)

// listener hands each result to those who wait for it in this process. It has no consumer group: every process of the
// checkout reads all results from now on, since none can know which partition its answers will come by.
type listener struct {
	client *kgo.Client
	stop   context.CancelFunc
	ended  sync.WaitGroup

	mu      sync.Mutex
	waiting map[event][]chan decision // each has room for the one result that it is given
}

// event is what a result answers.
type event struct {
	orderID string
	version int64
}

// listen starts to read at the topic's present end, so that nothing published from now on is missed.
func listen(ctx context.Context, decoder *results.Decoder, topic string, brokers kgo.Opt) (*listener, error) {
	client, err := kgo.NewClient(brokers, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(time.Second))
	if err != nil {
		return nil, err
	}
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err = errors.Join(err, ends.Error()); err != nil {
		client.Close()
		return nil, fmt.Errorf("the end of %s: %w", topic, err)
	}
	client.AddConsumePartitions(ends.KOffsets())
	ctx, stop := context.WithCancel(ctx)
	l := &listener{client: client, stop: stop, waiting: map[event][]chan decision{}}
	l.ended.Go(func() { l.read(ctx, decoder) })
	return l, nil
}

func (l *listener) close() {
	l.stop()
	l.ended.Wait()
	l.client.Close()
}

// expect returns where the order's result will be, and what to call when it is no longer waited for.
func (l *listener) expect(orderID string, version int64) (result <-chan decision, forget func()) {
	e, c := event{orderID, version}, make(chan decision, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[e] = append(l.waiting[e], c)
	return c, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		rest := slices.DeleteFunc(l.waiting[e], func(other chan decision) bool { return other == c })
		if l.waiting[e] = rest; len(rest) == 0 {
			delete(l.waiting, e)
		}
	}
}

// read passes results on until ctx ends. An outage of Kafka is not the listener's to mend: the client goes on by itself.
func (l *listener) read(ctx context.Context, decoder *results.Decoder) {
	for ctx.Err() == nil {
		for _, record := range l.client.PollFetches(ctx).Records() {
			r, err := decoder.Decode(ctx, record.Value)
			if err != nil {
				fmt.Fprintf(os.Stderr, "decide: %s/%d at offset %d: %v\n", record.Topic, record.Partition, record.Offset, err)
				continue
			}
			l.give(event{r.OrderID, r.EventVersion}, decision{"stream", r.RiskBand, r.PredictionID})
		}
	}
}

// give answers everybody who waits for the event, and nobody twice.
func (l *listener) give(e event, d decision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.waiting[e] {
		select {
		case c <- d:
		default:
		}
	}
}
