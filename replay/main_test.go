package replay_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/producer"
	"github.com/trendbuy/riskscorer/replay"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	demo    = "../models/trendbuy_xgb_v1.0.0"
	orders  = "order-features"
	results = "risk-results"
	letters = "order-features-dead-letters"
)

// texts is a schema source.
type texts map[int]string

func (s texts) Schema(_ context.Context, id int) (string, error) {
	if text, ok := s[id]; ok {
		return text, nil
	}
	return "", fmt.Errorf("%w: no such id", schemas.ErrSchemaUnknown)
}

var source = texts{1: schemas.OrderFeaturesSchema, 2: schemas.RiskResultSchema}

func openScorer(t *testing.T, dir string) *scoring.Scorer {
	t.Helper()
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return scoring.New(b, b.Forest, scoring.NewMetrics(prometheus.NewRegistry()))
}

// edited returns a copy of the demo bundle with a manifest that says something else.
func edited(t *testing.T, old, with string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bundle")
	if err := os.CopyFS(dir, os.DirFS(demo)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "manifest.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(old)) {
		t.Fatalf("the manifest does not say %s", old)
	}
	if err := os.WriteFile(name, bytes.Replace(text, []byte(old), []byte(with), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.WriteSums(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// place is a broker with the three topics and two clients.
type place struct {
	cluster *kfake.Cluster
	witness *kgo.Client
	client  *broker.Client
}

func start(t *testing.T) *place {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, orders), kfake.SeedTopics(3, results), kfake.SeedTopics(1, letters))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	p := &place{cluster: cluster}
	if p.witness, err = kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.witness.Close)
	if p.client, err = broker.NewClient(broker.Config{Brokers: cluster.ListenAddrs()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.Close)
	return p
}

func (p *place) reader(limit int64) *replay.Reader {
	return replay.NewReader(p.client, replay.Topics{Orders: orders, Results: results}, schemas.NewViewer(source), limit)
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// wrote counts what a topic of orders was given.
type wrote struct {
	good, bad, tombstones int
	unkeyed               string // an order whose event has no key
	ids                   []string
}

// write writes n events of all kinds.
func (p *place) write(t *testing.T, n int) wrote {
	t.Helper()
	g := ordergen.New(ordergen.Config{Seed: 7})
	avro, err := schemas.NewAvroOrders(1)
	if err != nil {
		t.Fatal(err)
	}
	var w wrote
	var records []*kgo.Record
	for i := range n {
		o := g.Next()
		r := &kgo.Record{Topic: orders, Key: []byte(o.ID), Value: o.AppendJSON(nil)}
		switch {
		case i%23 == 0:
			broken := o.Broken(ordergen.Breaks()[i%len(ordergen.Breaks())])
			r.Key, r.Value = broken.Key, broken.Value
			w.bad++
		case i%97 == 0:
			r.Value = nil
			w.tombstones++
		default:
			w.good++
			w.ids = append(w.ids, o.ID)
			if i%3 == 0 {
				r.Value = avroEvent(t, avro, &o)
			}
			if i%31 == 0 {
				r.Key, w.unkeyed = nil, o.ID
			}
		}
		records = append(records, r)
	}
	if err := p.witness.ProduceSync(deadline(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return w
}

func avroEvent(t *testing.T, encoder *schemas.Orders, o *ordergen.Order) []byte {
	t.Helper()
	e := schemas.OrderEvent{OrderID: o.ID, Version: o.EventVersion, OccurredAt: o.OccurredAt, Features: []schemas.FeatureValue{{Name: ordergen.DeviceTypeName, Text: o.Features.DeviceType}}}
	for _, n := range o.Features.Numbers() {
		e.Features = append(e.Features, schemas.FeatureValue{Name: n.Name, Number: n.Value})
	}
	value, err := encoder.AppendTo(nil, &e)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// serve has a stream handle every event: the partitions in turn, and now and then a batch twice, as after a crash.
func (p *place) serve(t *testing.T, s *scoring.Scorer, avro bool) {
	t.Helper()
	name := schemas.Model{Version: s.Manifest().Version, Digest: s.Digest().String(), Engine: s.EngineID()}
	encoder := schemas.NewJSONResults(name)
	if avro {
		var err error
		if encoder, err = schemas.NewAvroResults(2, name); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	publisher := producer.New(p.client, producer.Config{MaxBatchBytes: 900 << 10, MaxInFlight: 4, StallAfter: 5 * time.Second}, log, prometheus.NewRegistry())
	pipeline := stream.New(stream.Config{ResultsTopic: results, DeadLettersTopic: letters}, &stream.Model{
		Scorer: s, Decoder: schemas.NewDecoder(s.Contract(), source, schemas.RefuseExtra, log),
		Results: func(context.Context) (*schemas.Results, error) { return encoder, nil },
	}, log, prometheus.NewRegistry())
	spans, err := p.client.Spans(deadline(t), orders, nil, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	workers := make([]*stream.Worker, len(spans))
	for i := range workers {
		workers[i] = pipeline.Worker(publisher.Worker())
	}
	random := rand.New(rand.NewPCG(1, 2))
	for left := true; left; {
		left = false
		for i := range spans {
			const batch = 37
			s := spans[i]
			if s.From >= s.To {
				continue
			}
			left = true
			s.To = min(s.To, s.From+batch)
			for reading := p.client.Read(s); reading.Offset() < s.To; {
				records, err := reading.Next(deadline(t))
				if err == nil {
					err = workers[i].Handle(deadline(t), records)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if random.IntN(5) > 0 { // else the same again
				spans[i].From = s.To
			}
		}
	}
}

// models opens the scorers by their digests.
func models(scorers ...*scoring.Scorer) *replay.Models {
	return replay.NewModels(func(digest, engine string) (*replay.Model, error) {
		for _, s := range scorers {
			if s.Digest().String() == digest && s.EngineID() == engine {
				return replay.NewModel(s, source, schemas.IgnoreExtra), nil
			}
		}
		return nil, errNotHere
	})
}

var errNotHere = fmt.Errorf("no such model")

// all returns every pair of the topic of orders.
func (p *place) all(t *testing.T) []replay.Pair {
	t.Helper()
	spans, err := p.client.Spans(deadline(t), orders, nil, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var out []replay.Pair
	for pairs, err := range p.reader(1e6).Pairs(deadline(t), spans) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pairs...)
	}
	return out
}
