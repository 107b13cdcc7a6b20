package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/producer"
)

// publishEvery is how often the orders that are due are published, together.
const publishEvery = 50 * time.Millisecond

// publishOrders publishes orders as JSON events to the topic of orders at a rate a second, until ctx ends or all are
// out; 0 orders is no end.
func publishOrders(ctx context.Context, cmd *cobra.Command, c *connection, g *ordergen.Generator, orders int, rate float64) error {
	worker := c.publisher(cmd)
	tick := time.NewTicker(publishEvery)
	defer tick.Stop()
	start, sent := time.Now(), 0
	for orders == 0 || sent < orders {
		select {
		case <-ctx.Done():
			return reportPublished(cmd, sent, start)
		case <-tick.C:
		}
		due := int(rate * time.Since(start).Seconds())
		if orders > 0 {
			due = min(due, orders)
		}
		var records []broker.Record
		for sent+len(records) < due {
			o := g.Next()
			records = append(records, broker.Record{Topic: c.OrdersTopic, Key: []byte(o.ID), Value: o.AppendJSON(nil)})
		}
		if err := publishAll(ctx, worker, records); err != nil {
			return dependency(err)
		}
		sent += len(records)
	}
	return reportPublished(cmd, sent, start)
}

// publishAll tries until the broker is there: a generator is started beside it, not after it.
func publishAll(ctx context.Context, worker *producer.Worker, records []broker.Record) error {
	for len(records) > 0 && ctx.Err() == nil {
		err := worker.Publish(ctx, records)
		if err == nil {
			return nil
		}
		if kind := broker.KindOf(err); kind != broker.KindUnreachable && kind != broker.KindTimeout && kind != broker.KindTopicMissing {
			return fmt.Errorf("publish orders: %w", err)
		}
	}
	return nil
}

func reportPublished(cmd *cobra.Command, sent int, start time.Time) error {
	fmt.Fprintf(cmd.ErrOrStderr(), "%d orders published in %.1f s\n", sent, time.Since(start).Seconds())
	return nil
}
