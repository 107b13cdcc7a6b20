package stream_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/stream"
)

// measuring is a publisher that says what is live while a batch is being published.
type measuring struct{ live, encoded uint64 }

func (m *measuring) Publish(_ context.Context, records []broker.Record) error {
	m.live = liveHeap()
	for i := range records {
		m.encoded += uint64(broker.RecordSize(&records[i]))
	}
	return nil
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC() // the first only moves what pools hold to where the second takes it
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The 4 KiB a record of docs/memory.md: orders, decisions, results, and the copy that the producer makes of them.
func TestABatchTakesNoMoreThanTheFormulaSays(t *testing.T) {
	s := newSetup(t)
	batch := (&events{orders: ordergen.New(ordergen.Config{Seed: 100})}).batch(500, none)
	if err := s.worker.Handle(t.Context(), batch); err != nil { // what is made once is made
		t.Fatal(err)
	}
	s.published.records = nil
	var m measuring
	w := s.pipeline.Worker(&m)
	before := liveHeap()
	if err := w.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	each := (m.live - min(before, m.live) + m.encoded) / uint64(len(batch))
	t.Logf("%d bytes a record", each)
	if each > 4<<10 || each < 1<<10 {
		t.Errorf("a record takes %d bytes", each)
	}
	runtime.KeepAlive(w)
}

var _ stream.Publisher = (*measuring)(nil)
