package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/sabotage"
)

const (
	commitEvery = 150 * time.Millisecond
	watchEvery  = 5 * time.Second
)

// generation owns everything that happens between two rebalances. The library keeps the coordinator's connection open
// until run returns, which is what makes the last commit possible; after that a commit would be fenced, as it should be.
type generation struct {
	*membership
	gen       *kafka.Generation
	positions []*position
	memory    Memory
	led       bool // this member made the group's assignment
	assigned  int  // partitions that the assignment covers
	log       *slog.Logger
	commits   report
	lost      bool // the last commit failed for good
}

func newGeneration(m *membership, gen *kafka.Generation, led bool, assigned int) *generation {
	g := &generation{membership: m, gen: gen, led: led, assigned: assigned, log: m.log.With(slog.Int("generation", int(gen.ID)))}
	for _, a := range gen.Assignments[m.cfg.Topic] {
		start := a.Offset
		if start < 0 { // the library's placeholder for "never committed"
			start = -1
		}
		g.positions = append(g.positions, &position{partition: a.ID, next: start, committed: start, low: -1, high: -1})
	}
	g.memory = m.cfg.Memory(len(g.positions))
	return g
}

// run works until the generation ends, drains, and commits what was acknowledged.
func (g *generation) run(ended context.Context) {
	if ended.Err() != nil {
		return
	}
	g.metrics.generations.Inc()
	g.state.join(g.gen.ID, g.positions)
	g.metrics.memory.Set(float64(g.memory.Bound))
	g.log.Info("joined", slog.String("group", g.cfg.Group), slog.Int("partitions", len(g.positions)),
		slog.Int("fetch_bytes", g.memory.FetchBytes), slog.Int("batch_records", g.memory.BatchRecords))
	if limit := int64(g.cfg.MemoryLimit); limit > 0 && g.memory.Bound > limit {
		g.log.Warn("STREAM_MEMORY_LIMIT is too small for this many partitions", slog.Int64("limit", limit), slog.Int64("needed", g.memory.Bound))
	}
	defer g.state.leave("the group is rebalancing")

	// One context for polling ends with the generation. The one for handling outlives it by the time to drain.
	polling, stopPolling := context.WithCancel(ended)
	defer stopPolling()
	handling, stopHandling := context.WithCancel(context.WithoutCancel(ended))
	defer stopHandling()
	context.AfterFunc(polling, func() {
		sleep(handling, g.cfg.DrainTimeout)
		stopHandling()
	})

	var workers sync.WaitGroup
	for _, p := range g.positions {
		w := &worker{generation: g, position: p}
		workers.Go(func() { g.work(polling, handling, w) })
	}
	var watcher sync.WaitGroup
	watcher.Go(func() { g.watch(polling, stopPolling) })

	g.commitUntil(polling, stopPolling)
	all := g.drained(handling, &workers)
	watcher.Wait()
	g.commitLast(handling)
	if !all {
		g.log.Error("the generation ended without its handlers: what they hold was not acknowledged")
	}
	if g.lost {
		// Generation after generation that can commit nothing does the same records again: not in a hurry.
		sleep(ended, g.rejoin.NextBackOff())
	}
}

// commitLast commits what the drain got acknowledged. It tries again, within the time to drain, unless that is hopeless.
func (g *generation) commitLast(handling context.Context) {
	for {
		err := g.commit()
		if err == nil {
			return
		}
		if g.lost = hopeless(err); g.lost || !sleep(handling, commitEvery) {
			g.log.Warn("the last commit of the generation failed: its records will be read again", slog.String("error", err.Error()))
			return
		}
	}
}

// hopeless reports whether this generation can commit nothing any more, so that what it does from now on is done twice: the
// group went on without this member, or the coordinator's connection, of which a generation has but one, is gone or leads to
// a broker that is the coordinator no more.
func hopeless(err error) bool {
	return broker.KindOf(err) == broker.KindUnreachable || errors.Is(err, kafka.NotCoordinatorForGroup) ||
		errors.Is(err, kafka.IllegalGeneration) || errors.Is(err, kafka.UnknownMemberId) || errors.Is(err, kafka.FencedInstanceID)
}

// commitUntil commits at intervals, and ends the generation when that has become hopeless.
func (g *generation) commitUntil(polling context.Context, end context.CancelFunc) {
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	for {
		select {
		case <-polling.Done():
			return
		case <-tick.C:
		}
		err := g.commit()
		if err == nil {
			g.commits.recovered(g.log, "offsets are committed again")
			continue
		}
		g.commits.failed(g.log, "cannot commit offsets", err)
		if hopeless(err) {
			end()
		}
	}
}

// commit sends the acknowledged offsets that are not committed yet.
func (g *generation) commit() error {
	offsets := make(map[int]int64)
	for _, p := range g.positions {
		if offset, ok := p.uncommitted(); ok {
			offsets[p.partition] = offset
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	sabotage.At(sabotage.Committing)
	if err := g.gen.CommitOffsets(map[string]map[int]int64{g.cfg.Topic: offsets}); err != nil {
		g.metrics.commitErrors.Inc()
		return g.missingRight(g.client.Classify("commit offsets of group "+g.cfg.Group, err))
	}
	sabotage.At(sabotage.Committed)
	g.metrics.commits.Inc()
	g.rejoin.Reset()
	for _, p := range g.positions {
		if offset, ok := offsets[p.partition]; ok {
			p.commit(offset)
		}
	}
	return nil
}

// commitLate is sabotage: it commits again and again, under another generation, what an ended one had reached.
func (g *generation) commitLate(ctx context.Context, under *kafka.Generation) {
	for sleep(ctx, 3*time.Second) {
		if g == nil {
			continue
		}
		late := *g
		late.gen = under
		for _, p := range late.positions {
			p.commit(-1)
		}
		_ = late.commit()
	}
}

// watch keeps the lag of partitions that do not fetch up to date, and ends the generation when the topic has more
// partitions than its assignment covers.
func (g *generation) watch(polling context.Context, end context.CancelFunc) {
	partitions := make([]int, len(g.positions))
	for i, p := range g.positions {
		partitions[i] = p.partition
	}
	for first := true; first || sleep(polling, watchEvery); first = false {
		if g.led {
			n, err := g.client.PartitionCount(polling, g.cfg.Topic)
			if err == nil && n != g.assigned {
				g.log.Info("the number of partitions changed", slog.Int("from", g.assigned), slog.Int("to", n))
				end()
				return
			}
		}
		// An error shows where it matters, in the fetches.
		bounds, _ := g.client.Offsets(polling, g.cfg.Topic, partitions)
		for _, p := range g.positions {
			if b, ok := bounds[p.partition]; ok {
				p.seen(b.Earliest, b.Latest)
			}
		}
	}
}

// start returns the offset to read first. A start that the group never committed is acknowledged as it is, and so gets
// committed: otherwise "latest" would move on, over unread records, with the next rebalance.
func (g *generation) start(ctx context.Context, p *position) (int64, error) {
	if p.next >= 0 {
		return p.next, nil
	}
	if g.cfg.OffsetReset == ResetNone {
		return 0, errNoStart
	}
	bounds, err := g.client.Offsets(ctx, g.cfg.Topic, []int{p.partition})
	if err != nil {
		return 0, g.missingRight(fmt.Errorf("find where to start: %w", err))
	}
	b, ok := bounds[p.partition]
	if !ok || b.Earliest < 0 || b.Latest < 0 {
		return 0, &broker.Error{Kind: broker.KindOther, Op: "find where to start", Err: errors.New("the broker did not say")}
	}
	offset := b.Earliest
	if g.cfg.OffsetReset == ResetLatest {
		offset = b.Latest
	}
	p.acknowledge(offset)
	p.seen(b.Earliest, b.Latest)
	g.log.Info("no committed offset", slog.Int("partition", p.partition), slog.String("reset", g.cfg.OffsetReset), slog.Int64("offset", offset))
	return offset, nil
}

var errNoStart = errors.New("no committed offset and OFFSET_RESET is none")
