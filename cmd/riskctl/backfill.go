package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/producer"
	"github.com/trendbuy/riskscorer/replay"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/stream"
)

// backfillTries bounds the attempts at one batch; each has the producer's own patience.
const backfillTries = 12

// backfill publishes the results of events to another topic: through the stream's own worker, so that key, value and
// headers are those that the service would have written.
func (o *replayOptions) backfill(ctx context.Context, cmd *cobra.Command, c *connection, r *replay.Reader, s *scoring.Scorer) error {
	if o.to == c.OrdersTopic || o.to == c.Stream.DeadLettersTopic {
		return usage(fmt.Errorf("--to %s is no topic of results", o.to))
	}
	spans, err := o.events.spans(ctx, c)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	metrics := prometheus.NewRegistry()
	// Dead letters would go to the topic "", and are held back there.
	model := &stream.Model{Scorer: s, Decoder: schemas.NewDecoder(s.Contract(), c.schemas(), c.ExtraFeatures, log), Results: c.resultsFunc(s)}
	pipeline := stream.New(stream.Config{ResultsTopic: o.to}, model, log, metrics)
	worker := pipeline.Worker(resultsOnly{c.publisher(cmd)})
	defer worker.Close()
	err = publishResults(ctx, r, spans, worker)
	counts, gatherErr := backfilled(metrics)
	if printErr := printBackfill(cmd.OutOrStdout(), counts, o.to, o.asJSON); err == nil {
		err = dependency(errors.Join(gatherErr, printErr))
	}
	return err
}

// publishResults hands the events to the worker. An interrupted backfill is run again: its repetitions are identical.
func publishResults(ctx context.Context, r *replay.Reader, spans []broker.Span, worker *stream.Worker) error {
	for events, err := range r.Batches(ctx, spans) {
		if err != nil {
			return err
		}
		for try := 1; ; try++ {
			err := worker.Handle(ctx, events)
			if err == nil {
				break
			}
			if ctx.Err() != nil || try == backfillTries || !broker.KindOf(err).Passing() {
				next := &events[0]
				return fmt.Errorf("%w; published are the results of the events before %s/%d offset %d", err, next.Topic, next.Partition, next.Offset)
			}
		}
	}
	return nil
}

// resultsFunc returns the encoder that the service would use: RESULTS_FORMAT, by default Avro where there are schemas.
func (c *connection) resultsFunc(s *scoring.Scorer) stream.ResultsFunc {
	name := schemas.Model{Version: s.Manifest().Version, Digest: s.Digest().String(), Engine: s.EngineID()}
	var encoder *schemas.Results
	return func(ctx context.Context) (*schemas.Results, error) {
		if encoder != nil {
			return encoder, nil
		}
		if c.ResultsFormat == formatJSON || c.ResultsFormat == "" && c.registry == nil {
			encoder = schemas.NewJSONResults(name)
			return encoder, nil
		}
		// The schema's id stands in every value: it is that of the service's own results, whatever topic they go to.
		id, err := c.registry.Lookup(ctx, c.Stream.ResultsTopic+"-value", schemas.RiskResultSchema)
		if err != nil {
			return nil, err
		}
		encoder, err = schemas.NewAvroResults(id, name)
		return encoder, err
	}
}

// resultsOnly publishes results and holds dead letters back: a backfill says how many there are.
type resultsOnly struct{ worker *producer.Worker }

// Publish implements stream.Publisher.
func (p resultsOnly) Publish(ctx context.Context, records []broker.Record) error {
	var results []broker.Record
	var indexes []int
	for i := range records {
		if records[i].Topic != "" {
			results, indexes = append(results, records[i]), append(indexes, i)
		}
	}
	err := p.worker.Publish(ctx, results)
	if large, ok := errors.AsType[*producer.TooLargeError](err); ok {
		return &tooLargeResult{large, indexes[large.Index]}
	}
	return err
}

// tooLargeResult names the record by its index among results and dead letters.
type tooLargeResult struct {
	*producer.TooLargeError
	index int
}

// RecordTooLarge is what the stream asks for.
func (e *tooLargeResult) RecordTooLarge() int { return e.index }

// backfillCounts are what became of the events.
type backfillCounts struct {
	Results    map[string]int `json:"results"` // by risk band
	Refused    map[string]int `json:"refused"` // by reject class
	Tombstones int            `json:"tombstones"`
}

// backfilled reads the stream's own counts, which are of acknowledged records only.
func backfilled(metrics *prometheus.Registry) (backfillCounts, error) {
	counts := backfillCounts{Results: make(map[string]int), Refused: make(map[string]int)}
	families, err := metrics.Gather()
	if err != nil {
		return counts, fmt.Errorf("count the results: %w", err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			n := int(m.GetCounter().GetValue())
			switch {
			case n == 0:
			case f.GetName() == "riskscorer_stream_results_total":
				counts.Results[m.GetLabel()[0].GetValue()] = n
			case f.GetName() == "riskscorer_stream_dead_letters_total":
				counts.Refused[m.GetLabel()[0].GetValue()] = n
			case f.GetName() == "riskscorer_stream_tombstones_total":
				counts.Tombstones = n
			}
		}
	}
	return counts, nil
}

func printBackfill(w io.Writer, c backfillCounts, to string, asJSON bool) error {
	if asJSON {
		return printJSON(w, c)
	}
	sum := func(m map[string]int) (n int) {
		for _, k := range m {
			n += k
		}
		return n
	}
	fmt.Fprintf(w, "%d results published to %s, %d events refused, %d tombstones\n", sum(c.Results), to, sum(c.Refused), c.Tombstones)
	for _, band := range replay.Bands() {
		fmt.Fprintf(w, "  %-16s %d\n", band, c.Results[string(band)])
	}
	for _, class := range slices.Sorted(maps.Keys(c.Refused)) {
		if _, err := fmt.Fprintf(w, "  refused, %s: %d\n", class, c.Refused[class]); err != nil {
			return err
		}
	}
	return nil
}
