// Command checkout publishes orders as the checkout pipeline does: keyed by order_id, acknowledged by all replicas, in
// Avro with Confluent framing or in JSON. It reads them from standard input, one JSON object a line: the body that
// POST /score takes, with event_version and occurred_at.
//
//	KAFKA_BROKERS=127.0.0.1:9092 SCHEMA_REGISTRY_URL=http://127.0.0.1:8081 go run ./checkout < checkout/orders.jsonl
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// order is an event. Raise event_version whenever the features of the same order change.
type order struct {
	OrderID      string         `json:"order_id" avro:"order_id"`
	EventVersion int64          `json:"event_version" avro:"event_version"`
	OccurredAt   time.Time      `json:"occurred_at" avro:"occurred_at"`
	Features     map[string]any `json:"features" avro:"features"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "checkout:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("checkout", flag.ContinueOnError)
	format := flags.String("format", "avro", "avro or json")
	topic := flags.String("topic", "order-features", "topic of orders")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var encode func(line []byte, o order) ([]byte, error)
	switch *format {
	case "json":
		encode = func(line []byte, _ order) ([]byte, error) { return line, nil }
	case "avro":
		var err error
		if encode, err = avroEncoder(ctx, *topic+"-value"); err != nil {
			return err
		}
	default:
		return fmt.Errorf("--format is %q, want avro or json", *format)
	}
	// The client's defaults are what an order needs: idempotent, acks of all replicas, the partitioner of the Java client.
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA_BROKERS"), ",")...),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.RecordDeliveryTimeout(time.Minute))
	if err != nil {
		return err
	}
	defer client.Close()
	sent, err := publish(ctx, client, *topic, in, encode)
	fmt.Fprintf(out, "%d orders published\n", sent)
	return err
}

// publish returns once all orders are acknowledged, with what failed.
func publish(ctx context.Context, client *kgo.Client, topic string, in io.Reader, encode func([]byte, order) ([]byte, error)) (int, error) {
	var mu sync.Mutex
	var failed error
	sent := 0
	for lines := bufio.NewScanner(in); lines.Scan(); {
		line := []byte(lines.Text()) // a copy that the client may keep
		var o order
		if err := json.Unmarshal(line, &o); err != nil {
			return sent, fmt.Errorf("order %d: %w", sent+1, err)
		}
		value, err := encode(line, o)
		if err != nil {
			return sent, fmt.Errorf("order %d: %w", sent+1, err)
		}
		client.Produce(ctx, &kgo.Record{Topic: topic, Key: []byte(o.OrderID), Value: value}, func(_ *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			if failed == nil {
				failed = err
			}
		})
		sent++
	}
	return sent, errors.Join(client.Flush(ctx), failed)
}

// avroEncoder writes with the latest schema that is registered for the subject.
func avroEncoder(ctx context.Context, subject string) (func([]byte, order) ([]byte, error), error) {
	registry, err := sr.NewClient(sr.URLs(os.Getenv("SCHEMA_REGISTRY_URL")))
	if err != nil {
		return nil, err
	}
	latest, err := registry.SchemaByVersion(ctx, subject, -1)
	if err != nil {
		return nil, fmt.Errorf("find the schema of %s: %w", subject, err)
	}
	schema, err := avro.Parse(latest.Schema.Schema)
	if err != nil {
		return nil, err
	}
	return func(_ []byte, o order) ([]byte, error) {
		framed, err := new(sr.ConfluentHeader).AppendEncode(nil, latest.ID, nil)
		if err != nil {
			return nil, err
		}
		return schema.AppendEncode(framed, o)
	}, nil
}
