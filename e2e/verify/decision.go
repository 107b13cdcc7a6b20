package verify

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// contributionTolerance is the tolerated difference of contributions, as a share of the sum of their absolute values:
// the training library adds in float32, the product in float64.
const contributionTolerance = 1e-5

// topContributors is how many reasons a result gives.
const topContributors = 3

// Decision is what the training library computes for one order: a line of its oracle's output.
type Decision struct {
	OrderID      string   `json:"order_id"`
	EventVersion int64    `json:"event_version"`
	PredictionID string   `json:"prediction_id"`
	RiskScore    float64  `json:"risk_score"`
	Margin       float64  `json:"margin"` // a float32
	RiskBand     string   `json:"risk_band"`
	ModelVersion string   `json:"model_version"`
	ModelDigest  string   `json:"model_digest"`
	Engine       string   `json:"engine"`
	Reasons      []Reason `json:"reasons"`
	// Contributions are in margin units and in the order of Features; the bias, which the oracle writes last, is cut off.
	Contributions []float64 `json:"contributions"`
	Features      []string  `json:"-"` // in training order, shared by all decisions
}

// ReadDecisions reads the oracle's output, one decision a line. features are the model's, in training order.
func ReadDecisions(r io.Reader, features []string) ([]*Decision, error) {
	var decisions []*Decision
	for lines := json.NewDecoder(r); ; {
		d := &Decision{Features: features}
		if err := lines.Decode(d); errors.Is(err, io.EOF) {
			return decisions, nil
		} else if err != nil {
			return nil, fmt.Errorf("decision %d: %w", len(decisions), err)
		}
		if len(d.Contributions) != len(features)+1 {
			return nil, fmt.Errorf("decision %d: %d contributions for %d features and the bias", len(decisions), len(d.Contributions), len(features))
		}
		d.Contributions = d.Contributions[:len(features)]
		decisions = append(decisions, d)
	}
}

// Differences says in which ways a result is not the decision; none if it is.
func (d *Decision) Differences(r *RiskResult) []string {
	var out []string
	for _, field := range []struct{ name, got, want string }{
		{"order_id", r.OrderID, d.OrderID},
		{"prediction_id", r.PredictionID, d.PredictionID},
		{"risk_band", r.RiskBand, d.RiskBand},
		{"model_version", r.ModelVersion, d.ModelVersion},
		{"model_digest", r.ModelDigest, d.ModelDigest},
		{"engine", r.Engine, d.Engine},
		{"explanation", r.Explanation, "EXACT"},
	} {
		if field.got != field.want {
			out = append(out, fmt.Sprintf("%s is %q, want %q", field.name, field.got, field.want))
		}
	}
	if r.EventVersion != d.EventVersion {
		out = append(out, fmt.Sprintf("event_version is %d, want %d", r.EventVersion, d.EventVersion))
	}
	if math.Float64bits(r.RiskScore) != math.Float64bits(d.RiskScore) {
		out = append(out, fmt.Sprintf("risk_score is %v, want %v", r.RiskScore, d.RiskScore))
	}
	if math.Float64bits(r.Margin) != math.Float64bits(float64(float32(d.Margin))) {
		out = append(out, fmt.Sprintf("margin is %v, want %v", r.Margin, d.Margin))
	}
	return append(out, d.reasonDifferences(r)...)
}

// reasonDifferences compares the reasons place by place. Two features may change places where their contributions are as
// close as the tolerance, so each place is judged by the size that belongs there.
func (d *Decision) reasonDifferences(r *RiskResult) []string {
	var out []string
	sizes, tolerance := d.sizes()
	places := min(topContributors, len(sizes))
	texts := make([]string, len(r.Reasons))
	for i, reason := range r.Reasons {
		texts[i] = reason.Text
		again := slices.ContainsFunc(r.Reasons[:i], func(before Reason) bool { return before.Feature == reason.Feature })
		f := slices.Index(d.Features, reason.Feature)
		switch {
		case f < 0:
			out = append(out, fmt.Sprintf("reason %d: the model has no feature %q", i, reason.Feature))
		case again:
			out = append(out, fmt.Sprintf("reason %d: %s again", i, reason.Feature))
		case math.Abs(reason.Contribution-d.Contributions[f]) > tolerance:
			out = append(out, fmt.Sprintf("reason %d: %s contributes %v, want %v within %.3g",
				i, reason.Feature, reason.Contribution, d.Contributions[f], tolerance))
		case i >= places || math.Abs(math.Abs(d.Contributions[f])-sizes[i]) > tolerance:
			out = append(out, fmt.Sprintf("reason %d: %s does not stand at this place", i, reason.Feature))
		case !d.worded(reason):
			out = append(out, fmt.Sprintf("reason %d: %s says %s %q, want one of %v", i, reason.Feature, reason.Code, reason.Text, d.Reasons))
		}
	}
	if given := len(r.Reasons); given < places && sizes[given] > tolerance {
		out = append(out, fmt.Sprintf("%d reasons, one more contributes %v", given, sizes[given]))
	}
	if !slices.Equal(r.TopContributors, texts) {
		out = append(out, fmt.Sprintf("top_contributors %q are not the reasons' texts %q", r.TopContributors, texts))
	}
	return out
}

// sizes returns the absolute contributions, the largest first, and the tolerance of a comparison with them.
func (d *Decision) sizes() (sizes []float64, tolerance float64) {
	sum := 0.0
	for _, c := range d.Contributions {
		sizes = append(sizes, math.Abs(c))
		sum += math.Abs(c)
	}
	slices.SortFunc(sizes, func(a, b float64) int { return cmp.Compare(b, a) })
	return sizes, contributionTolerance * sum
}

// worded says whether the oracle words the feature's reason alike. It words only its own top contributors: a feature that
// changed places with the last of them has passed the comparison of sizes, and its words are not known here.
func (d *Decision) worded(reason Reason) bool {
	i := slices.IndexFunc(d.Reasons, func(own Reason) bool { return own.Feature == reason.Feature })
	return i < 0 || (d.Reasons[i].Code == reason.Code && d.Reasons[i].Text == reason.Text)
}
