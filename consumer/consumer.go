// Package consumer provides at-least-once reading of one topic as a member of a group: a worker for each partition, and
// commits of acknowledged offsets only.
package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/sabotage"
)

const (
	joinBackoff        = 500 * time.Millisecond
	coordinatorTimeout = 5 * time.Second
	logEvery           = time.Minute
	logChangedEvery    = 2 * time.Second // two causes that take turns are no flood
	// returnWithin is what a handler may take to return once its context has ended.
	returnWithin = time.Second
)

// Handler handles the records of one partition, in order, from one goroutine.
type Handler interface {
	// Handle returns nil once all that the records lead to is acknowledged. An error means that a service it needs is
	// broken: the same records come again until it returns nil or the partition is taken away. An error with a method
	// PauseKind() string names its kind for the metrics, from a closed set. The records' memory is valid until Handle
	// returns. ctx ends DRAIN_TIMEOUT after the partition was taken away; Handle must then return. If it does not, or
	// takes longer than HANDLE_TIMEOUT, the member leaves the group until it has.
	Handle(ctx context.Context, records []broker.Record) error
	// Close is called once, after the last Handle has returned.
	Close()
}

// Consumer reads one topic as a member of a group.
type Consumer struct {
	client     *broker.Client
	cfg        Config
	newHandler func(partition int) Handler
	log        *slog.Logger
	metrics    *metrics
	state      *state
	rejoin     *backoff.ExponentialBackOff // waits of generations that could commit nothing, one after another
}

// New returns a consumer on client, which stays the caller's. newHandler is called for each partition of each generation.
// One Registerer takes one consumer.
func New(client *broker.Client, cfg Config, newHandler func(partition int) Handler, logger *slog.Logger, registerer prometheus.Registerer) (*Consumer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Consumer{client: client, cfg: cfg, newHandler: newHandler, log: logger, state: newState(), rejoin: newBackOff()}
	c.metrics = newMetrics(registerer, c.state)
	return c, nil
}

// Status returns what the consumer is doing at the moment.
func (c *Consumer) Status() Status { return c.state.snapshot() }

// Run reads until ctx ends; then it drains, commits, leaves the group and returns nil, at the latest when the time to
// drain is over, even if a handler never returns. A cluster that is away or a topic that is missing is waited for, with
// the reason in Status. It must not be called twice.
func (c *Consumer) Run(ctx context.Context) error {
	defer c.state.leave("stopped")
	if !c.awaitTopic(ctx) {
		return nil
	}
	for ctx.Err() == nil {
		m := &membership{Consumer: c}
		if err := m.run(ctx); err != nil {
			return err
		}
		m.awaitStuck(ctx)
	}
	return nil
}

// join is a membership's life in the group: until ctx ends.
func (c *Consumer) join(ctx context.Context, m *membership) error {
	assignor := &assignor{topic: c.cfg.Topic}
	conns := newConns(c.client.Dialer())
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: c.cfg.Group, Brokers: c.client.Brokers(), Dialer: conns.dialer, Topics: []string{c.cfg.Topic},
		GroupBalancers:    []kafka.GroupBalancer{assignor},
		HeartbeatInterval: c.cfg.heartbeat(), SessionTimeout: c.cfg.SessionTimeout, RebalanceTimeout: 2 * c.cfg.SessionTimeout,
		JoinGroupBackoff: joinBackoff, Timeout: coordinatorTimeout,
	})
	if err != nil {
		return fmt.Errorf("join group %s: %w", c.cfg.Group, err)
	}
	var owned sync.WaitGroup
	c.generations(ctx, m, group, assignor, &owned)
	c.close(group, conns)
	owned.Wait()
	return nil
}

// generations takes each generation as it comes. Next is called at once and always: a member that does not would hold up
// the whole group.
func (c *Consumer) generations(ctx context.Context, m *membership, group *kafka.ConsumerGroup, assignor *assignor, owned *sync.WaitGroup) {
	var failing report
	var former *generation // for sabotage only
	for {
		gen, err := group.Next(ctx)
		switch {
		case ctx.Err() != nil && gen == nil:
			return
		case err != nil:
			if errors.Is(err, kafka.RebalanceInProgress) {
				c.state.leave("the group is rebalancing")
				continue
			}
			err = c.missingRight(c.client.Classify("join group "+c.cfg.Group, err))
			c.state.leave(err.Error())
			failing.failed(c.log, "cannot join the group", err)
			continue
		}
		failing.recovered(c.log, "joined the group again")
		led, partitions := assignor.take()
		g := newGeneration(m, gen, led, partitions)
		if sabotage.On(sabotage.StaleCommit) {
			late := former
			gen.Start(func(ctx context.Context) { late.commitLate(ctx, gen) })
			former = g
		}
		owned.Add(1)
		gen.Start(func(ctx context.Context) {
			defer owned.Done()
			g.run(ctx)
		})
	}
}

// close ends the generation, waits for its drain and leaves the group. A coordinator that does not answer, for example
// because a join is held up by another member, is cut off.
func (c *Consumer) close(group *kafka.ConsumerGroup, conns *conns) {
	cut := time.AfterFunc(c.cfg.DrainTimeout+returnWithin+2*time.Second, func() {
		c.log.Warn("the group's coordinator does not answer, leaving without it", slog.String("group", c.cfg.Group))
		conns.close()
	})
	defer cut.Stop()
	_ = group.Close() // always nil
}

// awaitTopic waits until the topic is known: joining a group for a missing one could create it by accident.
func (c *Consumer) awaitTopic(ctx context.Context) bool {
	var failing report
	wait := newBackOff()
	for {
		_, err := c.client.PartitionCount(ctx, c.cfg.Topic)
		switch {
		case ctx.Err() != nil:
			return false
		case err == nil:
			failing.recovered(c.log, "found the topic")
			return true
		}
		err = c.missingRight(err)
		c.state.leave(err.Error())
		failing.failed(c.log, "cannot start reading", err)
		if !sleep(ctx, wait.NextBackOff()) {
			return false
		}
	}
}

// missingRight names the right, of the two that reading takes, for want of which Kafka refuses something.
func (c *Consumer) missingRight(err error) error {
	if errors.Is(err, kafka.GroupAuthorizationFailed) {
		return broker.MissingRight("READ on group "+c.cfg.Group, err)
	}
	return broker.MissingRight("READ on topic "+c.cfg.Topic, err)
}

// newBackOff returns the waits between the attempts at whatever is broken: 200 ms to 10 s, for ever.
func newBackOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = 200*time.Millisecond, 10*time.Second
	return b
}

// sleep reports whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// report logs a lasting failure when it begins, when its cause changes and once a minute, and its end.
type report struct {
	since, logged time.Time
	attempts      int
	cause         string
}

func (r *report) failed(log *slog.Logger, message string, err error, attrs ...any) {
	now := time.Now()
	if r.attempts == 0 {
		r.since = now
	}
	r.attempts++
	cause, quiet := causeOf(err), logEvery
	if cause != r.cause {
		quiet = logChangedEvery
	}
	if r.attempts > 1 && now.Sub(r.logged) < quiet {
		return
	}
	r.logged, r.cause = now, cause
	//nolint:sloglint // the callers give literals
	log.Warn(message, append(attrs, slog.String("error", err.Error()), slog.Int("attempts", r.attempts), slog.Duration("for", now.Sub(r.since)))...)
}

// causeOf is an error's text without its digits: offsets, partitions and the ports of a connection are no other cause.
func causeOf(err error) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return -1
		}
		return c
	}, err.Error())
}

func (r *report) recovered(log *slog.Logger, message string, attrs ...any) {
	if r.attempts > 0 {
		//nolint:sloglint // the callers give literals
		log.Info(message, append(attrs, slog.Int("attempts", r.attempts), slog.Duration("after", time.Since(r.since)))...)
	}
	*r = report{}
}
