package stream_test

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/server"
	"github.com/trendbuy/riskscorer/stream"
)

// crowded is the demo model, which sees how many ask it at once. Who asks waits until as many have come as are
// expected, for slices pause far longer than they work and would seldom meet.
type crowded struct {
	scoring.Engine
	expected, now, most atomic.Int64
}

func (e *crowded) ContributionsTo(dst, rows []float64) {
	n := e.now.Add(1)
	defer e.now.Add(-1)
	for m := e.most.Load(); n > m && !e.most.CompareAndSwap(m, n); m = e.most.Load() {
	}
	for end := time.Now().Add(2 * time.Second); e.most.Load() < e.expected.Load() && time.Now().Before(end); {
		time.Sleep(100 * time.Microsecond)
	}
	time.Sleep(100 * time.Microsecond) // so that one too many comes too
	e.Engine.ContributionsTo(dst, rows)
}

// expect begins to count anew.
func (e *crowded) expect(n int64) {
	e.most.Store(0)
	e.expected.Store(n)
}

// TestTheStreamGivesWayToCalls works on three partitions on three cores: a call in flight takes one of them away, and
// the stream goes on with the others.
func TestTheStreamGivesWayToCalls(t *testing.T) {
	for _, c := range []struct{ cores, beside int64 }{{3, 2}, {1, 1}} {
		before := runtime.GOMAXPROCS(int(c.cores))
		b, err := openDemo()
		if err != nil {
			t.Fatal(err)
		}
		engine := &crowded{Engine: b.Forest}
		scorer := scoring.New(b, engine, scoring.NewMetrics(prometheus.NewRegistry()))
		log := slog.New(slog.DiscardHandler)
		results := schemas.NewJSONResults(schemas.Model{})
		pipeline := stream.New(config, &stream.Model{
			Scorer: scorer, Decoder: schemas.NewDecoder(scorer.Contract(), &source{}, schemas.RefuseExtra, log),
			Results: func(context.Context) (*schemas.Results, error) { return results, nil },
		}, log, prometheus.NewRegistry())
		turns := stream.NewTurns(0)
		pipeline.GiveWay(turns)
		orders := ordergen.New(ordergen.Config{Seed: 90})
		work := func(rounds int) {
			var partitions sync.WaitGroup
			for p := range 3 {
				batch := (&events{orders: orders}).batch(200, none)
				for i := range batch {
					batch[i].Partition = p
				}
				partitions.Go(func() {
					w := pipeline.Worker(&topics{})
					for range rounds {
						if err := w.Handle(t.Context(), batch); err != nil {
							t.Error(err)
						}
					}
				})
			}
			partitions.Wait()
		}
		turns.Begin()
		turns.Begin()
		turns.End()
		engine.expect(c.beside)
		work(2)
		if got := engine.most.Load(); got != c.beside {
			t.Errorf("%d cores: %d slices at once beside a call, want %d", c.cores, got, c.beside)
		}
		calls, stop := context.WithCancel(t.Context())
		var caller sync.WaitGroup
		caller.Go(func() { // calls that come and go
			for calls.Err() == nil {
				turns.Begin()
				time.Sleep(50 * time.Microsecond)
				turns.End()
			}
		})
		engine.expect(0)
		work(1)
		stop()
		caller.Wait()
		turns.End()
		time.Sleep(150 * time.Millisecond)
		engine.expect(c.cores)
		work(2)
		if c.cores > 1 && engine.most.Load() <= c.beside {
			t.Errorf("%d cores: %d slices at once without a call, want more", c.cores, engine.most.Load())
		}
		runtime.GOMAXPROCS(before)
	}
}

// BenchmarkCallsBesideTheStream is what a call takes at 0.7 times of what the door does alone, beside nothing, beside a
// stream that always has work and gives way to nobody, and beside one that does: medians of five rounds, in each of
// which all three have their turn. Calls are timed from when they were meant to start, by another process on the same
// cores.
func BenchmarkCallsBesideTheStream(b *testing.B) {
	const rounds, over = 5, 700 * time.Millisecond
	modes := []string{"alone", "hogged", "gives-way"}
	for b.Loop() {
		seen := make(map[string][]float64)
		rates := make([]float64, 0, 3)
		b.StopTimer()
		s := newSetup(b)
		addr, stop := door(b, s, stream.NewTurns(0))
		for range cap(rates) {
			rates = append(rates, generated(b, addr, 0, over/2).Rate)
		}
		stop()
		rate := 0.7 * median(rates)
		for range rounds {
			for _, mode := range modes {
				s, turns := newSetup(b), stream.NewTurns(0)
				if mode == "gives-way" {
					s.pipeline.GiveWay(turns)
				}
				addr, stop := door(b, s, turns)
				records, halt := func() int64 { return 0 }, func() {}
				if mode != "alone" {
					records, halt = saturate(b, s)
				}
				begin := time.Now()
				c := generated(b, addr, rate, over)
				took := time.Since(begin).Seconds()
				seen[mode+"-records/s"] = append(seen[mode+"-records/s"], float64(records())/took)
				halt()
				stop()
				seen[mode+"-p50-ms"] = append(seen[mode+"-p50-ms"], c.P50)
				seen[mode+"-p99-ms"] = append(seen[mode+"-p99-ms"], c.P99)
				seen[mode+"-answered"] = append(seen[mode+"-answered"], c.Rate/rate)
			}
		}
		b.StartTimer()
		b.ReportMetric(rate, "calls/s")
		for name, values := range seen {
			b.ReportMetric(median(values), name)
		}
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// saturate lets a partition more than there are cores work all the time.
func saturate(b *testing.B, s *setup) (records func() int64, halt func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var (
		streaming sync.WaitGroup
		done      atomic.Int64
	)
	for p := range runtime.GOMAXPROCS(0) + 1 {
		batch := (&events{orders: ordergen.New(ordergen.Config{Seed: uint64(90 + p)})}).batch(500, none)
		for i := range batch {
			batch[i].Partition = p
		}
		streaming.Go(func() {
			published := &topics{}
			for w := s.pipeline.Worker(published); ctx.Err() == nil; published.records = published.records[:0] {
				if err := w.Handle(ctx, batch); err != nil {
					b.Error(err)
				}
				done.Add(int64(len(batch)))
			}
		})
	}
	return done.Load, func() {
		cancel()
		streaming.Wait()
	}
}

// ready serves the setup's model.
type ready struct{ s *setup }

func (r ready) Scorer() *scoring.Scorer       { return r.s.scorer }
func (r ready) Ready() (bool, []string)       { return true, nil }
func (r ready) StreamReady() (bool, []string) { return true, nil }

// door opens a scoring door beside the setup's pipeline.
func door(b *testing.B, s *setup, turns *stream.Turns) (addr string, stop func()) {
	b.Helper()
	registry := prometheus.NewRegistry()
	d, err := server.New(server.Config{
		HTTPAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0", ScoreDeadline: 2 * time.Second,
	}, server.Parts{
		Models: ready{s}, Readiness: ready{s}, Scoring: true, Calls: turns, Drain: time.Second,
		Registerer: registry, Gatherer: registry, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := d.Listen(ctx); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	return d.Addrs().Scoring, func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
}
