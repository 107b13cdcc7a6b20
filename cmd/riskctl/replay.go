package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/replay"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/leaves"
)

// replayOptions are the flags of the command.
type replayOptions struct {
	events eventFlags
	store  string
	bundle string
	to     string
	rows   int
	asJSON bool
}

func newReplayCommand() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Decide past orders again: as recorded, or with another model",
		Long: `Decide past orders again. Without --bundle each event is decided by the model and the engine that its result names, and
is 'identical' if the result is the same byte for byte; else the fields that differ are listed, and the exit code is 1. The
model comes from the store of bundles by digest, --bundle-store or BUNDLE_STORE.
With --bundle the events are decided by that model instead, and changes of the risk band are counted. With --to as well its
results are published to a topic, as the service would have written them.
The events are one (--partition and --offset), those of orders (--order-id), or a range of a partition (--from, --end) or
of time (--since, --until). The first result that names an event is the one compared.`,
		Example: "  riskctl replay --partition 3 --offset 1742 --bundle-store /bundles\n" +
			"  riskctl replay --order-id ORD_12345 --since 24h\n" +
			"  riskctl replay --since 24h --bundle models/candidate\n" +
			"  riskctl replay --partition 3 --from 1000 --end 2000 --bundle models/candidate --to risk-results-candidate",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return onKafka(cmd.Context(), func(ctx context.Context, c *connection) error {
				if o.events.topic != "" {
					c.OrdersTopic = o.events.topic
				}
				if o.store != "" {
					c.BundleStore = o.store
				}
				return o.run(ctx, cmd, c)
			})
		},
	}
	o.events.register(cmd)
	cmd.Flags().StringVar(&o.store, "bundle-store", "", "directory of bundles by digest, by default BUNDLE_STORE")
	cmd.Flags().StringVar(&o.bundle, "bundle", "", "decide with this bundle, directory or tar, instead of the recorded model")
	cmd.Flags().StringVar(&o.to, "to", "", "publish the results of --bundle to this topic")
	cmd.Flags().IntVar(&o.rows, "limit", 20, "of a range, at most so many rows that differ are printed")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object for every event, and one of the sums")
	return cmd
}

func (o *replayOptions) validate() error {
	if err := o.events.validate(); err != nil {
		return err
	}
	switch {
	case o.rows < 0:
		return usage(errors.New("--limit must not be negative"))
	case o.to != "" && o.bundle == "":
		return usage(errors.New("--to needs --bundle: the model whose results are published"))
	case o.to != "" && len(o.events.orders) > 0:
		return usage(errors.New("--to takes an offset or a range, not --order-id"))
	}
	return nil
}

func (o *replayOptions) run(ctx context.Context, cmd *cobra.Command, c *connection) error {
	var p progress
	defer p.finish()
	reader := replay.NewReader(c.client, replay.Topics{Orders: c.OrdersTopic, Results: c.Stream.ResultsTopic}, schemas.NewViewer(c.schemas()), o.events.search)
	reader.Progress = p.update
	if o.bundle == "" {
		if c.BundleStore == "" {
			return usage(errors.New("--bundle-store or BUNDLE_STORE is needed: the directory of the bundles that results name; or --bundle for another model"))
		}
		return o.verify(ctx, cmd, c, reader)
	}
	b, err := openBundle(cmd, o.bundle, c.PublicKeys) //nolint:contextcheck // the command's context is ctx
	if err != nil {
		return err
	}
	scorer := newScorer(b, b.Forest)
	if o.to != "" {
		return o.backfill(ctx, cmd, c, reader, scorer)
	}
	return o.compare(ctx, cmd.OutOrStdout(), c, reader, replay.NewModel(scorer, c.schemas(), c.ExtraFeatures))
}

func newScorer(b *bundle.Bundle, engine scoring.Engine) *scoring.Scorer {
	return scoring.New(b, engine, scoring.NewMetrics(prometheus.NewRegistry()))
}

// openRecorded opens the model that a result names. Features that the model does not know are ignored: an event that has
// a result was taken, whatever EXTRA_FEATURES was then.
func (c *connection) openRecorded(cmd *cobra.Command, digest, engine string) (*replay.Model, error) {
	if engine != forest.EngineID && engine != leaves.EngineID {
		return nil, fmt.Errorf("it was computed by engine %s, and this riskctl has %s and %s, whose numbers differ: use a release of riskctl that has %s",
			engine, forest.EngineID, leaves.EngineID, engine)
	}
	options, err := modelOptions(cmd)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Store(c.BundleStore).Open(digest, bundle.Options{PublicKeys: c.PublicKeys, Model: options})
	if err != nil {
		return nil, refusedMemory(err)
	}
	if engine == forest.EngineID {
		return replay.NewModel(newScorer(b, b.Forest), c.schemas(), schemas.IgnoreExtra), nil
	}
	second, err := leaves.New(b.Forest)
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", engine, err)
	}
	return replay.NewModel(newScorer(b, second), c.schemas(), schemas.IgnoreExtra), nil
}

// eventFlags choose events.
type eventFlags struct {
	topic        string
	partitions   []int
	offset       int64
	orders       []string
	from, end    int64
	since, until string
	search       int64
}

const unset = -1

func (f *eventFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.topic, "topic", "", "topic of orders, by default ORDERS_TOPIC")
	cmd.Flags().IntSliceVar(&f.partitions, "partition", nil, "partition of the topic of orders; with --since or --until repeatable")
	cmd.Flags().Int64Var(&f.offset, "offset", unset, "the event at this offset of --partition")
	cmd.Flags().StringArrayVar(&f.orders, "order-id", nil, "the events of this order (repeatable)")
	cmd.Flags().Int64Var(&f.from, "from", unset, "events of --partition from this offset on")
	cmd.Flags().Int64Var(&f.end, "end", unset, "events of --partition before this offset")
	cmd.Flags().StringVar(&f.since, "since", "", "events since then: RFC 3339, a date, or a duration before now like 24h; also bounds the search for --order-id")
	cmd.Flags().StringVar(&f.until, "until", "", "events before then")
	cmd.Flags().Int64Var(&f.search, "search-limit", 50_000_000, "records that the search for one order or result may read")
}

func (f *eventFlags) validate() error {
	byOffsets, byTime := f.from != unset || f.end != unset, f.since != "" || f.until != ""
	switch {
	case f.search < 1:
		return usage(errors.New("--search-limit must be above 0"))
	case len(f.orders) > 0:
		if f.offset != unset || byOffsets || f.until != "" || len(f.partitions) > 0 {
			return usage(errors.New("--order-id goes with --since alone"))
		}
	case f.offset != unset:
		if byOffsets || byTime || len(f.partitions) != 1 {
			return usage(errors.New("--offset goes with one --partition and nothing else that chooses events"))
		}
	case byOffsets:
		if byTime || len(f.partitions) != 1 || f.end != unset && f.end < f.from {
			return usage(errors.New("--from and --end go with one --partition, and in this order"))
		}
	case !byTime:
		return usage(errors.New("choose events: --partition and --offset, --order-id, --partition with --from and --end, or --since and --until"))
	}
	return nil
}

// ranged says whether the events are a range, and not single ones.
func (f *eventFlags) ranged() bool { return len(f.orders) == 0 && f.offset == unset }

// spans are the offsets chosen.
func (f *eventFlags) spans(ctx context.Context, c *connection) ([]broker.Span, error) {
	if err := c.checkPartitions(ctx, c.OrdersTopic, f.partitions); err != nil {
		return nil, err
	}
	since, err := parseTime("since", f.since)
	if err != nil {
		return nil, err
	}
	until, err := parseTime("until", f.until)
	if err != nil {
		return nil, err
	}
	spans, err := c.client.Spans(ctx, c.OrdersTopic, f.partitions, since)
	if err != nil {
		return nil, err
	}
	if f.until != "" {
		ends, err := c.client.Spans(ctx, c.OrdersTopic, f.partitions, until)
		if err != nil {
			return nil, err
		}
		for i := range spans {
			spans[i].To = max(spans[i].From, ends[i].From)
		}
	}
	for i := range spans {
		s := &spans[i]
		if f.offset != unset {
			f.from, f.end = f.offset, f.offset+1
		}
		if f.from != unset && (f.from < s.From || f.from > s.To) {
			return nil, notHeld(fmt.Errorf("%s/%d holds the offsets [%d, %d), not %d", s.Topic, s.Partition, s.From, s.To, f.from))
		}
		s.From = max(s.From, f.from)
		if f.end != unset {
			s.To = max(s.From, min(s.To, f.end))
		}
	}
	return spans, nil
}

// pairs returns the events chosen with their results. Nothing where one is named is an error that says so.
func (f *eventFlags) pairs(ctx context.Context, c *connection, r *replay.Reader) iter.Seq2[[]replay.Pair, error] {
	return func(yield func([]replay.Pair, error) bool) {
		switch {
		case len(f.orders) > 0:
			f.ofOrders(ctx, r, yield)
		case f.offset != unset:
			if err := c.checkPartitions(ctx, c.OrdersTopic, f.partitions); err != nil {
				yield(nil, err)
				return
			}
			pair, err := r.Event(ctx, f.partitions[0], f.offset)
			if errors.Is(err, broker.ErrNoRecord) {
				err = notHeld(err)
			}
			yield([]replay.Pair{pair}, err)
		default:
			spans, err := f.spans(ctx, c)
			if err != nil {
				yield(nil, err)
				return
			}
			for pairs, err := range r.Pairs(ctx, spans) {
				if !yield(pairs, err) {
					return
				}
			}
		}
	}
}

func (f *eventFlags) ofOrders(ctx context.Context, r *replay.Reader, yield func([]replay.Pair, error) bool) {
	since, err := parseTime("since", f.since)
	if err != nil {
		yield(nil, err)
		return
	}
	for _, id := range f.orders {
		pairs, err := r.Order(ctx, id, since)
		if err == nil && len(pairs) == 0 {
			err = notHeld(fmt.Errorf("no event of order %q is in the topic of orders%s", id, sinceText(since)))
		}
		if !yield(pairs, err) || err != nil {
			return
		}
	}
}

func sinceText(since time.Time) string {
	if since.IsZero() {
		return ""
	}
	return " since " + since.UTC().Format(time.RFC3339)
}
