package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/schemas"
)

const (
	comparedResults = 1000
	frameBytes      = 5
)

// scores reads the score of each of the first results in a topic, by order id.
func (b *bench) scores(ctx context.Context, topic string) (map[string]float64, error) {
	schema, err := avro.Parse(schemas.RiskResultSchema)
	if err != nil {
		return nil, err
	}
	client, err := newClient(b.broker, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	all := make(map[string]float64, comparedResults)
	for len(all) < comparedResults {
		fetches := client.PollRecords(ctx, comparedResults)
		if err := errors.Join(ctx.Err(), fetches.Err()); err != nil {
			return nil, fmt.Errorf("read results: %w", err)
		}
		for _, r := range fetches.Records() {
			var value any
			if _, err := schema.Decode(r.Value[min(frameBytes, len(r.Value)):], &value); err != nil {
				return nil, fmt.Errorf("decode a result: %w", err)
			}
			result, _ := value.(map[string]any)
			order, _ := result["order_id"].(string)
			score, scored := result["risk_score"].(float64)
			if !scored {
				return nil, fmt.Errorf("the result of %q has no score", order)
			}
			all[order] = score
		}
	}
	return all, nil
}

// compare returns the largest difference of two contenders' scores of the same orders, NaN if there is no such order.
func compare(a, b map[string]float64) float64 {
	largest := math.NaN()
	for order, x := range a {
		if y, both := b[order]; both {
			if d := math.Abs(x - y); !(d <= largest) {
				largest = d
			}
		}
	}
	return largest
}
