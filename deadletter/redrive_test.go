package deadletter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/deadletter"
	"github.com/trendbuy/riskscorer/schemas"
)

var redrive = deadletter.Redrive{Topic: orders, MaxAttempts: 3, Rate: 1000}

func (p *place) position(t *testing.T, f deadletter.Filter) *deadletter.Position {
	t.Helper()
	spans, err := p.reader.Spans(deadline(t), f)
	if err != nil {
		t.Fatal(err)
	}
	return deadletter.NewPosition(letters, f, spans)
}

// tally prints the tallies of a run.
func tally(of map[schemas.RejectClass]*deadletter.Tally) string {
	var out []string
	for _, class := range append(schemas.RejectClasses(), "") {
		if t := of[class]; t != nil {
			out = append(out, fmt.Sprintf("%s %d/%d/%d", class, t.Redriven, t.Exhausted, t.TooLarge))
		}
	}
	return strings.Join(out, ", ")
}

func TestARedrivenRecordIsWhatItWas(t *testing.T) {
	p := start(t)
	first, second := letter("A", "one", schemas.RejectFeatureRange, 1), letter("A", "two", schemas.RejectFrame, 2)
	exhausted, foreign := letter("A", "three", schemas.RejectFeatureRange, 3), letter("A", "four", "", 1)
	foreign.Headers = foreign.Headers[:3] // as upstream sent it, without a word of ours
	p.write(t, first)
	p.write(t, second)
	p.write(t, exhausted)
	p.write(t, foreign)
	tallies, err := redrive.Run(deadline(t), p.reader, p.position(t, deadletter.Filter{}), deadletter.Filter{}, p.publisher(), nil)
	if got := tally(tallies); err != nil || got != "frame 1/0/0, feature_range 1/1/0,  1/0/0" {
		t.Fatalf("%s, %v", got, err)
	}
	got := p.redriven(t, 3)
	want := []*kgo.Record{first, second, foreign}
	want[2].Headers = append(want[2].Headers, kgo.RecordHeader{Key: "riskscorer.attempt", Value: []byte("1")})
	for i, r := range got {
		if !bytes.Equal(r.Key, want[i].Key) || !bytes.Equal(r.Value, want[i].Value) || fmt.Sprint(r.Headers) != fmt.Sprint(want[i].Headers) {
			t.Errorf("record %d: %s %s %v\nwant %s %s %v", i, r.Key, r.Value, r.Headers, want[i].Key, want[i].Value, want[i].Headers)
		}
	}
	if got[0].Headers[2].Value != nil {
		t.Error("a null header came back as an empty one")
	}
}

func TestADryRunPublishesNothing(t *testing.T) {
	p := start(t)
	p.write(t, letter("A", "one", schemas.RejectFeatureRange, 1), letter("B", "two", schemas.RejectFeatureRange, 3))
	dry := redrive
	dry.DryRun = true
	at := p.position(t, deadletter.Filter{})
	tallies, err := dry.Run(deadline(t), p.reader, at, deadletter.Filter{}, p.publisher(), func(*deadletter.Position) error {
		t.Error("a dry run saves its position")
		return nil
	})
	if got := tally(tallies); err != nil || got != "feature_range 1/1/0" || p.ends() != 0 {
		t.Errorf("%s, %v, %d records", got, err, p.ends())
	}
}

// looping makes a new dead letter of each record that it publishes, as a service does that refuses it again.
type looping struct {
	deadletter.Publisher
	place *place
}

func (l looping) Publish(ctx context.Context, records []broker.Record) error {
	for range records {
		if err := l.place.witness.ProduceSync(ctx, letter("A", "again", schemas.RejectFeatureRange, 2)).FirstErr(); err != nil {
			return err
		}
	}
	return l.Publisher.Publish(ctx, records)
}

func TestLettersThatComeMeanwhileAreLeft(t *testing.T) {
	p := start(t)
	for range 20 {
		p.write(t, letter("A", "one", schemas.RejectFeatureRange, 1))
	}
	slow := redrive
	slow.Rate = 50 // batches of 5
	begin := time.Now()
	tallies, err := slow.Run(deadline(t), p.reader, p.position(t, deadletter.Filter{}), deadletter.Filter{}, looping{p.publisher(), p}, nil)
	if got := tally(tallies); err != nil || got != "feature_range 20/0/0" || p.ends() != 20 {
		t.Errorf("%s, %v, %d records", got, err, p.ends())
	}
	// The last of four batches is due after 15 letters.
	if took := time.Since(begin); took < 300*time.Millisecond {
		t.Errorf("20 letters at 50 a second took %v", took)
	}
}

// failing lets so many publications pass; of the next one the records arrive, but not the answer.
type failing struct {
	deadletter.Publisher
	pass int
}

var errUnanswered = errors.New("no answer")

func (f *failing) Publish(ctx context.Context, records []broker.Record) error {
	if err := f.Publisher.Publish(ctx, records); err != nil {
		return err
	}
	if f.pass--; f.pass < 0 {
		return errUnanswered
	}
	return nil
}

func TestAnInterruptedRedriveGoesOn(t *testing.T) {
	p := start(t)
	const n, batch = 60, 10
	for i := range n {
		class := schemas.RejectFeatureRange
		if i%5 == 0 {
			class = schemas.RejectFrame
		}
		p.write(t, letter(fmt.Sprint("ORD_", i), fmt.Sprint(i), class, 1))
	}
	file := filepath.Join(t.TempDir(), "position.json")
	if at, err := deadletter.Load(file); at != nil || err != nil {
		t.Fatalf("no file: %v, %v", at, err)
	}
	f := deadletter.Filter{Classes: []schemas.RejectClass{schemas.RejectFeatureRange}}
	slow := redrive
	slow.Rate = 10 * batch
	save := func(at *deadletter.Position) error { return at.Save(file) }
	tallies, err := slow.Run(deadline(t), p.reader, p.position(t, f), f, &failing{p.publisher(), 2}, save)
	if got := tally(tallies); !errors.Is(err, errUnanswered) || got != "feature_range 20/0/0" {
		t.Fatalf("%s, %v", got, err)
	}
	p.write(t, letter("late", "late", schemas.RejectFeatureRange, 1)) // not part of what was begun
	at, err := deadletter.Load(file)
	if err != nil || !at.Filter.Equal(f) || at.Topic != letters {
		t.Fatalf("%+v, %v", at, err)
	}
	tallies, err = slow.Run(deadline(t), p.reader, at, at.Filter, p.publisher(), save)
	if got := tally(tallies); err != nil || got != "feature_range 28/0/0" {
		t.Fatalf("%s, %v", got, err)
	}
	seen := make(map[string]int)
	twice := 0
	for _, r := range p.redriven(t, 48+batch) {
		if seen[string(r.Value)]++; seen[string(r.Value)] == 2 {
			twice++
		}
	}
	if len(seen) != 48 || twice != batch || seen["late"] != 0 {
		t.Errorf("%d letters, %d of them twice", len(seen), twice)
	}
	if at, err = deadletter.Load(file); err != nil {
		t.Fatal(err)
	}
	if !at.Done() {
		t.Errorf("at the end: %+v", at)
	}
}

func TestARedriveStopsAtItsLimit(t *testing.T) {
	p := start(t)
	for i := range 7 {
		p.write(t, letter("A", fmt.Sprint(i), schemas.RejectFrame, 1))
	}
	few := redrive
	few.Limit = 3
	at := p.position(t, deadletter.Filter{})
	for _, want := range []string{"frame 3/0/0", "frame 3/0/0", "frame 1/0/0"} {
		if at.Done() {
			t.Fatalf("done before %s", want)
		}
		tallies, err := few.Run(deadline(t), p.reader, at, deadletter.Filter{}, p.publisher(), nil)
		if got := tally(tallies); err != nil || got != want {
			t.Fatalf("%s, %v, want %s", got, err, want)
		}
	}
	if !at.Done() || p.ends() != 7 {
		t.Errorf("%+v, %d records", at, p.ends())
	}
}

func TestLettersTooLargeForTheTopicAreLeft(t *testing.T) {
	p := start(t)
	const small = "small"
	if err := p.cluster.CreateTopic(small, 1, map[string]string{"max.message.bytes": "20000"}); err != nil {
		t.Fatal(err)
	}
	p.write(t, letter("A", "one", schemas.RejectFrame, 1))
	p.write(t, letter("A", strings.Repeat("x", 30_000), schemas.RejectTooLarge, 1))
	p.write(t, letter("A", "three", schemas.RejectFrame, 1))
	narrow := redrive
	narrow.Topic = small
	tallies, err := narrow.Run(deadline(t), p.reader, p.position(t, deadletter.Filter{}), deadletter.Filter{}, p.publisher(), nil)
	held := p.cluster.PartitionInfo(small, 0).HighWatermark
	if got := tally(tallies); err != nil || got != "frame 2/0/0, too_large 0/0/1" || held != 2 {
		t.Errorf("%s, %v, %d records", got, err, held)
	}
}
