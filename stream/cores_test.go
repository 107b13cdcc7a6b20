package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/ordergen"
)

// mixed breaks every fifth order, in a way of its own.
func mixed(i int) (ordergen.Break, bool) {
	all := ordergen.Breaks()
	return all[i/5%len(all)], i%5 == 0
}

// A batch is worked on by several cores: what comes of it is the same, byte for byte and in the same order.
func TestManyCoresGiveTheSameBytesInTheSameOrder(t *testing.T) {
	batch := (&events{orders: ordergen.New(ordergen.Config{Seed: 50})}).batch(1000, mixed)
	batch[17].Value, batch[999].Value = nil, nil
	before := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	one := newSetup(t)
	runtime.GOMAXPROCS(4)
	many := newSetup(t)
	for range 3 {
		one.published.records, many.published.records = nil, nil
		for _, s := range []*setup{one, many} {
			if err := s.worker.Handle(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := len(one.published.records), len(many.published.records); a != 998 || b != a {
			t.Fatalf("%d and %d records published", a, b)
		}
		for i := range one.published.records {
			a, b := one.published.records[i], many.published.records[i]
			if !bytes.Equal(a.Key, b.Key) || !bytes.Equal(a.Value, b.Value) || fmt.Sprint(a.Headers) != fmt.Sprint(b.Headers) {
				t.Fatalf("record %d: %s %s by one core, %s %s by four", i, a.Key, a.Value, b.Key, b.Value)
			}
		}
	}
}

// Many partitions at once, on few cores, with a schema source that fails now and then: the race detector's test.
func TestPartitionsShareTheCores(t *testing.T) {
	before := runtime.GOMAXPROCS(3)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	s := newSetup(t)
	var partitions sync.WaitGroup
	for p := range 6 {
		batch := (&events{orders: ordergen.New(ordergen.Config{Seed: uint64(60 + p)})}).batch(200, mixed)
		for i := range batch {
			batch[i].Partition = p
		}
		partitions.Go(func() {
			published := &topics{}
			w := s.pipeline.Worker(published)
			for range 5 {
				if err := w.Handle(t.Context(), batch); err != nil {
					t.Error(err)
				}
			}
			if len(published.records) != 5*len(batch) {
				t.Errorf("partition %d: %d records published", p, len(published.records))
			}
		})
	}
	partitions.Wait()
	down := errors.New("schema registry answers 503")
	s.source.down = down
	o := ordergen.New(ordergen.Config{Seed: 70}).Next()
	var framed []broker.Record
	for i := range 200 {
		framed = append(framed, record(int64(i), nil, avroOrder(t, &o)))
	}
	s.published.records = nil
	if err := s.worker.Handle(t.Context(), framed); !errors.Is(err, down) || len(s.published.records) > 0 {
		t.Errorf("%d records published, error %v", len(s.published.records), err)
	}
}

// BenchmarkQuietBesideHot is the time that one order of a quiet partition takes beside seven partitions that always have
// full batches: its median and its 99th percentile.
func BenchmarkQuietBesideHot(b *testing.B) {
	s := newSetup(b)
	orders := ordergen.New(ordergen.Config{Seed: 80})
	ctx, stop := context.WithCancel(b.Context())
	var hot sync.WaitGroup
	for p := range 7 {
		batch := (&events{orders: orders}).batch(500, none)
		for i := range batch {
			batch[i].Partition = p
		}
		hot.Go(func() {
			published := &topics{}
			for w := s.pipeline.Worker(published); ctx.Err() == nil; published.records = nil {
				if err := w.Handle(ctx, batch); err != nil {
					b.Error(err)
				}
			}
		})
	}
	quiet := (&events{orders: orders}).batch(1, none)
	quiet[0].Partition = 7
	var took []time.Duration
	for b.Loop() {
		time.Sleep(2 * time.Millisecond)
		begin := time.Now()
		if err := s.worker.Handle(b.Context(), quiet); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	stop()
	hot.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, "p99-ms")
}
