// Command intervention acts on risk results as an intervention engine must: once for each order and event version, the
// highest version wins. Its tables are an outbox: what carries the actions out reads them there. See rule.sql, and
// docs/consuming-results.md.
//
//	KAFKA_BROKERS=127.0.0.1:9092 SCHEMA_REGISTRY_URL=http://127.0.0.1:8081 go run ./intervention --db acts.db
package main

import (
	"context"
	"database/sql"
	_ "embed" // of rule.sql
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	_ "modernc.org/sqlite" // as the driver "sqlite"

	"github.com/trendbuy/riskscorer/examples/results"
)

//go:embed rule.sql
var rule string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "intervention:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("intervention", flag.ContinueOnError)
	file := flags.String("db", "interventions.db", "SQLite file of what was acted on")
	topic := flags.String("topic", "risk-results", "topic of results")
	group := flags.String("group", "intervention-engine", "consumer group")
	idle := flags.Duration("exit-when-idle", 0, "end after so long without a result (0: never)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	acts, err := open(ctx, *file)
	if err != nil {
		return err
	}
	defer acts.db.Close()
	decoder, err := results.NewDecoder(os.Getenv("SCHEMA_REGISTRY_URL"))
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA_BROKERS"), ",")...),
		kgo.ConsumerGroup(*group), kgo.ConsumeTopics(*topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// An offset is committed once its transaction is, and partitions are not given away in between.
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.SessionTimeout(10*time.Second),
	)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	return consume(ctx, client, decoder, acts, *idle, out)
}

// consume acts on batch after batch until ctx ends or nothing has come for as long as idle.
func consume(ctx context.Context, client *kgo.Client, d *results.Decoder, acts *outbox, idle time.Duration, out io.Writer) error {
	last := time.Now()
	for ctx.Err() == nil {
		poll, cancel := context.WithTimeout(ctx, time.Second)
		fetches := client.PollRecords(poll, 200)
		cancel()
		if idle > 0 && fetches.Empty() && time.Since(last) > idle {
			break
		}
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, context.DeadlineExceeded) && !errors.Is(e.Err, context.Canceled) {
				fmt.Fprintf(os.Stderr, "intervention: %s/%d: %v\n", e.Topic, e.Partition, e.Err)
			}
		}
		if fetches.NumRecords() > 0 {
			last = time.Now()
			batch := make([]results.Result, 0, fetches.NumRecords())
			for _, r := range fetches.Records() {
				decoded, err := d.Decode(ctx, r.Value)
				if err != nil {
					return fmt.Errorf("%s/%d at offset %d: %w", r.Topic, r.Partition, r.Offset, err)
				}
				batch = append(batch, decoded)
			}
			acted, err := acts.act(ctx, batch)
			if err != nil {
				return err
			}
			if err := client.CommitUncommittedOffsets(ctx); err != nil {
				return fmt.Errorf("commit offsets: %w", err)
			}
			fmt.Fprintf(out, "%d results, acted on %d\n", len(batch), acted)
		}
		client.AllowRebalance()
	}
	return nil
}

// outbox is the database, with the statements of rule.sql.
type outbox struct {
	db             *sql.DB
	record, decide string
}

func open(ctx context.Context, file string) (*outbox, error) {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	statements := strings.Split(rule, ";\n")
	for _, table := range statements[:2] {
		if _, err := db.ExecContext(ctx, table); err != nil {
			db.Close()
			return nil, err
		}
	}
	return &outbox{db: db, record: statements[2], decide: statements[3]}, nil
}

// act records all results and acts on those that the rule says, in one transaction, and returns how many those are.
func (o *outbox) act(ctx context.Context, batch []results.Result) (acted int64, err error) {
	tx, err := o.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // it does nothing after Commit
	for _, r := range batch {
		fields := []any{r.OrderID, r.EventVersion, r.PredictionID, r.ModelVersion, r.RiskBand, r.RiskScore}
		if _, err := tx.ExecContext(ctx, o.record, fields...); err != nil {
			return 0, err
		}
		done, err := tx.ExecContext(ctx, o.decide, fields[:5]...)
		if err != nil {
			return 0, err
		}
		rows, err := done.RowsAffected()
		if err != nil {
			return 0, err
		}
		acted += rows
	}
	return acted, tx.Commit()
}
