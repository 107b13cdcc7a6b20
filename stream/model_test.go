package stream_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/stream"
)

// replaceable is a model that a test replaces: the same scorer, whose results name another version.
type replaceable struct{ current atomic.Pointer[stream.Model] }

func (r *replaceable) StreamModel() *stream.Model { return r.current.Load() }

func (r *replaceable) replace(s *setup, version string) {
	encoder := schemas.NewJSONResults(schemas.Model{Version: version, Digest: s.scorer.Digest().String(), Engine: s.scorer.EngineID()})
	r.current.Store(&stream.Model{
		Scorer: s.scorer, Decoder: schemas.NewDecoder(s.scorer.Contract(), s.source, schemas.RefuseExtra, slog.New(slog.DiscardHandler)),
		Results: func(context.Context) (*schemas.Results, error) { return encoder, nil },
	})
}

// A batch that may be published in part keeps its model until it is acknowledged: the same batch again is the same
// bytes. Whatever comes after it, or instead of it, is decided by the model that serves then.
func TestAModelReplacedBetweenTriesDoesNotChangeABatch(t *testing.T) {
	s, models := newSetup(t), new(replaceable)
	models.replace(s, "one")
	var offered [][]byte
	down := errors.New("no leader")
	published := &topics{fail: func(records []broker.Record) error {
		offered = append(offered, bytes.Clone(records[0].Value))
		return down
	}}
	worker := stream.New(config, models, slog.New(slog.DiscardHandler), prometheus.NewRegistry()).Worker(published)
	batch := (&events{orders: ordergen.New(ordergen.Config{Seed: 110})}).batch(20, none)
	names := func(value []byte) string {
		for _, version := range []string{"one", "two", "three"} {
			if bytes.Contains(value, []byte(`"model_version":"`+version+`"`)) {
				return version
			}
		}
		return "none"
	}

	for _, version := range []string{"one", "two", "three"} {
		models.replace(s, version)
		if err := worker.Handle(t.Context(), batch[:10]); !errors.Is(err, down) {
			t.Fatalf("error is %v", err)
		}
	}
	for i, value := range offered {
		if !bytes.Equal(value, offered[0]) || names(value) != "one" {
			t.Errorf("try %d: %s, the first was %s", i, value, offered[0])
		}
	}
	offered = nil
	if err := worker.Handle(t.Context(), batch[:9]); !errors.Is(err, down) || names(offered[0]) != "three" {
		t.Errorf("another batch is of model %s: %v", names(offered[0]), err)
	}
	published.fail = nil
	models.replace(s, "two")
	for i, want := range []string{"three", "two", "two"} { // the batch that was begun, and two later
		published.records = nil
		records := [][]broker.Record{batch[:9], batch[:9], batch[9:]}[i]
		if err := worker.Handle(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		for _, r := range published.records {
			if names(r.Value) != want {
				t.Errorf("batch %d: %s, want model %s", i, r.Value, want)
			}
		}
	}
}

// A batch that its model's contract refused, and that was never offered to the publisher, is not bound to that model.
func TestARefusingModelCanBeReplaced(t *testing.T) {
	c := config
	c.RejectShare = 0.01
	s, models := newSetup(t), new(replaceable)
	models.replace(s, "one")
	published := &topics{}
	worker := stream.New(c, models, slog.New(slog.DiscardHandler), prometheus.NewRegistry()).Worker(published)
	bad := func(int) (ordergen.Break, bool) { return ordergen.PercentDiscount, true }
	batch := (&events{orders: ordergen.New(ordergen.Config{Seed: 111})}).batch(20, bad)
	if _, refused := errors.AsType[*stream.ShareError](worker.Handle(t.Context(), batch)); !refused || len(published.records) > 0 {
		t.Fatal("the batch is not refused")
	}
	models.replace(s, "two")
	for i := range batch {
		o := ordergen.New(ordergen.Config{Seed: 112}).Next()
		batch[i].Key, batch[i].Value = nil, o.AppendJSON(nil)
	}
	if err := worker.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(published.records[0].Value, []byte(`"model_version":"two"`)) {
		t.Errorf("the replaced model still decides: %s", published.records[0].Value)
	}
}
