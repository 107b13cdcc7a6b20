package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/client"
)

// decision is what the checkout goes on with, and where it came from: stream, score or none.
type decision struct{ from, band, predictionID string }

// none is no decision: the checkout goes on as if riskscorer did not exist.
var none = decision{"none", "-", "-"}

type checkout struct {
	orders      string
	kafka       *kgo.Client
	results     *listener
	score       *client.Client
	patience    time.Duration // for the stream alone
	deadline    time.Duration // for all of it
	unpublished atomic.Int64
}

// decide publishes the order and returns the first decision that comes, or none at the deadline. It makes no difference
// which one comes first: both doors make the same decision, with the same prediction id.
func (c *checkout) decide(ctx context.Context, order client.Order, event []byte) decision {
	var asking sync.WaitGroup
	defer asking.Wait() // which the cancel below makes short
	ctx, cancel := context.WithTimeout(ctx, c.deadline)
	defer cancel()
	result, forget := c.results.expect(order.OrderID, order.EventVersion)
	defer forget()
	c.publish(ctx, order.OrderID, event)

	patience := time.NewTimer(c.patience)
	defer patience.Stop()
	select {
	case d := <-result:
		return d
	case <-patience.C:
	case <-ctx.Done():
		return none
	}

	scored := make(chan decision, 1)
	asking.Go(func() { scored <- c.ask(ctx, order) })
	select {
	case d := <-result:
		return d
	case d := <-scored:
		return d
	}
}

// publish hands the event to the Kafka client, which goes on trying when the customer is served already: the results are
// for others, too. It never waits: with Kafka away for long and the buffer full, the order is counted as unpublished.
func (c *checkout) publish(ctx context.Context, orderID string, event []byte) {
	record := &kgo.Record{Topic: c.orders, Key: []byte(orderID), Value: event}
	c.kafka.TryProduce(context.WithoutCancel(ctx), record, func(_ *kgo.Record, err error) {
		if err != nil {
			c.unpublished.Add(1)
			fmt.Fprintf(os.Stderr, "decide: publish %q: %v\n", orderID, err)
		}
	})
}

func (c *checkout) ask(ctx context.Context, order client.Order) decision {
	d, err := c.score.Score(ctx, order)
	switch {
	case errors.Is(err, context.Canceled): // the stream's result came meanwhile
		return none
	case err != nil:
		// A *client.Problem of 422 is a mistake of ours, and worth an alert; everything else passes.
		fmt.Fprintf(os.Stderr, "decide: score %q: %v\n", order.OrderID, err)
		return none
	}
	return decision{"score", string(d.RiskBand), d.PredictionID}
}
