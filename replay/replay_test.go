package replay_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/replay"
	"github.com/trendbuy/riskscorer/schemas"
)

func TestRecordedDecisionsAreIdentical(t *testing.T) {
	for _, avro := range []bool{true, false} {
		t.Run(fmt.Sprintf("avro=%t", avro), func(t *testing.T) {
			p := start(t)
			w := p.write(t, 3000)
			scorer := openScorer(t, demo)
			p.serve(t, scorer, avro)
			verdicts, err := models(scorer).Verify(deadline(t), p.all(t))
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[replay.Outcome]int)
			for i := range verdicts {
				v := &verdicts[i]
				got[v.Outcome]++
				if v.Outcome == replay.Identical && v.Event.Key != nil && !bytes.Equal(v.Event.Key, v.Result.Key) {
					t.Errorf("event %s has the result of %s", v.Event.Key, v.Result.Key)
				}
			}
			want := map[replay.Outcome]int{replay.Identical: w.good, replay.NoResult: w.bad, replay.Tombstone: w.tombstones}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestOneOrderIsFoundWithItsResult(t *testing.T) {
	p := start(t)
	w := p.write(t, 400)
	scorer := openScorer(t, demo)
	p.serve(t, scorer, true)
	for _, id := range append(w.ids[:20:20], w.unkeyed) {
		pairs, err := p.reader(1e6).Order(deadline(t), id, time.Time{})
		if err != nil || len(pairs) != 1 || pairs[0].Result == nil || pairs[0].Result.OrderID != id {
			t.Fatalf("%s: %+v, %v", id, pairs, err)
		}
		again, err := p.reader(1e6).Event(deadline(t), pairs[0].Event.Partition, pairs[0].Event.Offset)
		if err != nil || again.Result == nil || again.Result.Offset != pairs[0].Result.Offset {
			t.Errorf("%s by its place: %+v, %v", id, again, err)
		}
	}
	if pairs, err := p.reader(1e6).Order(deadline(t), "ORD_NONE", time.Time{}); err != nil || len(pairs) != 0 {
		t.Errorf("an order that is not there: %v, %v", pairs, err)
	}
	if pairs, err := p.reader(1e6).Order(deadline(t), w.ids[0], time.Now().Add(time.Hour)); err != nil || len(pairs) != 0 {
		t.Errorf("since later: %v, %v", pairs, err)
	}
	if _, err := p.reader(50).Order(deadline(t), "ORD_NONE", time.Time{}); !errors.Is(err, replay.ErrSearchLimit) {
		t.Errorf("beyond the limit: %v", err)
	}
	if _, err := p.reader(1e6).Event(deadline(t), 0, 1<<40); !errors.Is(err, broker.ErrNoRecord) {
		t.Errorf("an event that is not there: %v", err)
	}
}

func TestASchemaThatCannotBeFetchedIsAnError(t *testing.T) {
	p := start(t)
	w := p.write(t, 40)
	p.serve(t, openScorer(t, demo), true)
	down := replay.NewReader(p.client, replay.Topics{Orders: orders, Results: results}, schemas.NewViewer(nil), 1e6)
	if _, err := down.Order(deadline(t), w.ids[0], time.Time{}); err == nil || errors.Is(err, schemas.ErrOpaque) {
		t.Errorf("an order: %v", err)
	}
	spans, err := p.client.Spans(deadline(t), orders, nil, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for pairs, err := range down.Pairs(deadline(t), spans) {
		if err == nil {
			t.Errorf("%d pairs", len(pairs))
		}
	}
}

// tamper writes an event and, to another partition than its key's, a result of it that change has changed.
func (p *place) tamper(t *testing.T, change func([]byte) []byte) replay.Pair {
	t.Helper()
	p.write(t, 40)
	p.serve(t, openScorer(t, demo), false)
	var good *replay.Pair
	for _, pair := range p.all(t) {
		if pair.Result != nil && pair.Event.Partition == 1 {
			good = &pair
		}
	}
	event := &kgo.Record{Topic: orders, Partition: 1, Key: good.Event.Key, Value: good.Event.Value}
	result := &kgo.Record{Topic: results, Partition: int32(good.Result.Partition+1) % 3, Key: good.Result.Key, Value: change(bytes.Clone(good.Result.Value))}
	manual, err := kgo.NewClient(kgo.SeedBrokers(p.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer manual.Close()
	if err := manual.ProduceSync(deadline(t), event).FirstErr(); err != nil {
		t.Fatal(err)
	}
	result.Headers = []kgo.RecordHeader{
		{Key: "riskscorer.source.topic", Value: []byte("elsewhere")}, // the last one holds
		{Key: "riskscorer.source.topic", Value: []byte(orders)},
		{Key: "riskscorer.source.partition", Value: []byte("1")},
		{Key: "riskscorer.source.offset", Value: fmt.Append(nil, event.Offset)},
	}
	if err := manual.ProduceSync(deadline(t), result).FirstErr(); err != nil {
		t.Fatal(err)
	}
	pair, err := p.reader(1e6).Event(deadline(t), 1, event.Offset)
	if err != nil || pair.Result == nil {
		t.Fatalf("%+v, %v", pair, err)
	}
	return pair
}

func TestADifferenceIsNamedByItsField(t *testing.T) {
	scorer := openScorer(t, demo)
	replaced := func(old, with string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(with), 1) }
	}
	for _, test := range []struct {
		name   string
		change func([]byte) []byte
		fields string // of the differences
	}{
		{"nothing", func(b []byte) []byte { return b }, "[]"},
		{"version", replaced(`"model_version":"trendbuy_xgb_v1.0.0"`, `"model_version":"v2"`), "[{/model_version v2 trendbuy_xgb_v1.0.0}]"},
		{"a field more", replaced(`{"order_id"`, `{"more":[],"order_id"`), "[{/more [] }]"},
		{"a field less", replaced(`"explanation":"EXACT"`, `"x":{"y":1}`), "[{/x/y 1 } {/explanation  EXACT}]"},
		{"only the coding", replaced(`{"order_id"`, `{ "order_id"`), "coding"},
	} {
		p := start(t)
		verdicts, err := models(scorer).Verify(deadline(t), []replay.Pair{p.tamper(t, test.change)})
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		v := verdicts[0]
		got := fmt.Sprint(v.Differences)
		if test.fields == "coding" && len(v.Differences) == 1 && v.Differences[0].Field == "value" {
			got = "coding"
		}
		if got != test.fields || (v.Outcome == replay.Identical) != (test.name == "nothing") {
			t.Errorf("%s: %s, %s", test.name, v.Outcome, got)
		}
	}
}

func TestADecisionThatCannotBeMadeAnew(t *testing.T) {
	p := start(t)
	pair := p.tamper(t, func(b []byte) []byte { return b })
	if _, err := models().Verify(deadline(t), []replay.Pair{pair}); !errors.Is(err, errNotHere) {
		t.Errorf("without its model: %v", err)
	}
	elsewhere := pair
	elsewhere.Result = &replay.Recorded{Record: pair.Result.Record, Result: pair.Result.Result, View: pair.Result.View}
	elsewhere.Result.Key = []byte("another")
	moved, err := models(openScorer(t, demo)).Verify(deadline(t), []replay.Pair{elsewhere})
	if want := "[{key another " + string(pair.Event.Key) + "}]"; err != nil || moved[0].Outcome != replay.Different || fmt.Sprint(moved[0].Differences) != want {
		t.Errorf("a result under another key: %+v, %v", moved, err)
	}
	pair.Event.Value = []byte(`{"order_id":"` + string(pair.Event.Key) + `"}`)
	verdicts, err := models(openScorer(t, demo)).Verify(deadline(t), []replay.Pair{pair})
	if err != nil || verdicts[0].Outcome != replay.Different || verdicts[0].Reject.Class != schemas.RejectDecode {
		t.Errorf("an event that the model refuses: %+v, %v", verdicts, err)
	}
}

// TestTheFirstResultIsTheOneActedOn has two results stand where the topic of results once had other partitions.
func TestTheFirstResultIsTheOneActedOn(t *testing.T) {
	p := start(t)
	event := &kgo.Record{Topic: orders, Key: []byte("ORD_1"), Value: []byte(`{"order_id":"ORD_1"}`)}
	if err := p.witness.ProduceSync(deadline(t), event).FirstErr(); err != nil {
		t.Fatal(err)
	}
	manual, err := kgo.NewClient(kgo.SeedBrokers(p.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(manual.Close)
	at := time.Now().Add(time.Hour)
	for partition := range 3 {
		if partition == broker.PartitionOf(event.Key, 3) {
			continue
		}
		at = at.Add(-time.Minute) // the later partition has the earlier result
		result := &kgo.Record{
			Topic: results, Partition: int32(partition), Key: event.Key, Timestamp: at,
			Value: fmt.Appendf(nil, `{"order_id":"ORD_1","model_version":"written %d","model_digest":"d","engine":"e"}`, at.Unix()),
			Headers: []kgo.RecordHeader{
				{Key: "riskscorer.source.topic", Value: []byte(orders)},
				{Key: "riskscorer.source.partition", Value: fmt.Append(nil, event.Partition)},
				{Key: "riskscorer.source.offset", Value: fmt.Append(nil, event.Offset)},
			},
		}
		if err := manual.ProduceSync(deadline(t), result).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := p.reader(1e6).Event(deadline(t), int(event.Partition), event.Offset)
	if want := fmt.Sprintf("written %d", at.Unix()); err != nil || pair.Result == nil || pair.Result.ModelVersion != want {
		t.Errorf("%+v, %v, want the one %s", pair.Result, err, want)
	}
}

func TestAnotherModelsBandsAreCounted(t *testing.T) {
	p := start(t)
	w := p.write(t, 2000)
	scorer := openScorer(t, demo)
	changed := openScorer(t, edited(t, `"medium": 0.4`, `"medium": 0.1`))
	p.serve(t, scorer, true)
	p.serve(t, changed, true) // its results come second, and nobody acts on them
	pairs := p.all(t)
	const medium = 0.1
	other := replay.NewModel(changed, source, schemas.RefuseExtra)
	var tally, want replay.Tally
	comparisons, err := other.Compare(deadline(t), pairs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range comparisons {
		c := &comparisons[i]
		tally.Add(c)
		if c.Result == nil {
			continue
		}
		if c.Result.ModelDigest != scorer.Digest().String() {
			t.Fatalf("%s: the result of another model than the first", c.Event.Key)
		}
		from, to := 0, 0
		switch c.Result.RiskBand {
		case "MEDIUM":
			from, to = 1, 1
		case "HIGH":
			from, to = 2, 2
		}
		if from == 0 && c.Decision.Score >= medium {
			to = 1
		}
		want.Bands[from][to]++
		if c.BandChanged() != (from != to) {
			t.Errorf("%s: %s, now %s", c.Event.Key, c.Result.RiskBand, c.Decision.Band)
		}
	}
	if tally.Bands != want.Bands || tally.Changed != want.Bands[0][1] || tally.Changed == 0 || tally.Bands[2][2] == 0 {
		t.Errorf("got %v with %d changed, want %v", tally.Bands, tally.Changed, want.Bands)
	}
	if tally.Events != 2000 || tally.Refused != w.bad || tally.Tombstones != w.tombstones || tally.NoResult != 0 || tally.MaxScore != 0 || math.Abs(tally.MeanDiff) != 0 {
		t.Errorf("%+v", tally)
	}
}
