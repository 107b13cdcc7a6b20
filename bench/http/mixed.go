package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/e2e/kafka"
	"github.com/trendbuy/riskscorer/e2e/process"
	"github.com/trendbuy/riskscorer/ordergen"
)

const (
	partitions  = 8
	ordersTopic = "orders"
	// backlog is what the stream could do at most, in events a second: it must not run dry.
	backlog = 60_000
)

// mixedTurn is a turn in which the stream catches up in the process that answers.
type mixedTurn struct {
	Alone   float64 // the stream's events a second before any request came
	Beside  float64 // and while they came
	Latency latency
}

// mixed has one process answer orders at 0.7 of its capacity while its stream catches up.
func (b *bench) mixed(ctx context.Context, r *results, _ []*contender) error {
	c := b.ours("", "riskscorer", "")
	s, err := b.get(ctx, r, c)
	if err != nil {
		return err
	}
	capacity, err := b.capacity(ctx, s, r.line(c))
	if err != nil {
		return err
	}
	node, err := kafka.Start(ctx, b.dir, filepath.Join(b.dir, "kafka.log"))
	if err != nil {
		return err
	}
	defer node.Kill()
	defer os.RemoveAll(filepath.Join(b.dir, "data"))
	client, err := kgo.NewClient(kgo.SeedBrokers(node.Address()), kgo.DefaultProduceTopic(ordersTopic), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopics(ctx, partitions, 1, nil, ordersTopic, "dead-letters"); err != nil {
		return err
	}
	events := backlog * (2*b.seconds + 2)
	say("writing %d events", events)
	if err := fill(ctx, client, events); err != nil {
		return err
	}
	for round := range b.rounds {
		t, err := b.mixedRound(ctx, admin, node.Address(), round, 0.7*capacity, int64(events))
		if err != nil {
			return err
		}
		say("round %d of %d: stream %.0f events/s alone, %.0f beside %.0f requests/s of p99 %.1f ms", round+1, b.rounds, t.Alone, t.Beside, t.Latency.Rate, t.Latency.P99)
		r.Mixed = append(r.Mixed, t)
	}
	return nil
}

// fill writes n order events in JSON to the client's topic.
func fill(ctx context.Context, client *kgo.Client, n int) error {
	ctx, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	for orders, i := ordergen.New(ordergen.Config{Seed: 7}), 0; i < n && ctx.Err() == nil; i++ {
		o := orders.Next()
		client.Produce(ctx, &kgo.Record{Key: []byte(o.ID), Value: o.AppendJSON(nil)}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed(err)
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return fmt.Errorf("write orders: %w", errors.Join(err, context.Cause(ctx)))
	}
	return nil
}

// mixedRound starts a process of its own in a group of its own, from the topic's beginning.
func (b *bench) mixedRound(ctx context.Context, admin *kadm.Client, broker string, round int, rate float64, events int64) (mixedTurn, error) {
	results := "results-" + strconv.Itoa(round)
	if _, err := admin.CreateTopic(ctx, partitions, 1, nil, results); err != nil {
		return mixedTurn{}, err
	}
	defer func() { _, _ = admin.DeleteTopic(context.WithoutCancel(ctx), results) }() // to save the disk
	s, err := b.launch(ctx, b.ours("", "riskscorer", "", "ROLE=both", "RESULTS_FORMAT=json", "KAFKA_BROKERS="+broker,
		"KAFKA_GROUP=bench-"+strconv.Itoa(round), "ORDERS_TOPIC="+ordersTopic, "RESULTS_TOPIC="+results, "DEAD_LETTERS_TOPIC=dead-letters"))
	if err != nil {
		return mixedTurn{}, err
	}
	defer func() { _ = s.process.Stop(stopLimit) }()
	count := func() (int64, error) { return written(ctx, admin, results, s.process) }
	if err := awaitEvents(ctx, count, 1000); err != nil {
		return mixedTurn{}, err
	}
	var t mixedTurn
	if t.Alone, err = eventRate(count, func() error { return pause(ctx, b.length()) }); err != nil {
		return t, err
	}
	t.Beside, err = eventRate(count, func() error {
		var err error
		t.Latency, err = s.open(ctx, rate, b.length())
		return err
	})
	if err != nil {
		return t, err
	}
	if n, err := count(); err != nil || n >= events {
		return t, errors.Join(err, fmt.Errorf("the stream ran dry: %d of %d events", n, events))
	}
	return t, nil
}

// written is the number of results in a topic.
func written(ctx context.Context, admin *kadm.Client, topic string, p *process.Process) (n int64, err error) {
	select {
	case <-p.Done():
		return 0, fmt.Errorf("riskscorer ended (%s): %s", p.State(), p.Tail(5))
	default:
	}
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	ends.Each(func(o kadm.ListedOffset) { n += max(0, o.Offset) })
	return n, nil
}

// awaitEvents waits until there are more than n results.
func awaitEvents(ctx context.Context, count func() (int64, error), n int64) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		have, err := count()
		if err != nil || have > n {
			return err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("%d results within %v: %w", have, startLimit, err)
		}
	}
}

// eventRate is how many events a second there were while something ran.
func eventRate(count func() (int64, error), while func() error) (float64, error) {
	begin := time.Now()
	before, err := count()
	if err != nil {
		return 0, err
	}
	if err := while(); err != nil {
		return 0, err
	}
	after, err := count()
	return float64(after-before) / time.Since(begin).Seconds(), err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// beside is the median of the p99 while the stream catches up.
func (r *results) beside() float64 {
	return median(r.Mixed, func(t *mixedTurn) float64 { return t.Latency.P99 })
}
