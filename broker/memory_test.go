package broker_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/broker"
)

const backlogFetch = 64 << 10

// backlog writes records of a kilobyte, each filled with a byte of its own, that take many fetches.
func backlog(t *testing.T, n int) *broker.Client {
	t.Helper()
	cluster := startCluster(t)
	writer := witness(t, cluster, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(16<<10))
	for i := range n {
		writer.Produce(t.Context(), &kgo.Record{Topic: topic, Partition: 1, Value: content(int64(i))}, nil)
	}
	if err := writer.Flush(deadline(t)); err != nil {
		t.Fatal(err)
	}
	return connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
}

func content(offset int64) []byte { return bytes.Repeat([]byte{byte(offset%250) + 1}, 1<<10) }

func fetchAt(t *testing.T, c *broker.Client, offset int64) broker.Fetched {
	t.Helper()
	f, err := c.Fetch(deadline(t), broker.FetchRequest{Topic: topic, Partition: 1, Offset: offset, MaxBytes: backlogFetch, MaxWait: time.Second})
	if err != nil || len(f.Records) == 0 {
		t.Fatalf("fetch at %d: %d records, %v", offset, len(f.Records), err)
	}
	return f
}

func checkContent(t *testing.T, who string, records []broker.Record, from int64) {
	t.Helper()
	for i := range records {
		if want := from + int64(i); records[i].Offset != want || !bytes.Equal(records[i].Value, content(want)) {
			t.Fatalf("%s: record %d is at %d and its value is another's", who, want, records[i].Offset)
		}
	}
}

// Released memory is used again, and what is not released is never written into, however many fetches follow.
func TestOnlyReleasedMemoryIsUsedAgain(t *testing.T) {
	const records = 2000
	c := backlog(t, records)
	held := fetchAt(t, c, 0)
	places := make(map[*byte]int)
	for next := held.Next; next < records; {
		f := fetchAt(t, c, next)
		checkContent(t, "released after use", f.Records, next)
		places[&f.Records[0].Value[0]]++
		next = f.Next
		f.Release()
	}
	checkContent(t, "held", held.Records, 0)
	again := 0
	for _, n := range places {
		again += n - 1
	}
	if again == 0 {
		t.Errorf("none of %d fetches used the memory of another", len(places))
	}
}

// A reader that should be gone when its fetch is released finds nothing, at once: not another fetch's records, later.
func TestReleasedRecordsAreGone(t *testing.T) {
	f := fetchAt(t, backlog(t, 100), 0)
	late := f.Records
	f.Release()
	f.Release()
	for i := range late {
		if late[i].Value != nil {
			t.Fatalf("record %d is still there", i)
		}
	}
}

// A batch keeps its bytes until it is released, whatever is encoded meanwhile; after that its memory is another's.
func TestOnlyReleasedBatchesAreEncodedOver(t *testing.T) {
	var buffers broker.Buffers
	encode := func(i int) broker.Batch {
		r := broker.Record{Value: fmt.Appendf(nil, "%0900d", i)}
		b, err := buffers.EncodeBatch(broker.ProducerID{ID: 1}, 0, time.UnixMilli(1_700_000_000_000), []*broker.Record{&r})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	held := encode(0)
	want := bytes.Clone(held.Bytes())
	places := make(map[*byte]bool)
	const batches = 200
	for i := range batches {
		b := encode(i)
		if !bytes.Contains(b.Bytes(), fmt.Appendf(nil, "%0900d", i)) || b.Size() != held.Size() {
			t.Fatalf("batch %d holds %q", i, b.Bytes())
		}
		places[&b.Bytes()[0]] = true
		buffers.Release(b)
	}
	if !bytes.Equal(held.Bytes(), want) {
		t.Error("a batch that was not released has changed")
	}
	if len(places) == batches {
		t.Error("no batch used the memory of another")
	}
}
