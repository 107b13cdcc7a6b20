package scoring_test

import (
	"reflect"
	"testing"

	"github.com/trendbuy/riskscorer/scoring"
)

// TestUnexplainedDecisionsAreTheSame: what is shed is the reasons, and nothing of the decision.
func TestUnexplainedDecisionsAreTheSame(t *testing.T) {
	b := openDemo(t)
	s, _ := newScorer(t, b, b.Forest)
	orders, _ := goldenOrders(t)
	full, bare := s.Decide(nil, orders), s.DecideUnexplained(make([]scoring.Decision, 1, 8), orders)[1:]
	if len(full) != len(bare) {
		t.Fatalf("%d and %d decisions", len(full), len(bare))
	}
	for i := range full {
		want := full[i]
		want.Explanation, want.Reasons, want.Contributions, want.Base = scoring.None, nil, nil, 0
		if !reflect.DeepEqual(bare[i], want) {
			t.Fatalf("order %d: %+v, want %+v", i, bare[i], want)
		}
		if all := s.AllReasons(&bare[i], &orders[i]); len(all) != 0 {
			t.Fatalf("order %d: reasons %v of a decision without", i, all)
		}
	}
}

// TestAnEngineThatCannotExplainShedsNothing: its reasons cost nothing.
func TestAnEngineThatCannotExplainShedsNothing(t *testing.T) {
	b := openDemo(t)
	s, _ := newScorer(t, b, mute{b.Forest})
	orders := []scoring.Order{example(t, s.Contract())}
	if full, bare := s.Decide(nil, orders), s.DecideUnexplained(nil, orders); !reflect.DeepEqual(full, bare) || bare[0].Explanation != scoring.Global {
		t.Errorf("%+v, want %+v", bare, full)
	}
}
