package bundle

import (
	"fmt"
	"math"
)

// The differences from the training library's numbers that a judge may show: its sums are not the library's, which
// adds in float32. docs/decisions/0007-leaves-as-judge.md has what was measured.
const (
	judgeMarginTolerance = 2e-5 // relative to max(1, |margin|)
	judgeScoreTolerance  = 2e-6
)

// Judge is an engine that computes margins and probabilities by an implementation of its own. The shapes are those of
// [forest.Forest].
type Judge interface {
	MarginsTo(dst, rows []float64)
	PredictionsTo(dst, margins []float64)
}

// Judgement is how far a judge's numbers were from the training library's over the golden rows.
type Judgement struct {
	Rows int `json:"rows"` // how many were judged: all of them, or those up to the first that differs
	// MaxMargin is the largest difference of a margin, relative to max(1, |margin|).
	MaxMargin float64 `json:"max_margin_difference"`
	// MaxScore is the largest difference of a score.
	MaxScore float64 `json:"max_score_difference"`
}

// Judge has another engine compute the golden rows. The error names the first row whose numbers are further from the
// training library's than rounding explains.
func (b *Bundle) Judge(judge Judge) (Judgement, error) {
	rows, err := parseGolden(b.golden, len(b.Manifest.Features))
	if err != nil {
		return Judgement{}, err
	}
	var j Judgement
	var margin, score [1]float64
	for i := range rows {
		g := &rows[i]
		j.Rows++
		judge.MarginsTo(margin[:], g.Features())
		judge.PredictionsTo(score[:], margin[:])
		m := math.Abs(margin[0]-g.Margin) / max(1, math.Abs(g.Margin))
		s := math.Abs(score[0] - g.Score)
		j.MaxMargin, j.MaxScore = max(j.MaxMargin, m), max(j.MaxScore, s)
		// The negations catch a NaN, which compares false with everything.
		if !(m <= judgeMarginTolerance) {
			return j, fmt.Errorf("row %d: margin %v, the training library says %v", i+1, margin[0], g.Margin)
		}
		if !(s <= judgeScoreTolerance) {
			return j, fmt.Errorf("row %d: score %v, the training library says %v", i+1, score[0], g.Score)
		}
	}
	return j, nil
}
