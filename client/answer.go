package client

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ErrAnswer is the error of an answer of status 200 that is no decision on the order: cut, garbled, too long, or of
// another server.
var ErrAnswer = errors.New("the answer is no decision")

// The longest answers that are read. A full explanation has some 150 bytes a feature; the longest batch is one of
// problems, with up to 32 faults each.
const (
	maxAnswer      = 1 << 20
	maxBatchAnswer = 16 << 20
)

// answered is a decision on the wire. A score that is absent is told from one of 0.
type answered struct {
	Explained
	Score *float64 `json:"risk_score"`
}

// decision returns what was answered, if it is a decision on the order.
func (a *answered) decision(orderID string) (Explained, error) {
	e := a.Explained
	switch {
	case e.OrderID != orderID:
		return Explained{}, fmt.Errorf("%w: it is about another order", ErrAnswer)
	case a.Score == nil || *a.Score < 0 || *a.Score > 1:
		return Explained{}, fmt.Errorf("%w: risk_score is not in [0, 1]", ErrAnswer)
	case e.RiskBand != Low && e.RiskBand != Medium && e.RiskBand != High:
		return Explained{}, fmt.Errorf("%w: risk_band is none that is known", ErrAnswer)
	case e.PredictionID == "" || e.ModelVersion == "" || e.Explanation == "":
		return Explained{}, fmt.Errorf("%w: prediction_id, model_version or explanation is missing", ErrAnswer)
	}
	e.RiskScore = *a.Score
	return e, nil
}

// parseDecision reads the answer of /score. Names that it does not know are passed over: answers may gain some.
func parseDecision(answer []byte, orderID string) (Explained, error) {
	var a answered
	if err := json.Unmarshal(answer, &a); err != nil {
		return Explained{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return a.decision(orderID)
}

// parseItems reads the answer of /score/batch, which has an item for each order.
func parseItems(answer []byte, orders []Order) ([]Item, error) {
	var values []jsontext.Value
	if err := json.Unmarshal(answer, &values); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if len(values) != len(orders) {
		return nil, fmt.Errorf("%w: %d items for %d orders", ErrAnswer, len(values), len(orders))
	}
	items := make([]Item, len(values))
	for i, value := range values {
		var kind struct {
			Status *int `json:"status"` // a problem has one, a decision has none
		}
		if err := json.Unmarshal(value, &kind); err != nil {
			return nil, fmt.Errorf("%w: item %d: %w", ErrAnswer, i, err)
		}
		if kind.Status == nil {
			e, err := parseDecision(value, orders[i].OrderID)
			if err != nil {
				return nil, fmt.Errorf("item %d: %w", i, err)
			}
			items[i].Decision = e.Decision
			continue
		}
		p := &Problem{}
		if err := json.Unmarshal(value, p); err != nil {
			return nil, fmt.Errorf("%w: item %d: %w", ErrAnswer, i, err)
		}
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
		items[i].Problem = p
	}
	return items, nil
}
