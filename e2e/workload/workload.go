// Package workload provides the seeded input of a run: good orders in Avro and JSON, broken ones of every kind, tombstones,
// and for each record what must become of it.
package workload

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/ordergen"
)

// The shares of a workload.
const (
	brokenShare    = 0.005
	tombstoneShare = 0.0005
	jsonShare      = 0.25 // of good orders; the others are Avro
	undatedShare   = 0.1  // of JSON orders: occurred_at is optional there
	nullKeyShare   = 0.03
	headersShare   = 0.05
	againShare     = 0.003 // of good orders: upstream sends the same event a second time
	correctedShare = 0.01  // of good orders: upstream corrects the features of the order before
)

// Record is one record to produce. Its source is known once the broker has acknowledged it.
type Record struct {
	verify.Input
	JSON []byte // the order event in JSON; nil unless Want is verify.Result
}

// Generator makes records one after another. It is not safe for concurrent use.
type Generator struct {
	orders *ordergen.Generator
	random *rand.Rand
	codec  codec
	broken []breaker       // what is left of a round through all kinds
	again  *Record         // the next record, if it is to be a repetition
	last   *ordergen.Order // the last good order
}

// New returns a Generator whose records are the same for the same seed. schema is that of order events, registered
// under schemaID.
func New(seed uint64, schemaID int, schema *avro.Schema) *Generator {
	return &Generator{
		orders: ordergen.New(ordergen.Config{Seed: seed}),
		random: rand.New(rand.NewPCG(seed, 0xe2e)), //nolint:gosec // the same seed must give the same run
		codec:  codec{id: schemaID, schema: schema},
	}
}

// Next returns the next record.
func (g *Generator) Next() (Record, error) {
	if again := g.again; again != nil {
		g.again = nil
		return *again, nil
	}
	var r Record
	var err error
	switch share := g.random.Float64(); {
	case share < tombstoneShare:
		r = Record{Input: verify.Input{Kind: "tombstone", Key: []byte(g.orders.Next().ID), Want: verify.Skipped}}
	case share < tombstoneShare+brokenShare:
		r, err = g.nextBroken()
	default:
		r, err = g.nextGood()
	}
	if err != nil {
		return Record{}, fmt.Errorf("make a record (%s): %w", r.Kind, err)
	}
	if g.random.Float64() < headersShare {
		r.Headers = g.headers()
	}
	if r.Want == verify.Result && g.random.Float64() < againShare {
		again := r
		g.again = &again
	}
	return r, nil
}

func (g *Generator) nextGood() (Record, error) {
	order := g.nextOrder()
	r := Record{
		Input: verify.Input{Kind: "Avro order", Key: g.key(order.ID), Want: verify.Result, OccurredAt: order.OccurredAt},
		JSON:  order.AppendJSON(nil),
	}
	if g.random.Float64() >= jsonShare {
		var err error
		r.Value, err = g.codec.encode(event(order))
		return r, err
	}
	r.Kind = "JSON order"
	if g.random.Float64() < undatedShare {
		r.JSON, r.OccurredAt = undated(order, r.JSON), time.Time{}
	}
	r.Value = r.JSON
	return r, nil
}

// nextOrder is a new order, or the one before with a higher version and other features.
func (g *Generator) nextOrder() ordergen.Order {
	if last := g.last; last != nil && g.random.Float64() < correctedShare {
		g.last = nil
		last.EventVersion++
		last.Features.DiscountPct = 1 - last.Features.DiscountPct
		return *last
	}
	order := g.orders.Next()
	g.last = &order
	return order
}

// undated removes the time of an event's text.
func undated(order ordergen.Order, text []byte) []byte {
	field := `"occurred_at":"` + order.OccurredAt.Format("2006-01-02T15:04:05.000Z07:00") + `",`
	return bytes.Replace(text, []byte(field), nil, 1)
}

// nextBroken goes through all kinds in a random order before it repeats one.
func (g *Generator) nextBroken() (Record, error) {
	if len(g.broken) == 0 {
		g.broken = breakers()
		g.random.Shuffle(len(g.broken), func(i, j int) { g.broken[i], g.broken[j] = g.broken[j], g.broken[i] })
	}
	b := g.broken[0]
	g.broken = g.broken[1:]
	order := g.orders.Next()
	r := Record{Input: verify.Input{Kind: b.kind, Want: b.class, Key: []byte(order.ID)}}
	err := b.apply(&r, order, &g.codec)
	return r, err
}

// key is the order id or, for some, null.
func (g *Generator) key(id string) []byte {
	if g.random.Float64() < nullKeyShare {
		return nil
	}
	return []byte(id)
}

// headers are a trace, and headers of upstream that mean nothing here: two of one name, bytes that are no text, null.
func (g *Generator) headers() []kgo.RecordHeader {
	trace := fmt.Sprintf("00-%016x%016x-%016x-01", g.random.Uint64(), g.random.Uint64(), g.random.Uint64())
	return []kgo.RecordHeader{
		{Key: "traceparent", Value: []byte(trace)},
		{Key: "upstream", Value: []byte{0xff, 0, 0xfe}},
		{Key: "upstream", Value: []byte("twice")},
		{Key: "nothing"},
	}
}

// codec writes Avro with Confluent framing.
type codec struct {
	id     int
	schema *avro.Schema
}

func (c *codec) encode(event map[string]any) ([]byte, error) {
	framed, err := new(sr.ConfluentHeader).AppendEncode(nil, c.id, nil)
	if err != nil {
		return nil, err
	}
	return c.schema.AppendEncode(framed, event)
}

// event is an order as the fields of its Avro record.
func event(o ordergen.Order) map[string]any {
	features := map[string]any{ordergen.DeviceTypeName: o.Features.DeviceType}
	for _, n := range o.Features.Numbers() {
		if math.IsNaN(n.Value) {
			features[n.Name] = nil
		} else {
			features[n.Name] = n.Value
		}
	}
	return map[string]any{
		"order_id": o.ID, "event_version": o.EventVersion, "occurred_at": o.OccurredAt, "features": features,
	}
}
