package broker_test

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/trendbuy/riskscorer/broker"
)

func pointers(records []broker.Record) []*broker.Record {
	out := make([]*broker.Record, len(records))
	for i := range records {
		out[i] = &records[i]
	}
	return out
}

func encode(t *testing.T, id broker.ProducerID, sequence int32, records ...broker.Record) broker.Batch {
	t.Helper()
	b, err := new(broker.Buffers).EncodeBatch(id, sequence, time.UnixMilli(1_700_000_000_000), pointers(records))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestProduceIsReadByAnotherClient(t *testing.T) {
	cluster := startCluster(t)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	id, err := c.InitProducerID(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	sent := []broker.Record{
		{Key: []byte("a"), Value: []byte("one"), Headers: []broker.Header{{Key: "h", Value: []byte("v")}, {Key: "null"}, {Key: "", Value: []byte{}}}},
		{Key: nil, Value: nil, Time: time.UnixMilli(1_699_999_999_000)},
		{Key: []byte{}, Value: []byte{}, Time: time.UnixMilli(1_800_000_000_123)},
		{Key: []byte("long"), Value: bytes.Repeat([]byte("x"), 200_000)},
	}
	batch := encode(t, id, 0, sent...)
	for range 2 { // the repetition must add nothing
		if base, err := c.Produce(deadline(t), topic, 1, batch); err != nil || base != 0 {
			t.Fatalf("base offset %d, %v", base, err)
		}
	}
	if end := cluster.PartitionInfo(topic, 1).HighWatermark; end != int64(len(sent)) {
		t.Fatalf("the log holds %d records, want %d", end, len(sent))
	}
	for i, r := range readAll(t, cluster, 1, len(sent)) {
		want := sent[i]
		if want.Time.IsZero() {
			want.Time = time.UnixMilli(1_700_000_000_000)
		}
		if !same(r.Key, want.Key) || !same(r.Value, want.Value) || !r.Timestamp.Equal(want.Time) || len(r.Headers) != len(want.Headers) || r.ProducerID != id.ID {
			t.Errorf("record %d came as %+v", i, r)
		}
		for j, h := range r.Headers {
			if h.Key != want.Headers[j].Key || !same(h.Value, want.Headers[j].Value) {
				t.Errorf("header %d came as %q %v", j, h.Key, h.Value)
			}
		}
	}
}

// same tells null from empty.
func same(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

func TestEncodeBatchDecodesElsewhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 300))
		header := rapid.Custom(func(t *rapid.T) broker.Header {
			return broker.Header{Key: rapid.String().Draw(t, "name"), Value: field.Draw(t, "value")}
		})
		records := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) broker.Record {
			return broker.Record{
				Key: field.Draw(t, "key"), Value: field.Draw(t, "value"), Headers: rapid.SliceOfN(header, 0, 3).Draw(t, "headers"),
				Time: time.UnixMilli(rapid.Int64Range(0, 1<<41).Draw(t, "time")),
			}
		}), 1, 40).Draw(t, "records")
		b, err := new(broker.Buffers).EncodeBatch(broker.ProducerID{ID: 7, Epoch: 3}, 11, time.Now(), pointers(records))
		if err != nil {
			t.Fatal(err)
		}
		bound := 61
		for i := range records {
			bound += broker.RecordSize(&records[i])
		}
		if b.Size() > bound || b.Count() != len(records) {
			t.Fatalf("%d bytes above the bound of %d, or count %d", b.Size(), bound, b.Count())
		}
		var batch kmsg.RecordBatch
		if err := batch.ReadFrom(b.Bytes()); err != nil {
			t.Fatal(err)
		}
		if batch.ProducerID != 7 || batch.ProducerEpoch != 3 || batch.FirstSequence != 11 || batch.LastOffsetDelta != int32(len(records)-1) {
			t.Fatalf("batch header %+v", batch)
		}
		got, err := kfake.BatchRecords(batch)
		if err != nil || len(got) != len(records) {
			t.Fatalf("%d records: %v", len(got), err)
		}
		for i, r := range got {
			want := records[i]
			if !same(r.Key, want.Key) || !same(r.Value, want.Value) || len(r.Headers) != len(want.Headers) ||
				batch.FirstTimestamp+r.TimestampDelta64 != want.Time.UnixMilli() || int(r.OffsetDelta) != i {
				t.Fatalf("record %d came as %+v", i, r)
			}
		}
	})
}

func TestNextSequenceWraps(t *testing.T) {
	if got := broker.NextSequence(math.MaxInt32-1, 3); got != 1 {
		t.Fatalf("got %d, want 1: 2147483646, 2147483647, 0, then 1", got)
	}
}

func TestNothingIsSentWithoutProducerID(t *testing.T) {
	cluster := startCluster(t)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	if _, err := new(broker.Buffers).EncodeBatch(broker.ProducerID{ID: -1}, 0, time.Now(), []*broker.Record{{}}); !errors.Is(err, broker.ErrNoProducerID) {
		t.Fatalf("encoding: %v", err)
	}
	if _, err := c.Produce(deadline(t), topic, 0, broker.Batch{}); !errors.Is(err, broker.ErrNoProducerID) {
		t.Fatalf("producing: %v", err)
	}
	if end := cluster.PartitionInfo(topic, 0).HighWatermark; end != 0 {
		t.Fatalf("the log holds %d records", end)
	}
}

func TestInitProducerIDWaitsForCoordinator(t *testing.T) {
	cluster := startCluster(t)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.CoordinatorLoadInProgress, Count: 2})
	id, err := c.InitProducerID(deadline(t))
	if err != nil || id.ID < 0 || fault.Hits() != 2 {
		t.Fatalf("id %v after %d refusals: %v", id, fault.Hits(), err)
	}
}

func TestProduceErrors(t *testing.T) {
	cluster := startCluster(t)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	id, err := c.InitProducerID(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		answer *kerr.Error
		want   broker.Kind
	}{
		{kerr.NotLeaderForPartition, broker.KindNoLeader},
		{kerr.RequestTimedOut, broker.KindTimeout},
		{kerr.MessageTooLarge, broker.KindTooLarge},
		{kerr.OutOfOrderSequenceNumber, broker.KindSequence},
		{kerr.InvalidProducerEpoch, broker.KindSequence},
		{kerr.TopicAuthorizationFailed, broker.KindNotAuthorized},
		{kerr.NotEnoughReplicas, broker.KindReplicas},
		{kerr.UnknownServerError, broker.KindOther},
	} {
		t.Run(test.answer.Message, func(t *testing.T) {
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: test.answer})
			_, err := c.Produce(deadline(t), topic, 0, encode(t, id, 0, broker.Record{Value: []byte("v")}))
			if broker.KindOf(err) != test.want {
				t.Fatalf("got %v (%v), want %v", broker.KindOf(err), err, test.want)
			}
		})
	}
	if _, err := c.Produce(deadline(t), "absent", 0, encode(t, id, 0, broker.Record{})); broker.KindOf(err) != broker.KindTopicMissing {
		t.Fatalf("absent topic: %v", err)
	}
	// A sequence that leaves a gap.
	if _, err := c.Produce(deadline(t), topic, 2, encode(t, id, 0, broker.Record{})); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Produce(deadline(t), topic, 2, encode(t, id, 5, broker.Record{})); broker.KindOf(err) != broker.KindSequence {
		t.Fatalf("gap: %v", err)
	}
}
