package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/schemas"
)

const (
	orderSchemaID  = 1
	resultSchemaID = 2
	// otherFeatures are features that upstream finishes for other models, and ours ignores: with them an event has 33
	// features and fields and some 300 bytes.
	otherFeatures = 22
	firstOrder    = 10_000 // ordergen's first order number
)

// orderSchema is the writers' schema of the events: that of riskscorer with otherFeatures more.
func orderSchema() (string, error) {
	var schema struct {
		Type      string           `json:"type"`
		Name      string           `json:"name"`
		Namespace string           `json:"namespace"`
		Fields    []map[string]any `json:"fields"`
	}
	if err := json.Unmarshal([]byte(schemas.OrderFeaturesSchema), &schema); err != nil {
		return "", fmt.Errorf("read the schema of orders: %w", err)
	}
	features := schema.Fields[len(schema.Fields)-1]["type"].(map[string]any)
	fields := features["fields"].([]any)
	for i := range otherFeatures {
		fields = append(fields, map[string]any{"name": fmt.Sprintf("feature_other_%02d", i), "type": []string{"null", "double"}, "default": nil})
	}
	features["fields"] = fields
	text, err := json.Marshal(schema)
	return string(text), err
}

// pins is the content of a file of pinned schemas: the schema registry is not part of what is measured.
func pins() ([]byte, error) {
	order, err := orderSchema()
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[int]json.RawMessage{orderSchemaID: json.RawMessage(order), resultSchemaID: json.RawMessage(schemas.RiskResultSchema)})
}

// appendEvent appends an order event in Confluent framing under orderSchema.
func appendEvent(dst []byte, o *ordergen.Order) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, 0), orderSchemaID)
	dst = appendString(dst, o.ID)
	dst = binary.AppendVarint(dst, o.EventVersion)
	dst = binary.AppendVarint(dst, o.OccurredAt.UnixMilli())
	for _, n := range o.Features.Numbers() {
		dst = appendNullable(dst, n.Value)
	}
	dst = appendString(append(dst, 2), o.Features.DeviceType)
	for i := range otherFeatures {
		dst = appendNullable(dst, o.Features.DiscountPct*float64(i+1))
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendVarint(dst, int64(len(s))), s...)
}

// appendNullable appends a union of null and double; NaN is null.
func appendNullable(dst []byte, x float64) []byte {
	if math.IsNaN(x) {
		return append(dst, 0)
	}
	return binary.LittleEndian.AppendUint64(append(dst, 2), math.Float64bits(x))
}

// source makes the events one after another, the same for every run.
type source struct{ orders *ordergen.Generator }

func newSource() *source { return &source{ordergen.New(ordergen.Config{Seed: 5})} }

func (s *source) next() *kgo.Record {
	o := s.orders.Next()
	return &kgo.Record{Key: []byte(o.ID), Value: appendEvent(make([]byte, 0, 320), &o)}
}

// fill writes n events to a topic, to its partitions in turn: by their keys, as the results are written, all records of a
// batch would go on to one partition.
func fill(ctx context.Context, broker, topic string, n int) error {
	client, err := newClient(broker, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		return err
	}
	defer client.Close()
	events, failed := newSource(), make(chan error, 1)
	for range n {
		client.Produce(ctx, events.next(), func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return fmt.Errorf("fill %s: %w", topic, err)
	}
	select {
	case err := <-failed:
		return fmt.Errorf("fill %s: %w", topic, err)
	default:
		return nil
	}
}

// newClient returns a client that sends at once and compresses nothing, so that every contender reads the same batches.
func newClient(broker string, options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(broker), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(1 << 19), kgo.MetadataMinAge(100 * time.Millisecond),
	}, options...)...)
}
