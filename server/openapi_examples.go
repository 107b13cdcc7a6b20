package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strings"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

// examples are the document's. The answers are the model's own to the example order, so they are never stale.
type examples struct {
	order, badOrder     map[string]any
	decision, explained json.RawMessage
	invalid             *problem // for badOrder
	inference           *inferenceExamples
}

func newExamples(m *model, extra schemas.Extra) (*examples, error) {
	contract := m.scorer.Contract()
	x := &examples{order: map[string]any{"order_id": "ORD_12345", "features": exampleFeatures(contract)}}
	body, err := json.Marshal(x.order)
	if err != nil {
		return nil, err
	}
	order, err := schemas.ParseOrder(body, contract, extra)
	if err != nil {
		return nil, err
	}
	d := m.scorer.Decide(nil, []scoring.Order{order})[0]
	x.decision = schemas.AppendAnswer(nil, m.wire, &order, &d, nil)
	rounded := roundDecision(d)
	full := m.scorer.AllReasons(&rounded, &order)
	if x.inference, err = newInferenceExamples(m, x.order, extra); err != nil {
		return nil, err
	}
	x.explained = schemas.AppendAnswer(nil, m.wire, &order, &rounded, full)
	return x, x.spoil(contract, extra)
}

// spoil makes the order whose id and first feature are wrong, and its problem.
func (x *examples) spoil(c *scoring.Contract, extra schemas.Extra) error {
	features, _ := x.order["features"].(map[string]any)
	features = maps.Clone(features)
	features[c.Features()[0].Name] = true
	x.badOrder = map[string]any{"order_id": "", "features": features}
	body, err := json.Marshal(x.badOrder)
	if err != nil {
		return err
	}
	_, err = schemas.ParseOrder(body, c, extra)
	if p, _ := problemOf(err, "/score"); p.Status == statusOf(invalidOrder) {
		x.invalid = p
		return nil
	}
	return fmt.Errorf("an order with a boolean feature is not refused: %w", err)
}

func statusOf(k kind) int {
	code, _ := k.status()
	return code
}

// item is the problem of badOrder in a batch, behind one other.
func (x *examples) item() *problem {
	p := *x.invalid
	p.Instance = "/score/batch#/1"
	return &p
}

// problem is an example of a kind.
func (x *examples) problem(k kind, instance string) *problem {
	p := newProblem(k, x.concrete(instance), "", []fault{})
	switch k {
	case syntax:
		p.Errors = []fault{{Pointer: "/order_id", Detail: "The name stands twice in its object."}}
		p.Detail = "at byte 27: " + p.Errors[0].Detail
	case invalidOrder:
		switch {
		case instance == "/score":
			return x.invalid
		case inference(instance):
			matrix := *x.inference.matrix
			matrix.Instance, matrix.Error = p.Instance, matrix.Detail
			return &matrix
		}
		p.Errors = []fault{{Pointer: "", Detail: "must have at least one order event"}}
		p.Detail = p.Errors[0].Detail
	case unauthorized:
		p.Detail = "send Authorization: Bearer and a token"
	case forbidden:
		p.Detail = "no name in the client certificate is on the list of this door"
	case methodNotAllowed:
		p.Detail = "this path answers POST"
	case slowRequest:
		p.Detail = fmt.Sprintf("a request has %v to arrive", readTimeout)
	case tooLarge:
		p.Detail = fmt.Sprintf("a body may have %d bytes", maxOrderBytes)
		if instance != "/score" {
			p.Detail = fmt.Sprintf("a body may have %d bytes", maxBatchBytes)
		}
	case mediaType:
		p.Detail = "Content-Type must be application/json, in UTF-8"
	case contentEncoding:
		p.Detail = "send the body as it is, without Content-Encoding"
	case badHeader:
		p.Detail = timeoutHeader + " must be given once, as a decimal number of seconds above 0, such as 0.25"
	case rateLimited:
		p.Detail = "this client sends more requests than it may"
	case overloaded:
		p.Detail = "more is asked for than can be done"
	case notReady:
		p.Detail = "no model is loaded yet"
	case unlogged:
		p.Detail = "the decision log takes no more for now"
	case deadline:
		p.Detail = "the decision was not ready within 2s"
	case internal:
		p.Detail = "the failure was logged"
	case reloadRefused: // of the admin door
		p.Detail = "the bundle's check that failed, with what differed"
	case notFound:
		p.Detail = "nothing is at this path; /openapi.json lists what is"
		if inference(instance) {
			p.Detail = "the model here is " + x.inference.model.Name + ", version " + x.inference.model.Versions[0]
		}
	}
	if inference(instance) {
		p.Error = p.Detail
	}
	return p
}

// concrete fills the document's path in.
func (x *examples) concrete(path string) string {
	if x.inference == nil {
		return path
	}
	return strings.NewReplacer("{name}", x.inference.model.Name, "{version}", x.inference.model.Versions[0]).Replace(path)
}

// exampleFeatures are those of a late, deeply discounted purchase of a trend where the model has such features, and
// typical values of every other.
func exampleFeatures(c *scoring.Contract) map[string]any {
	known := map[string]any{
		"feature_discount_pct": 0.35, "feature_velocity_24h": 8420.0, "feature_hours_since_trend_peak": 6.5,
		"feature_creator_reliability": 0.22, "feature_cust_prior_return_rate_90d": 0.31,
		"feature_cust_avg_order_value_90d": 127.5, "feature_prod_size_fit_rate": 0.18, "feature_device_type": "mobile",
	}
	features := c.Features()
	row := make([]float64, len(features))
	filling := c.Fill(row)
	for name, v := range known {
		switch v := v.(type) {
		case float64:
			filling.Number(name, v)
		case string:
			filling.Text(name, v)
		}
	}
	out := make(map[string]any, len(features))
	for i := range features {
		name := features[i].Name
		if out[name] = known[name]; math.IsNaN(row[i]) { // the model does not take the known value
			out[name] = typical(c, i)
		}
	}
	return out
}

// typical is a value that feature i allows, in the middle of what the model has seen where that is known.
func typical(c *scoring.Contract, i int) any {
	f := &c.Features()[i]
	if len(f.Categories) > 0 {
		return f.Categories[0]
	}
	low, high := f.Seen.Min, f.Seen.Max
	if low == nil || high == nil {
		low, high = f.Allowed.Min, f.Allowed.Max
	}
	if low != nil && high != nil {
		if x := *low/2 + *high/2; f.Allowed.Holds(x) {
			return x
		}
	}
	switch {
	case f.Allowed.Min != nil:
		return *f.Allowed.Min
	case f.Allowed.Max != nil:
		return *f.Allowed.Max
	default:
		return 0.0
	}
}

// roundDecision leaves the digits on which every architecture agrees: the document is the same wherever it is made.
func roundDecision(d scoring.Decision) scoring.Decision {
	round := func(x float64) float64 { return math.Round(x*1e4) / 1e4 }
	d.Margin, d.Base = round(d.Margin), round(d.Base)
	contributions := make([]float64, len(d.Contributions))
	for i, x := range d.Contributions {
		contributions[i] = round(x)
	}
	d.Contributions = contributions
	return d
}
