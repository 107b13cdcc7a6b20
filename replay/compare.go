package replay

import (
	"context"
	"math"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

// Comparison is what a model decides about an event, beside the result that was recorded.
type Comparison struct {
	Pair
	Decision *scoring.Decision // nil for a tombstone, and where the model refuses the event
	Reject   *schemas.Reject   // nil unless the model refuses the event
}

// BandChanged says whether there are both decisions and their bands differ.
func (c *Comparison) BandChanged() bool {
	return c.Decision != nil && c.Result != nil && c.Result.RiskBand != string(c.Decision.Band)
}

// Compare decides the events with the model.
func (m *Model) Compare(ctx context.Context, pairs []Pair) ([]Comparison, error) {
	events := make([]*broker.Record, len(pairs))
	for i := range pairs {
		events[i] = &pairs[i].Event
	}
	decisions, err := m.decide(ctx, events)
	if err != nil {
		return nil, err
	}
	out := make([]Comparison, len(pairs))
	for i := range pairs {
		out[i] = Comparison{Pair: pairs[i], Reject: decisions[i].reject}
		if pairs[i].Event.Value != nil && decisions[i].reject == nil {
			out[i].Decision = &decisions[i].decision
		}
	}
	return out, nil
}

// Bands are the bands in the order of a Tally's matrix.
func Bands() [3]scoring.Band { return [3]scoring.Band{scoring.Low, scoring.Medium, scoring.High} }

// Tally sums comparisons up.
type Tally struct {
	Events     int `json:"events"`
	Tombstones int `json:"tombstones"`
	Refused    int `json:"refused"`   // by the model, whatever was recorded
	NoResult   int `json:"no_result"` // decided by the model, without a result to compare with
	// Bands counts by the recorded band and then by the model's, each in the order of Bands.
	Bands    [3][3]int `json:"bands"`
	Changed  int       `json:"changed"`           // off the diagonal
	MaxScore float64   `json:"max_score_change"`  // the largest absolute difference of two risk scores
	MeanDiff float64   `json:"mean_score_change"` // of the model's less the recorded
	sum      float64
}

// Add counts a comparison.
func (t *Tally) Add(c *Comparison) {
	t.Events++
	switch {
	case c.Event.Value == nil:
		t.Tombstones++
		return
	case c.Decision == nil:
		t.Refused++
		return
	case c.Result == nil:
		t.NoResult++
		return
	}
	for i, from := range Bands() {
		for j, to := range Bands() {
			if c.Result.RiskBand == string(from) && c.Decision.Band == to {
				t.Bands[i][j]++
			}
		}
	}
	if c.BandChanged() {
		t.Changed++
	}
	diff := c.Decision.RiskScore - c.Result.RiskScore
	t.sum += diff
	t.MaxScore = max(t.MaxScore, math.Abs(diff))
	t.MeanDiff = t.sum / float64(t.compared())
}

func (t *Tally) compared() int { return t.Events - t.Tombstones - t.Refused - t.NoResult }
