// Command stream measures riskscorer's stream beside its peers on one real Kafka broker and writes
// docs/benchmarks-stream.md: how fast records pass through, what a scored event costs, and how soon a result is there.
// Every contender is a process of its own, and they take turns on the same topic.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/trendbuy/riskscorer/bench/report"
	"github.com/trendbuy/riskscorer/bench/stream/passthrough"
	"github.com/trendbuy/riskscorer/e2e/kafka"
)

const (
	ordersTopic = "orders"
	deadLetters = "dead-letters"
	// streamsBatch is the batch of Kafka Streams' second variant: as large as riskscorer's.
	streamsBatch = 500
)

// settings are the command's flags.
type settings struct {
	rounds, events, scored, seconds int
	only, out                       string
}

// chosen says whether a contender takes part.
func (s *settings) chosen(name string) bool {
	return s.only == "" || slices.Contains(strings.Split(s.only, ","), name)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := measureAll
	args := os.Args[1:]
	if len(args) > 0 {
		switch args[0] {
		case "copy":
			run, args = copyTopic, args[1:]
		case "stages":
			run, args = printStages, args[1:]
		}
	}
	if err := run(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, "bench/stream:", err)
		os.Exit(1)
	}
}

// copyTopic is a child's work: one of package passthrough's copiers.
func copyTopic(ctx context.Context, args []string) error {
	var job passthrough.Job
	flags := flag.NewFlagSet("copy", flag.ExitOnError)
	with := flags.String("with", "", "copier")
	flags.StringVar(&job.Broker, "broker", "", "host:port")
	flags.StringVar(&job.From, "from", "", "topic to read")
	flags.StringVar(&job.To, "to", "", "topic to write")
	flags.StringVar(&job.Group, "group", "", "consumer group")
	flags.IntVar(&job.Batch, "batch", 0, "records a handler gets at once")
	_ = flags.Parse(args) // it exits by itself
	job.Partitions = partitions
	return passthrough.Copiers()[*with](ctx, job)
}

func measureAll(ctx context.Context, args []string) error {
	var s settings
	flags := flag.NewFlagSet("bench-stream", flag.ExitOnError)
	flags.IntVar(&s.rounds, "rounds", 5, "turns of each contender, of which the medians are taken")
	flags.IntVar(&s.events, "events", 1_000_000, "events to pass through a turn; all others work on the first of them")
	flags.IntVar(&s.scored, "scored", 200_000, "events that riskscorer scores a turn; slower peers score fewer")
	flags.IntVar(&s.seconds, "seconds", 20, "seconds at 2,000 events a second, of which the second half counts")
	flags.StringVar(&s.only, "only", "", "names of contenders, with commas (default all)")
	flags.StringVar(&s.out, "docs", "docs", "folder of the page and the plot")
	_ = flags.Parse(args) // it exits by itself
	if s.rounds < 1 || s.scored < 1000 || s.events < s.scored || s.seconds < 2 {
		return errors.New("-rounds, -seconds and -scored must be positive, -events at least -scored")
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-stream-")
	if err != nil {
		return err
	}
	k := &kit{root: root, dir: dir, self: self, model: filepath.Join(root, "models/trendbuy_xgb_v1.0.0"), pins: filepath.Join(dir, "pins.json")}
	say("logs are in %s", dir)
	r := newResults(strings.Join(args, " "))
	if err := k.build(ctx, s.chosen); err != nil {
		return err
	}
	if r.stages, err = k.stages(ctx); err != nil {
		return err
	}
	node, err := kafka.Start(ctx, dir, filepath.Join(dir, "kafka.log"))
	if err != nil {
		return err
	}
	defer node.Kill()
	defer os.RemoveAll(filepath.Join(dir, "data"))
	client, err := newClient(node.Address())
	if err != nil {
		return err
	}
	defer client.Close()
	b := &bench{broker: node.Address(), admin: kadm.NewClient(client), dir: dir}
	if err := b.measure(ctx, k, &s, r); err != nil {
		return err
	}
	return r.write(s.out)
}

// measure fills the topic and lets the contenders take their turns.
func (b *bench) measure(ctx context.Context, k *kit, s *settings, r *results) error {
	if err := b.create(ctx, ordersTopic); err != nil {
		return err
	}
	say("writing %d events", s.events)
	if err := fill(ctx, b.broker, ordersTopic, s.events); err != nil {
		return err
	}
	for i, group := range [][]*contender{copiers(k, b, s), scorers(k, b, s)} {
		group = slices.DeleteFunc(group, func(c *contender) bool { return !s.chosen(c.name) })
		for round := range s.rounds {
			for _, c := range group {
				if r.failed(c) {
					continue
				}
				sample, err := b.throughput(ctx, c, ordersTopic, i == 1 && round == 0)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				say("round %d of %d: %s: %.0f events/s, %.2f us CPU an event, %.0f MB %v", round+1, s.rounds, c.label, sample.rate, sample.cpu, sample.rss, errText(err))
				r.add(c, sample, err)
			}
		}
	}
	for _, c := range scorers(k, b, s) {
		if !s.chosen(c.name) || r.failed(c) {
			continue
		}
		took, err := b.pace(ctx, c, paceRate, s.seconds)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.addPace(c, took, err)
		say("%s at %d/s: p50 %.1f ms, p99 %.1f ms %v", c.label, paceRate, report.Quantile(took, 0.5), report.Quantile(took, 0.99), errText(err))
	}
	if ends, err := b.admin.ListEndOffsets(ctx, deadLetters); err == nil {
		ends.Each(func(o kadm.ListedOffset) { r.deadLetters += max(0, o.Offset) })
	}
	return nil
}

func copiers(k *kit, b *bench, s *settings) []*contender {
	return []*contender{
		k.copier(b, "raw", "bare raw loop", "kafka-go's connections, own requests; no group protocol, no checks, no retries", s.events, 0),
		k.copier(b, "riskscorer", "riskscorer", "its consumer and producer with a handler that changes nothing, BATCH_MAX_RECORDS=4000", s.events, 4000),
		k.copier(b, "franz", "franz-go", "pipelined: up to 4 polls unacknowledged, the same acks, commits of what is acknowledged", s.events, 0),
	}
}

func scorers(k *kit, b *bench, s *settings) []*contender {
	return []*contender{
		k.scorer(b, "", "riskscorer", "the binary in role stream, default settings", s.scored),
		k.scorer(b, "purego", "riskscorer, pure Go", "the same, built with -tags purego", s.scored/2),
		k.python(b, s.scored/4),
		k.streams(b, "streams", "Kafka Streams, by record", 1, s.scored/2),
		k.streams(b, "streams-batch", "Kafka Streams, by batch", streamsBatch, s.scored),
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
