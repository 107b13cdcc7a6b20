package stream_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/stream"
)

// events makes batches of consecutive records.
type events struct {
	orders *ordergen.Generator
	next   int64
}

// batch returns n records, of which those that are broken return something are broken like it.
func (e *events) batch(n int, broken func(i int) (ordergen.Break, bool)) []broker.Record {
	out := make([]broker.Record, n)
	for i := range out {
		o := e.orders.Next()
		key, value := []byte(o.ID), o.AppendJSON(nil)
		if b, bad := broken(i); bad {
			event := o.Broken(b)
			key, value = event.Key, event.Value
		}
		out[i] = record(e.next, key, value)
		e.next++
	}
	return out
}

func all(b ordergen.Break) func(int) (ordergen.Break, bool) {
	return func(int) (ordergen.Break, bool) { return b, true }
}

func none(int) (ordergen.Break, bool) { return 0, false }

func withShare(share float64) stream.Config {
	c := config
	c.RejectShare = share
	return c
}

func TestABadDeploymentPausesBeforeItEmptiesTheTopicIntoDeadLetters(t *testing.T) {
	s := newSetupOf(t, withShare(0.5))
	e := &events{orders: ordergen.New(ordergen.Config{Seed: 20})}
	handle := func(batch []broker.Record) error { return s.worker.Handle(t.Context(), batch) }
	if err := errors.Join(handle(e.batch(400, none)), handle(e.batch(400, all(ordergen.PercentDiscount))), handle(e.batch(100, all(ordergen.PercentDiscount)))); err != nil {
		t.Fatal(err)
	}
	published := len(s.published.records)
	over := e.batch(100, func(i int) (ordergen.Break, bool) { return ordergen.NegativeVelocity, i == 99 })
	for range 3 { // the consumer tries again and again
		var share *stream.ShareError
		err := handle(over)
		if !errors.As(err, &share) || share.Class != schemas.RejectFeatureRange || share.Records != 501 || share.Offset != over[99].Offset {
			t.Fatalf("500 of 1,000 and one more: %v", err)
		}
		for _, want := range []string{"501 of the last 1000", "feature_range", "REJECT_SHARE=1", "feature_velocity_24h"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error does not say %q: %v", want, err)
			}
		}
		if len(s.published.records) != published {
			t.Fatal("something was published")
		}
	}
	// Another worker of the same process, as after a rebalance, knows of it too.
	if err := s.pipeline.Worker(s.published).Handle(t.Context(), over); err == nil {
		t.Error("a new worker let the batch through")
	}
	// Another partition is not concerned, nor is one whose records others handled in between.
	other := e.batch(10, all(ordergen.PercentDiscount))
	for i := range other {
		other[i].Partition = 4
	}
	if err := handle(other); err != nil {
		t.Errorf("another partition: %v", err)
	}
	e.next += 5000
	if err := handle(e.batch(10, all(ordergen.PercentDiscount))); err != nil {
		t.Errorf("5,000 records later: %v", err)
	}
}

func TestRejectShareIsOfOneContractClassAmongTheLastThousand(t *testing.T) {
	mixed := func(i int) (ordergen.Break, bool) {
		return []ordergen.Break{ordergen.PercentDiscount, ordergen.NullDiscount, ordergen.DeviceInCapitals}[i%3], true
	}
	for name, tt := range map[string]struct {
		share  float64
		broken func(int) (ordergen.Break, bool)
		want   bool // a pause
	}{
		"frames":            {0.5, all(ordergen.NotAnEvent), false},
		"syntax":            {0.5, all(ordergen.TruncatedJSON), false},
		"three classes":     {0.5, mixed, false},
		"a third each":      {0.3, mixed, true},
		"switched off":      {1, all(ordergen.NullDiscount), false},
		"half":              {0.5, func(i int) (ordergen.Break, bool) { return ordergen.NullDiscount, i%2 == 0 }, false},
		"a little over":     {0.5, func(i int) (ordergen.Break, bool) { return ordergen.NullDiscount, i%20 < 11 }, true},
		"seldom, for ever":  {0.05, func(i int) (ordergen.Break, bool) { return ordergen.NullDiscount, i%50 == 0 }, false},
		"no setting at all": {0, all(ordergen.NullDiscount), false},
	} {
		s := newSetupOf(t, withShare(tt.share))
		e := &events{orders: ordergen.New(ordergen.Config{Seed: 21})}
		var err error
		for range 10 {
			if err = s.worker.Handle(t.Context(), e.batch(300, tt.broken)); err != nil {
				break
			}
		}
		if paused := err != nil; paused != tt.want {
			t.Errorf("%s: paused %v, %v", name, paused, err)
		}
	}
}

func TestRejectShareIsChecked(t *testing.T) {
	for _, share := range []float64{-0.1, 0, 1.01} {
		if err := withShare(share).Validate(); err == nil || !strings.Contains(err.Error(), "REJECT_SHARE") {
			t.Errorf("%v: %v", share, err)
		}
	}
}

// A burst of poison costs about what the orders cost that it displaces, or less.
func TestPoisonKeepsThePace(t *testing.T) {
	s := newSetupOf(t, withShare(0.5))
	e := &events{orders: ordergen.New(ordergen.Config{Seed: 22})}
	measure := func(broken func(int) (ordergen.Break, bool)) time.Duration {
		best := time.Hour
		for range 5 {
			batch := e.batch(500, broken)
			s.published.records = nil
			begin := time.Now()
			if err := s.worker.Handle(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			best = min(best, time.Since(begin))
		}
		return best
	}
	sound := measure(none)
	for _, b := range []ordergen.Break{ordergen.NotAnEvent, ordergen.TruncatedJSON, ordergen.OtherKey} {
		if took := measure(all(b)); took > 3*sound {
			t.Errorf("%v: 500 records in %v, sound ones in %v", b, took, sound)
		}
	}
}
