package deadletter_test

import (
	"errors"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/deadletter"
	"github.com/trendbuy/riskscorer/schemas"
)

// event returns an Avro event of an order.
func event(t *testing.T, id string) string {
	t.Helper()
	encoder, err := schemas.NewAvroOrders(7)
	if err != nil {
		t.Fatal(err)
	}
	value, err := encoder.AppendTo(nil, &schemas.OrderEvent{OrderID: id, OccurredAt: time.UnixMilli(1)})
	if err != nil {
		t.Fatal(err)
	}
	return string(value)
}

func TestFiltersChoose(t *testing.T) {
	p := start(t)
	begin := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	byKey := func(partition int32, minute int, l *kgo.Record) *kgo.Record {
		l.Partition, l.Timestamp = partition, begin.Add(time.Duration(minute)*time.Minute)
		return l
	}
	manual, err := kgo.NewClient(kgo.SeedBrokers(p.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(manual.Close)
	unkeyed := byKey(2, 4, letter("", event(t, "B"), schemas.RejectFeatureRange, 1))
	unkeyed.Key = nil
	escaped := byKey(2, 5, letter("", `{"order_id":"\u0042"}`, schemas.RejectFeatureMissing, 1))
	escaped.Key = nil
	if err := manual.ProduceSync(deadline(t),
		byKey(0, 0, letter("A", "x", schemas.RejectFrame, 1)),
		byKey(0, 1, letter("A", "x", schemas.RejectFeatureRange, 3)),
		byKey(1, 2, letter("B", "x", schemas.RejectFeatureRange, 2)),
		byKey(1, 3, letter("Z", event(t, "B"), schemas.RejectKeyMismatch, 1)),
		unkeyed, escaped,
		byKey(2, 6, letter("C", event(t, "B"), schemas.RejectFeatureRange, 1)),
	).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		filter deadletter.Filter
		want   string
	}{
		{"all", deadletter.Filter{}, "A frame 1, A feature_range 3, B feature_range 2, Z key_mismatch 1,  feature_range 1,  feature_missing 1, C feature_range 1"},
		{"class", deadletter.Filter{Classes: []schemas.RejectClass{schemas.RejectFrame, schemas.RejectFeatureMissing}}, "A frame 1,  feature_missing 1"},
		{"order", deadletter.Filter{OrderID: "B"}, "B feature_range 2, Z key_mismatch 1,  feature_range 1,  feature_missing 1"},
		{"since", deadletter.Filter{Since: begin.Add(3 * time.Minute)}, "Z key_mismatch 1,  feature_range 1,  feature_missing 1, C feature_range 1"},
		{"until", deadletter.Filter{Until: begin.Add(2 * time.Minute)}, "A frame 1, A feature_range 3"},
		{"partitions", deadletter.Filter{Partitions: []int{0}}, "A frame 1, A feature_range 3"},
		{"together", deadletter.Filter{Classes: []schemas.RejectClass{schemas.RejectFeatureRange}, OrderID: "B", Partitions: []int{1, 2}, Since: begin.Add(time.Minute)}, "B feature_range 2,  feature_range 1"},
		{"nothing", deadletter.Filter{OrderID: "D"}, ""},
	} {
		if got := p.list(t, test.filter); got != test.want {
			t.Errorf("%s: got  %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestALetterSaysWhyItIsHere(t *testing.T) {
	p := start(t)
	// The event came with a header of the same name; the stream's own stands behind it.
	r := letter("A", "value", schemas.RejectFeatureRange, 2)
	r.Headers = append([]kgo.RecordHeader{{Key: "__connect.errors.topic", Value: []byte("elsewhere")}}, r.Headers...)
	p.write(t, r)
	got, err := p.reader.Get(deadline(t), int(r.Partition), 0)
	if err != nil {
		t.Fatal(err)
	}
	want := deadletter.Letter{
		Record: got.Record, Class: schemas.RejectFeatureRange, Attempt: 2, Source: deadletter.Source{Topic: orders, Partition: 2, Offset: 41},
		Stage: "TRANSFORMATION", Detail: "/features/x is out of range",
	}
	if !reflect.DeepEqual(got, want) || string(got.Value) != "value" || got.Partition != int(r.Partition) {
		t.Errorf("got %+v", got)
	}
	for _, offset := range []int64{1, 5} {
		if _, err := p.reader.Get(deadline(t), int(r.Partition), offset); !errors.Is(err, broker.ErrNoRecord) {
			t.Errorf("offset %d: %v", offset, err)
		}
	}
}

func TestARecordThatIsNoLetterOfOursIsReadAsFarAsItGoes(t *testing.T) {
	l := deadletter.Read(broker.Record{Headers: []broker.Header{{Key: broker.HeaderAttempt, Value: []byte("many")}, {Key: broker.HeaderErrorPartition, Value: []byte("x")}}})
	if l.Attempt != 0 || l.Class != "" || l.Source != (deadletter.Source{}) {
		t.Errorf("got %+v", l)
	}
}

// TestLettersAreReadAsTheyAreTaken holds the reader to one fetch at a time, whatever the topic holds.
func TestLettersAreReadAsTheyAreTaken(t *testing.T) {
	p := start(t)
	const n, size = 40, 100_000
	for range n {
		p.write(t, letter("A", strings.Repeat("x", size), schemas.RejectFrame, 1))
	}
	spans, err := p.reader.Spans(deadline(t), deadletter.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var fetches atomic.Int32
	p.cluster.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		p.cluster.KeepControl()
		fetches.Add(1)
		return nil, nil, false
	})
	taken := 0
	for l, err := range p.reader.Letters(deadline(t), spans, deadletter.Filter{}) {
		if err != nil || len(l.Value) != size {
			t.Fatalf("%d bytes, %v", len(l.Value), err)
		}
		if taken++; taken == 5 {
			break
		}
	}
	if got := fetches.Load(); taken != 5 || got > 4 {
		t.Errorf("%d letters of %d taken, with %d fetches", taken, n, got)
	}
}
