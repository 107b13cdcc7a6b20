package ordergen_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/trendbuy/riskscorer/ordergen"
)

func TestEveryBreakChangesTheEventOfEveryOrder(t *testing.T) {
	for _, o := range orders(t, ordergen.Config{Seed: 10}, 500) {
		sound := o.AppendJSON(nil)
		for _, b := range ordergen.Breaks() {
			event := o.Broken(b)
			if b == ordergen.OtherKey {
				if !bytes.Equal(event.Value, sound) || string(event.Key) == o.ID {
					t.Fatalf("%s of %s: key %q, value %q", b, o.ID, event.Key, event.Value)
				}
				continue
			}
			if bytes.Equal(event.Value, sound) {
				t.Fatalf("%s leaves %s as it is", b, sound)
			}
			if o.Broken(b).Break != b || b.RejectClass() == "" || b.String() == "" {
				t.Fatalf("break %d: %q, class %q", b, b, b.RejectClass())
			}
		}
	}
}

// What does not parse is of class decode or frame; the rest is plain JSON that breaks the contract in one place.
func TestBreaksAreOfTheirClass(t *testing.T) {
	for _, o := range orders(t, ordergen.Config{Seed: 11}, 500) {
		for _, b := range ordergen.Breaks() {
			value := o.Broken(b).Value
			parses := json.Valid(value) && utf8.Valid(value) && b != ordergen.DuplicateName
			wantParses := b.RejectClass() != "decode" && b.RejectClass() != "frame"
			if parses != wantParses {
				t.Errorf("%s (%s): %s", b, b.RejectClass(), value)
			}
		}
	}
}

func TestBrokenEventsOfASeedAreTheSameAndOfAllKinds(t *testing.T) {
	one, two := ordergen.New(ordergen.Config{Seed: 12}), ordergen.New(ordergen.Config{Seed: 12})
	seen := make(map[ordergen.Break]int)
	for range 2000 {
		a, b := one.NextBroken(), two.NextBroken()
		if a.Break != b.Break || !bytes.Equal(a.Key, b.Key) || !bytes.Equal(a.Value, b.Value) {
			t.Fatalf("%+v and %+v", a, b)
		}
		seen[a.Break]++
	}
	for _, b := range ordergen.Breaks() {
		if seen[b] < 50 {
			t.Errorf("%s: %d of 2000", b, seen[b])
		}
	}
}

func TestBrokenEventsDoNotMoveTheOrders(t *testing.T) {
	mixed, plain := ordergen.New(ordergen.Config{Seed: 13}), ordergen.New(ordergen.Config{Seed: 13})
	for i := range 100 {
		if i%3 == 0 {
			mixed.NextBroken()
			plain.Next()
			continue
		}
		if a, b := mixed.Next(), plain.Next(); !bytes.Equal(a.AppendJSON(nil), b.AppendJSON(nil)) || a.Regret != b.Regret {
			t.Fatalf("order %d: %+v and %+v", i, a, b)
		}
	}
}
