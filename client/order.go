package client

import "time"

// Order is what is asked about: the event that the checkout also publishes to Kafka.
type Order struct {
	// OrderID is 1 to 256 bytes of UTF-8 without control characters.
	OrderID string `json:"order_id"`
	// EventVersion rises with every change of the features of the same order. It is part of the prediction id.
	EventVersion int64 `json:"event_version,omitzero"`
	// OccurredAt is the event's time. Zero leaves it out.
	OccurredAt time.Time `json:"occurred_at,omitzero"`
	// Features are the model's features by name: numbers and strings. Nil, and no entry, mean that an optional feature
	// is missing; NaN and infinities are refused, with an error, before anything is sent.
	Features map[string]any `json:"features"`
}

// Band is what to act on.
type Band string

// The bands. Their thresholds belong to the model.
const (
	Low    Band = "LOW"
	Medium Band = "MEDIUM"
	High   Band = "HIGH"
)

// Explanation says how the reasons were made.
type Explanation string

// The explanations. A later version of the service may know others.
const (
	Exact  Explanation = "EXACT"  // exact SHAP contributions of this order
	Global Explanation = "GLOBAL" // the model's usual reasons, not this order's
	None   Explanation = "NONE"   // an overloaded service left the reasons out
)

// Decision is what the service says of one order: the same over POST /score and on the results' topic.
type Decision struct {
	OrderID string `json:"order_id"`
	// RiskScore is a probability in [0, 1], rounded to four decimals; RiskBand is that of the unrounded one.
	RiskScore    float64 `json:"risk_score"`
	RiskBand     Band    `json:"risk_band"`
	ModelVersion string  `json:"model_version"`
	// TopContributors are up to three texts for people, the strongest first. Do not match them.
	TopContributors []string `json:"top_contributors"`
	// PredictionID names the decision: lower-case hex, equal for the same order, event version, model and engine.
	PredictionID string      `json:"prediction_id"`
	Explanation  Explanation `json:"explanation"`
}

// Explained is a decision with all its reasons: BaseValue and the contributions add up to Margin, but for rounding.
type Explained struct {
	Decision
	// Margin is the raw sum of the model's trees, in log-odds for the demo model.
	Margin      float64  `json:"margin"`
	BaseValue   float64  `json:"base_value"`
	Engine      string   `json:"engine"`
	ModelDigest string   `json:"model_digest"`
	Reasons     []Reason `json:"reasons"`
}

// Reason is one feature's part in a decision.
type Reason struct {
	Code    string `json:"code"` // stable, for programs
	Text    string `json:"text"` // for people
	Feature string `json:"feature"`
	// Contribution is the feature's SHAP value, in units of the margin.
	Contribution float64 `json:"contribution"`
}

// Item is one order's part of a batch's answer.
type Item struct {
	// Decision is the order's, and zero where there is a Problem.
	Decision Decision
	// Problem says why there is no decision, and is nil where there is one.
	Problem *Problem
}
