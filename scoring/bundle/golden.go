package bundle

import (
	"bufio"
	"bytes"
	"fmt"
	"math"

	json "github.com/go-json-experiment/json"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// scoreTolerance allows two float32 steps below 1: exp differs by one between mathematical libraries.
const scoreTolerance = 1.2e-7

// Parity is how far the engine's numbers were from the training library's over the golden rows.
type Parity struct {
	Rows int `json:"rows"`
	// MaxMargin is the largest difference of a margin, relative to the margin; 0 is bit-exact.
	MaxMargin float64 `json:"max_margin_difference"`
	// MaxScore is the largest difference of a score.
	MaxScore float64 `json:"max_score_difference"`
	// MaxContribution is the largest difference of a contribution, relative to max(1, sum of |contribution|).
	MaxContribution float64 `json:"max_contribution_difference"`
}

// GoldenRow is one line of golden.jsonl: a row and the training library's numbers for it.
type GoldenRow struct {
	Row           []*float64 `json:"row"` // null is missing
	Margin        float64    `json:"margin"`
	Score         float64    `json:"score"`
	Contributions []float64  `json:"contributions"` // the bias last
}

// Features returns the row with NaN for missing.
func (g *GoldenRow) Features() []float64 {
	row := make([]float64, len(g.Row))
	for i, x := range g.Row {
		row[i] = math.NaN()
		if x != nil {
			row[i] = *x
		}
	}
	return row
}

func parseGolden(data []byte, features int) ([]GoldenRow, error) {
	var rows []GoldenRow
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var g GoldenRow
		if err := json.Unmarshal(lines.Bytes(), &g, json.RejectUnknownMembers(true)); err != nil {
			return nil, fmt.Errorf("%s line %d: %w", goldenName, len(rows)+1, err)
		}
		if len(g.Row) != features || len(g.Contributions) != features+1 {
			return nil, fmt.Errorf("%s line %d: %d features and %d contributions, want %d and %d",
				goldenName, len(rows)+1, len(g.Row), len(g.Contributions), features, features+1)
		}
		rows = append(rows, g)
	}
	return rows, lines.Err()
}

// verifyGolden scores and explains every golden row and compares the numbers with the training library's.
func verifyGolden(data []byte, m *Manifest, f *forest.Forest) (Parity, error) {
	rows, err := parseGolden(data, len(m.Features))
	if err != nil {
		return Parity{}, err
	}
	if len(rows) != m.Golden.Rows {
		return Parity{}, fmt.Errorf("%s has %d rows, the manifest says %d", goldenName, len(rows), m.Golden.Rows)
	}
	parity := Parity{Rows: len(rows)}
	var margin, score [1]float64
	contributions := make([]float64, f.NumFeature+1)
	for i := range rows {
		g := &rows[i]
		row := g.Features()
		f.MarginsTo(margin[:], row)
		f.PredictionsTo(score[:], margin[:])
		parity.MaxMargin = max(parity.MaxMargin, relative(margin[0], g.Margin))
		parity.MaxScore = max(parity.MaxScore, math.Abs(score[0]-g.Score))
		// Negated, so that a NaN, which compares false with everything, fails too.
		if !(parity.MaxMargin <= m.Golden.MarginTolerance) {
			return parity, fmt.Errorf("row %d: margin %v, the training library says %v", i+1, margin[0], g.Margin)
		}
		if !(parity.MaxScore <= scoreTolerance) {
			return parity, fmt.Errorf("row %d: score %v, the training library says %v", i+1, score[0], g.Score)
		}
		if !f.Explains() {
			continue
		}
		f.ContributionsTo(contributions, row)
		feature, difference := worstContribution(contributions, g.Contributions)
		parity.MaxContribution = max(parity.MaxContribution, difference)
		if !(difference <= m.Golden.ContributionTolerance) {
			return parity, fmt.Errorf("row %d: contribution %d is %v, the training library says %v",
				i+1, feature, contributions[feature], g.Contributions[feature])
		}
	}
	return parity, nil
}

func relative(got, want float64) float64 {
	if got == want {
		return 0
	}
	return math.Abs(got-want) / math.Max(math.Abs(want), math.SmallestNonzeroFloat32)
}

func worstContribution(got, want []float64) (feature int, difference float64) {
	sum := 0.0
	for _, phi := range want[:len(want)-1] {
		sum += math.Abs(phi)
	}
	for i := range want {
		d := math.Abs(got[i]-want[i]) / max(1, sum)
		if math.IsNaN(d) {
			return i, d
		}
		if d > difference {
			feature, difference = i, d
		}
	}
	return feature, difference
}
