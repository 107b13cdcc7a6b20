// Command decide does what a checkout does whose customer waits: it publishes the order, waits a moment for the stream's
// result, asks POST /score when none has come, and goes on without either. It reads orders as ../main.go does, and prints
// for each where its decision came from:
//
//	ORD_12345 0 stream HIGH 18db5306398d31f42bb87f712e9ca8d0 12ms
//
//	KAFKA_BROKERS=127.0.0.1:9092 SCHEMA_REGISTRY_URL=http://127.0.0.1:8081 \
//		go run ./checkout/decide --url http://127.0.0.1:8000 < checkout/orders.jsonl
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/client"
	"github.com/trendbuy/riskscorer/examples/results"
)

// customers is how many orders are decided at the same time.
const customers = 64

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "decide:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("decide", flag.ContinueOnError)
	url := flags.String("url", "http://127.0.0.1:8000", "scoring door of riskscorer")
	c := checkout{}
	flags.StringVar(&c.orders, "orders", "order-features", "topic of orders")
	topic := flags.String("results", "risk-results", "topic of results")
	flags.DurationVar(&c.patience, "wait", 50*time.Millisecond, "how long to wait for the stream")
	flags.DurationVar(&c.deadline, "within", 250*time.Millisecond, "how long the customer waits at most")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if c.score, err = client.New(client.Config{URL: *url, Timeout: c.deadline}); err != nil {
		return err
	}
	defer c.score.Close()
	decoder, err := results.NewDecoder(os.Getenv("SCHEMA_REGISTRY_URL"))
	if err != nil {
		return err
	}
	brokers := kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA_BROKERS"), ",")...)
	if c.results, err = listen(ctx, decoder, *topic, brokers); err != nil {
		return err
	}
	defer c.results.close()
	c.kafka, err = kgo.NewClient(brokers, kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.RecordDeliveryTimeout(time.Minute))
	if err != nil {
		return err
	}
	defer c.kafka.Close()
	if err := c.serve(ctx, in, out); err != nil {
		return err
	}
	// No customer waits any more, and orders that are not yet acknowledged are still to be published.
	if err := c.kafka.Flush(ctx); err != nil {
		return err
	}
	if n := c.unpublished.Load(); n > 0 {
		return fmt.Errorf("%d orders were not published", n)
	}
	return nil
}

// serve decides order after order, many at a time, and prints the outcomes as they come.
func (c *checkout) serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var mu sync.Mutex
	var waiting sync.WaitGroup
	defer waiting.Wait()
	places := make(chan struct{}, customers)
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		event := []byte(lines.Text()) // a copy that the Kafka client may keep
		var order client.Order
		if err := json.Unmarshal(event, &order); err != nil {
			return fmt.Errorf("order %d: %w", n, err)
		}
		places <- struct{}{}
		waiting.Go(func() {
			defer func() { <-places }()
			begin := time.Now()
			d := c.decide(ctx, order, event)
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(out, "%s %d %s %s %s %v\n", order.OrderID, order.EventVersion, d.from, d.band, d.predictionID,
				time.Since(begin).Round(time.Millisecond))
		})
	}
	return lines.Err()
}
