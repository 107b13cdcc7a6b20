package broker_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trendbuy/riskscorer/broker"
)

func TestFetchReadsWhatAnotherClientWrote(t *testing.T) {
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			cluster := startCluster(t)
			writer := witness(t, cluster, kgo.ProducerBatchCompression(codec))
			sent := []*kgo.Record{
				{Topic: topic, Partition: 2, Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("x")}}},
				{Topic: topic, Partition: 2, Value: bytes.Repeat([]byte("long "), 50_000)},
				{Topic: topic, Partition: 2, Key: []byte("tombstone")},
				{Topic: topic, Partition: 2, Key: []byte{}, Value: []byte{}},
			}
			if err := writer.ProduceSync(deadline(t), sent...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			got, _, _ := drain(t, connect(t, broker.Config{Brokers: cluster.ListenAddrs()}), 2, int64(len(sent)))
			if len(got) != len(sent) {
				t.Fatalf("got %d records, want %d", len(got), len(sent))
			}
			for i, r := range got {
				want := sent[i]
				if r.Offset != int64(i) || !same(r.Key, want.Key) || !same(r.Value, want.Value) || len(r.Headers) != len(want.Headers) || r.Time.UnixMilli() != want.Timestamp.UnixMilli() {
					t.Errorf("record %d came as %+v", i, r)
				}
			}
		})
	}
}

// An empty key is not a null one, and an empty value no tombstone: also where a fetch begins with them.
func TestFetchTellsEmptyFromNull(t *testing.T) {
	cluster := startCluster(t)
	writer := witness(t, cluster)
	sent := []*kgo.Record{
		{Topic: topic, Partition: 1, Key: []byte{}, Value: []byte{}},
		{Topic: topic, Partition: 1},
		{Topic: topic, Partition: 1, Value: []byte{}},
	}
	if err := writer.ProduceSync(deadline(t), sent...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	for from := range sent {
		f, err := c.Fetch(deadline(t), broker.FetchRequest{Topic: topic, Partition: 1, Offset: int64(from), MaxBytes: 1 << 20, MaxWait: time.Second})
		if err != nil || len(f.Records) != len(sent)-from {
			t.Fatalf("from %d: %d records, %v", from, len(f.Records), err)
		}
		for i, r := range f.Records {
			if want := sent[from+i]; !same(r.Key, want.Key) || !same(r.Value, want.Value) {
				t.Errorf("from %d: record %d came with key %#v and value %#v", from, from+i, r.Key, r.Value)
			}
		}
	}
}

// The fetched bytes must be the records' own: a later record must not overwrite an earlier one.
func TestFetchedRecordsDoNotShareMemory(t *testing.T) {
	cluster := startCluster(t)
	writer := witness(t, cluster)
	const n = 5000
	for i := range n {
		writer.Produce(deadline(t), &kgo.Record{Topic: topic, Partition: 0, Key: fmt.Appendf(nil, "key-%d", i), Value: []byte(strings.Repeat("v", i%100))}, nil)
	}
	if err := writer.Flush(deadline(t)); err != nil {
		t.Fatal(err)
	}
	got, _, _ := drain(t, connect(t, broker.Config{Brokers: cluster.ListenAddrs()}), 0, n)
	for i, r := range got {
		if string(r.Key) != fmt.Sprintf("key-%d", i) || len(r.Value) != i%100 || cap(r.Key) != len(r.Key) {
			t.Fatalf("record %d came as %q, %d bytes", i, r.Key, len(r.Value))
		}
	}
}

func TestFetchPassesOverTransactions(t *testing.T) {
	cluster := startCluster(t)
	writer := witness(t, cluster, kgo.TransactionalID("tx"))
	write := func(text string, commit kgo.TransactionEndTry) {
		t.Helper()
		if err := writer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if err := writer.ProduceSync(deadline(t), &kgo.Record{Topic: topic, Partition: 0, Value: fmt.Appendf(nil, "%s-%d", text, i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := writer.EndTransaction(deadline(t), commit); err != nil {
			t.Fatal(err)
		}
	}
	write("kept", kgo.TryCommit)
	write("aborted", kgo.TryAbort)
	write("again", kgo.TryCommit)
	write("last", kgo.TryAbort) // nothing but aborted and control records at the end
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	got, skipped, _ := drain(t, c, 0, cluster.PartitionInfo(topic, 0).HighWatermark)
	var values []string
	for _, r := range got {
		values = append(values, string(r.Value))
	}
	if want := "kept-0 kept-1 kept-2 again-0 again-1 again-2"; strings.Join(values, " ") != want {
		t.Fatalf("got %v, want %s", values, want)
	}
	if skipped != 6+4 { // aborted records and markers
		t.Fatalf("%d records passed over, want 10", skipped)
	}
	// From the middle of an aborted transaction.
	f, err := c.Fetch(deadline(t), broker.FetchRequest{Topic: topic, Offset: 5, MaxBytes: 1 << 20, MaxWait: time.Second})
	if err != nil || len(f.Records) == 0 || string(f.Records[0].Value) != "again-0" {
		t.Fatalf("from offset 5: %+v, %v", f, err)
	}
}

// A compacted log has holes, also where its last batch ends: those offsets must be passed, and nothing after them missed.
func TestFetchGoesOverCompactedOffsets(t *testing.T) {
	cluster := startCluster(t)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	// A batch that once held the offsets 0 to 9, of which 0 to 3 remain; then one that once held 10 to 12, now empty.
	holes := reframe(t, encode(t, broker.ProducerID{ID: 1}, 0, broker.Record{}, broker.Record{}, broker.Record{}, broker.Record{}), 0, 9, 4)
	empty := reframe(t, encode(t, broker.ProducerID{ID: 1}, 0, broker.Record{}), 10, 2, 0)
	last := reframe(t, encode(t, broker.ProducerID{ID: 1}, 0, broker.Record{Value: []byte("last")}), 13, 0, 1)
	log := []struct {
		end int64
		set []byte
	}{{10, holes}, {13, empty}, {14, last}}
	var visible atomic.Int32
	cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		var set []byte
		shown := log[:visible.Load()]
		for _, b := range shown {
			if b.end > r.(*kmsg.FetchRequest).Topics[0].Partitions[0].FetchOffset {
				set = append(set, b.set...)
			}
		}
		return fetchResponse(r, set, shown[len(shown)-1].end), nil, true
	})
	for i, want := range []int{4, 4, 5} {
		visible.Store(int32(i + 1))
		high := log[i].end
		got, _, fetches := drain(t, c, 0, high)
		if len(got) != want || fetches > 3 {
			t.Errorf("up to %d: %d records by %d fetches, want %d", high, len(got), fetches, want)
		}
	}
}

// reframe changes what a batch says of itself, checksum included.
func reframe(t *testing.T, b broker.Batch, base int64, lastDelta, count int32) []byte {
	t.Helper()
	raw := bytes.Clone(b.Bytes())
	if count == 0 {
		raw = raw[:61]
		binary.BigEndian.PutUint32(raw[8:], 61-12)
	}
	binary.BigEndian.PutUint64(raw, uint64(base))
	binary.BigEndian.PutUint32(raw[23:], uint32(lastDelta))
	binary.BigEndian.PutUint32(raw[57:], uint32(count))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

func fetchResponse(r kmsg.Request, set []byte, high int64) kmsg.Response {
	res := r.ResponseKind().(*kmsg.FetchResponse)
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches, p.HighWatermark, p.LastStableOffset = set, high, high
	rt := kmsg.NewFetchResponseTopic()
	rt.Topic, rt.Partitions = topic, []kmsg.FetchResponseTopicPartition{p}
	res.Topics = []kmsg.FetchResponseTopic{rt}
	return res
}

func TestFetchWaitsForRecords(t *testing.T) {
	cluster := startCluster(t)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	begin := time.Now()
	f, err := c.Fetch(deadline(t), broker.FetchRequest{Topic: topic, Partition: 3, MaxBytes: 1 << 20, MaxWait: 200 * time.Millisecond})
	if err != nil || f.Next != 0 || f.HighWatermark != 0 || len(f.Records) != 0 {
		t.Fatalf("%+v, %v", f, err)
	}
	if waited := time.Since(begin); waited < 150*time.Millisecond {
		t.Fatalf("waited only %v", waited)
	}
}

func TestFetchErrors(t *testing.T) {
	cluster := startCluster(t)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	request := broker.FetchRequest{Topic: topic, Offset: 0, MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond}
	writer := witness(t, cluster)
	for range 5 {
		if err := writer.ProduceSync(deadline(t), &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cluster.DeleteRecords(topic, 0, 3); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []int64{0, 2, 9} {
		request.Offset = offset
		_, err := c.Fetch(deadline(t), request)
		var outside *broker.OffsetOutOfRangeError
		if !errors.As(err, &outside) || *outside != (broker.OffsetOutOfRangeError{Offset: offset, Earliest: 3, Latest: 5}) || broker.KindOf(err) != broker.KindOutOfRange {
			t.Errorf("offset %d: %v", offset, err)
		}
	}
	if _, err := c.Fetch(deadline(t), broker.FetchRequest{Topic: "absent", MaxBytes: 1 << 20}); broker.KindOf(err) != broker.KindTopicMissing {
		t.Errorf("absent topic: %v", err)
	}
	if _, err := c.Fetch(deadline(t), broker.FetchRequest{Topic: topic, Partition: 99, MaxBytes: 1 << 20}); broker.KindOf(err) != broker.KindTopicMissing {
		t.Errorf("absent partition: %v", err)
	}
}

// One flipped bit anywhere that the checksum covers must never come out as a record.
func TestFetchRefusesCorruptBatch(t *testing.T) {
	cluster := startCluster(t)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	good := encode(t, broker.ProducerID{ID: 1}, 0, broker.Record{Key: []byte("k"), Value: []byte("value")}).Bytes()
	serve := func(set []byte) {
		cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
			return fetchResponse(r, set, 2), nil, true
		})
	}
	request := broker.FetchRequest{Topic: topic, MaxBytes: 1 << 20, MaxWait: 10 * time.Millisecond}
	for at := 17; at < len(good); at++ {
		bad := bytes.Clone(good)
		bad[at] ^= 0x10
		serve(bad)
		f, err := c.Fetch(deadline(t), request)
		if err == nil || len(f.Records) != 0 {
			t.Fatalf("byte %d flipped: %d records, %v", at, len(f.Records), err)
		}
		if kind := broker.KindOf(err); kind != broker.KindCorrupt {
			t.Fatalf("byte %d flipped: kind %v, %v", at, kind, err)
		}
	}
	// Before a corrupt batch, the good one is read; behind it, nothing is.
	second := bytes.Clone(good)
	second[7] = 1 // base offset
	second[len(second)-3] ^= 1
	serve(append(bytes.Clone(good), second...))
	f, err := c.Fetch(deadline(t), request)
	if err != nil || len(f.Records) != 1 || f.Next != 1 {
		t.Fatalf("good, then corrupt: %+v, %v", f, err)
	}
}

// What a compressed batch holds is not bounded by what it weighed.
func TestFetchStopsCopyingAtABound(t *testing.T) {
	cluster := startCluster(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "100000000"}))
	writer := witness(t, cluster, kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerBatchMaxBytes(50<<20), kgo.ProducerLinger(time.Second))
	const n, size = 40, 1 << 20
	for range n {
		writer.Produce(deadline(t), &kgo.Record{Topic: topic, Value: make([]byte, size)}, nil)
	}
	if err := writer.Flush(deadline(t)); err != nil {
		t.Fatal(err)
	}
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	f, err := c.Fetch(deadline(t), broker.FetchRequest{Topic: topic, MaxBytes: 1 << 20, MaxWait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Records) > 16 || f.Next != int64(len(f.Records)) {
		t.Fatalf("%d MiB in one fetch, next %d", len(f.Records), f.Next)
	}
	if got, _, _ := drain(t, c, 0, n); len(got) != n {
		t.Fatalf("%d records in all, want %d", len(got), n)
	}
}
