//go:build e2e

package e2e_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	manyPartitions = 64
	distinctOrders = 10_000
	// fills is how often each of the orders is sent: enough that every partition has many fetches to read.
	fills = 60
	// rest is what docs/memory.md allows beside the records: the model, twice, and all else.
	rest = 2*20<<20 + 150<<20
	// boundMetric is docs/memory.md's formula for what the process was assigned.
	boundMetric = "\nriskscorer_consumer_memory_bound_bytes "
)

// TestManyPartitionsStayWithinTheFormula has one process catch up on 64 full partitions: all that it holds, with the model,
// the connections and the garbage, is no more than docs/memory.md says.
func TestManyPartitionsStayWithinTheFormula(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	s := &system{replicas: 1}
	data := t.TempDir()
	s.startParts(ctx, t, nil, func() error { return s.startBroker(ctx, t, data) })
	s.riskctl(ctx, t, "topics", "create", "--register", "--partitions", strconv.Itoa(manyPartitions), "--replication", "1")
	records := s.generate(ctx, t, workloadSeed, distinctOrders)
	for range fills {
		if err := s.produce(ctx, records); err != nil {
			t.Fatal(err)
		}
	}

	p := s.startService(ctx, t, "many")
	p.awaitStream(ctx, t)
	admin := s.admin(t)
	begin := time.Now()
	bound := int64(0)
	for lag := int64(1); lag > 0; pause(ctx, t, 200*time.Millisecond) {
		p.mustRun(t)
		bound = max(bound, p.gauge(ctx, t, boundMetric))
		lags, err := admin.Lag(ctx, group)
		if err != nil {
			t.Fatal(err)
		}
		described := lags[group]
		if err := described.Error(); err != nil {
			t.Fatal(err)
		}
		lag = described.Lag.Total()
	}
	took := time.Since(begin)
	peak := p.peak(t)
	t.Logf("%d orders in %s, at most %d MiB resident, the formula says %d", distinctOrders*fills, took.Round(time.Second), peak>>20, (bound+rest)>>20)
	if peak > bound+rest {
		t.Errorf("%d MiB were resident, the formula says %d", peak>>20, (bound+rest)>>20)
	}
	p.stop(t)
}

// gauge reads a metric without labels; 0 as long as it is not there.
func (s *service) gauge(ctx context.Context, t *testing.T, line string) int64 {
	t.Helper()
	_, rest, found := strings.Cut(s.scrape(ctx), line)
	if !found {
		return 0
	}
	text, _, _ := strings.Cut(rest, "\n")
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(value)
}
