package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/schemas"
)

// brokenEvery is how often an order is broken on purpose, so that dead letters are seen.
const brokenEvery = 100

// generate publishes orders at the rate until ctx ends or the asked number is out, and returns when the broker has
// answered for each.
func (s *sandbox) generate(ctx context.Context) error {
	encoder, err := schemas.NewAvroOrders(ordersSchemaID)
	if err != nil {
		return err
	}
	orders := ordergen.New(ordergen.Config{Seed: s.options.seed})
	// Orders are due by the clock, not by the one before: a pause is caught up on.
	start := time.Now()
	interval := time.Duration(float64(time.Second) / s.options.rate)
	for n := 0; (s.options.orders == 0 || n < s.options.orders) && ctx.Err() == nil; n++ {
		due := start.Add(time.Duration(n) * interval)
		if wait := time.Until(due); wait > 0 {
			select {
			case <-ctx.Done():
				continue
			case <-time.After(wait):
			}
		}
		record, err := s.record(encoder, orders, n)
		if err != nil {
			return err
		}
		s.client.Produce(context.WithoutCancel(ctx), record, func(r *kgo.Record, err error) {
			if err != nil {
				s.tally.refused()
				return
			}
			s.tally.acknowledged(recordID{r.Partition, r.Offset}, due)
		})
	}
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	return s.client.Flush(flush)
}

// record makes the n-th record: an Avro order, or now and then a broken one in JSON.
func (s *sandbox) record(encoder *schemas.Orders, orders *ordergen.Generator, n int) (*kgo.Record, error) {
	if n%brokenEvery == brokenEvery-1 {
		broken := orders.NextBroken()
		return &kgo.Record{Topic: s.config.Consumer.Topic, Key: broken.Key, Value: broken.Value}, nil
	}
	order := orders.Next()
	value, err := encoder.AppendTo(nil, event(&order))
	if err != nil {
		return nil, err
	}
	return &kgo.Record{Topic: s.config.Consumer.Topic, Key: []byte(order.ID), Value: value}, nil
}

// watch reads results and dead letters and counts them until ctx ends.
func (s *sandbox) watch(ctx context.Context) error {
	codec, err := goavro.NewCodec(schemas.RiskResultSchema)
	if err != nil {
		return err
	}
	for {
		fetches := s.client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		for _, f := range fetches.Errors() {
			return fmt.Errorf("read %s: %w", f.Topic, f.Err)
		}
		now := time.Now()
		for r := range fetches.RecordsAll() {
			id, o, err := s.outcome(codec, r, now)
			if err != nil {
				return err
			}
			s.tally.came(id, o)
		}
	}
}

// outcome reads a record's source from its headers, and its band or reject class.
func (s *sandbox) outcome(codec *goavro.Codec, r *kgo.Record, now time.Time) (recordID, outcome, error) {
	headers := map[string]string{}
	for _, h := range r.Headers {
		headers[h.Key] = string(h.Value)
	}
	o := outcome{at: now, deadLetter: headers[broker.HeaderRejectClass]}
	partition, offset := headers[broker.HeaderErrorPartition], headers[broker.HeaderErrorOffset]
	if r.Topic == s.config.Stream.ResultsTopic {
		partition, offset = headers[broker.HeaderSourcePartition], headers[broker.HeaderSourceOffset]
		_, body, err := new(sr.ConfluentHeader).DecodeID(r.Value)
		if err != nil {
			return recordID{}, o, err
		}
		native, _, err := codec.NativeFromBinary(body)
		if err != nil {
			return recordID{}, o, fmt.Errorf("decode a result: %w", err)
		}
		fields, _ := native.(map[string]any)
		o.band, _ = fields["risk_band"].(string)
	}
	p, err := strconv.ParseInt(partition, 10, 32)
	if err != nil {
		return recordID{}, o, fmt.Errorf("source partition: %w", err)
	}
	at, err := strconv.ParseInt(offset, 10, 64)
	if err != nil {
		return recordID{}, o, fmt.Errorf("source offset: %w", err)
	}
	return recordID{int32(p), at}, o, nil
}
