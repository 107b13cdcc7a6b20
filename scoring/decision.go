package scoring

import (
	"strconv"

	"github.com/trendbuy/riskscorer/scoring/bundle"
)

// Band is a decision's risk band.
type Band string

// The bands, from the thresholds of the bundle.
const (
	Low    Band = "LOW"
	Medium Band = "MEDIUM"
	High   Band = "HIGH"
)

// Explanation says how a decision's reasons were made.
type Explanation string

// The explanations.
const (
	Exact  Explanation = "EXACT"  // exact SHAP contributions of this order
	Global Explanation = "GLOBAL" // the bundle's stored importances, where the engine cannot explain
	None   Explanation = "NONE"   // shed by an overloaded synchronous call
)

// Decision is what one order's score means.
type Decision struct {
	OrderID string
	// PredictionID identifies engine, model, order and row: see PredictionID.
	PredictionID string
	// Margin is the raw sum of leaves; Score the probability of regret; RiskScore the score rounded to 4 decimals.
	Margin, Score, RiskScore float64
	Band                     Band
	// Reasons are the features with the largest |contribution|, the largest first: TopReasons of them, fewer where
	// contributions are zero.
	Reasons     []Reason
	Explanation Explanation
	// Contributions are all features' SHAP values in training order, in margin units, and Base is what they add to.
	// Empty unless Explanation is Exact.
	Contributions []float64
	Base          float64
}

// TopReasons bounds the reasons of a decision.
const TopReasons = 3

// Reason is catalogue text for one feature's contribution.
type Reason struct {
	Code, Text, Feature string
	Contribution        float64
}

func band(score float64, t bundle.Thresholds) Band {
	switch {
	case score < t.Medium:
		return Low
	case score < t.High:
		return Medium
	default:
		return High
	}
}

// round4 rounds to 4 decimals as decimal notation does, exactly: halves of the double's own decimal value to even.
func round4(score float64) float64 {
	// A formatted finite float64 always parses.
	x, _ := strconv.ParseFloat(strconv.FormatFloat(score, 'f', 4, 64), 64)
	return x
}
