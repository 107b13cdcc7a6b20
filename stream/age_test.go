package stream_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/ordergen"
)

// The age is the event's own, or Kafka's where it has none; a stale result has the same value, and says in a header
// that it is stale.
func TestOldEventsAreScoredAndMarked(t *testing.T) {
	c := config
	c.MaxEventAge = time.Hour
	marking, plain := newSetupOf(t, c), newSetup(t)
	order := ordergen.New(ordergen.Config{Seed: 40}).Next()
	event := func(occurred, kafka time.Time) broker.Record {
		o := order
		o.OccurredAt = occurred
		value := o.AppendJSON(nil)
		if occurred.IsZero() {
			value = bytes.Replace(value, []byte(`"occurred_at":"0001-01-01T00:00:00.000Z",`), nil, 1)
		}
		r := record(0, nil, value)
		r.Time = kafka
		return r
	}
	now := time.Now()
	for name, tt := range map[string]struct {
		record broker.Record
		stale  bool
	}{
		"new":                       {event(now.Add(-59*time.Minute), now), false},
		"old":                       {event(now.Add(-61*time.Minute), now), true},
		"new, long in the topic":    {event(now, now.Add(-100*time.Hour)), false},
		"without a time, new":       {event(time.Time{}, now), false},
		"without a time, old":       {event(time.Time{}, now.Add(-61*time.Minute)), true},
		"from a clock that is fast": {event(now.Add(time.Hour), now), false},
	} {
		marking.published.records, plain.published.records = nil, nil
		for _, s := range []*setup{marking, plain} {
			if err := s.worker.Handle(t.Context(), []broker.Record{tt.record}); err != nil {
				t.Fatal(err)
			}
			if n := len(s.published.of("results")); n != 1 {
				t.Fatalf("%s: %d results of %s", name, n, tt.record.Value)
			}
		}
		a, b := marking.published.records[0], plain.published.records[0]
		if got := headers(a)[broker.HeaderStale] == "true"; got != tt.stale {
			t.Errorf("%s: stale is %v", name, got)
		}
		if _, there := headers(b)[broker.HeaderStale]; there {
			t.Errorf("%s: marked with MAX_EVENT_AGE=0", name)
		}
		if !bytes.Equal(a.Value, b.Value) {
			t.Errorf("%s: the mark changes the value", name)
		}
	}
	c.RejectShare, c.MaxEventAge = 0.5, -time.Second
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "MAX_EVENT_AGE") {
		t.Errorf("a negative age: %v", err)
	}
}
