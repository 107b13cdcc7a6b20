package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/ordergen"
)

func newGenerateCommand() *cobra.Command {
	var (
		orders   int
		seed     uint64
		outcomes bool
		output   string
		publish  bool
		rate     float64
	)
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Write seeded, believable orders as JSON lines",
		Long: `Write seeded, believable orders as JSON lines, one order event a line, as the stream and /score take them.
With --outcomes a line is {"order": EVENT, "regret": 0 or 1}: the training data of the demo model.
The same seed gives the same bytes on every machine.
With --publish they go to Kafka instead, as JSON events at --rate a second; the connection comes from the service's own
environment variables (KAFKA_BROKERS, ORDERS_TOPIC, ...), and --orders 0 goes on until Ctrl-C.`,
		Example: "  riskctl generate --orders 1000 --seed 7 --output orders.jsonl\n" +
			"  riskctl generate --orders 80000 --outcomes --output training.jsonl\n" +
			"  KAFKA_BROKERS=localhost:9092 riskctl generate --publish --rate 50 --orders 0",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if orders < 0 {
				return usage(errors.New("--orders must not be negative"))
			}
			if publish {
				if !(rate > 0) || outcomes {
					return usage(errors.New("--publish needs a --rate above 0, and no --outcomes: no event tells its outcome"))
				}
				return onKafka(cmd.Context(), func(ctx context.Context, c *connection) error {
					return publishOrders(ctx, cmd, c, ordergen.New(ordergen.Config{Seed: seed}), orders, rate)
				})
			}
			write := func(w io.Writer) error {
				return writeOrders(cmd.Context(), w, ordergen.New(ordergen.Config{Seed: seed}), orders, outcomes)
			}
			return dependency(writeOutput(cmd, output, write))
		},
	}
	cmd.Flags().IntVar(&orders, "orders", 1000, "number of orders")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of the world")
	cmd.Flags().BoolVar(&outcomes, "outcomes", false, "add whether the customer regretted the order")
	cmd.Flags().StringVar(&output, "output", "-", "file to write, - for standard output")
	cmd.Flags().BoolVar(&publish, "publish", false, "publish to Kafka instead of writing")
	cmd.Flags().Float64Var(&rate, "rate", 50, "orders a second, with --publish")
	return cmd
}

// cancelCheckEvery is how many orders are written between two looks at the context.
const cancelCheckEvery = 1024

func writeOrders(ctx context.Context, w io.Writer, g *ordergen.Generator, orders int, outcomes bool) error {
	buffered := bufio.NewWriterSize(w, 1<<16)
	var line []byte
	for i := range orders {
		if i%cancelCheckEvery == 0 && ctx.Err() != nil {
			return fmt.Errorf("generate: %w", context.Cause(ctx))
		}
		line = appendLine(line[:0], g.Next(), outcomes)
		if _, err := buffered.Write(line); err != nil {
			return fmt.Errorf("generate: write: %w", err)
		}
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("generate: write: %w", err)
	}
	return nil
}

func appendLine(dst []byte, o ordergen.Order, outcomes bool) []byte {
	if !outcomes {
		return append(o.AppendJSON(dst), '\n')
	}
	dst = append(dst, `{"order":`...)
	dst = o.AppendJSON(dst)
	regret := byte('0')
	if o.Regret {
		regret = '1'
	}
	dst = append(dst, `,"regret":`...)
	return append(dst, regret, '}', '\n')
}

// writeFile creates the file, has it written, and reports a failed close, which is where a full disk may first show.
func writeFile(name string, write func(io.Writer) error) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("create output: %w", err)
	}
	defer func() {
		if closeErr := f.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close output: %w", closeErr)
		}
	}()
	return write(f)
}
