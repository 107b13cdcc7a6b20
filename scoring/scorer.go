// Package scoring provides the decision: it turns checked orders into explained risk decisions with one model.
// It knows no wire format.
package scoring

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
)

// Engine computes a model's numbers. Matrices are row-major; methods are safe for concurrent use.
type Engine interface {
	// ID names the arithmetic: one id, the same bits.
	ID() string
	// MarginsTo writes one margin per row.
	MarginsTo(dst, rows []float64)
	// PredictionsTo writes the probability of each margin.
	PredictionsTo(dst, margins []float64)
	// Explains says whether ContributionsTo can be called.
	Explains() bool
	// ContributionsTo writes, per row, every feature's contribution and then the base value.
	ContributionsTo(dst, rows []float64)
}

// Scorer decides orders with one model. It is safe for concurrent use.
type Scorer struct {
	manifest *bundle.Manifest
	digest   bundle.Digest
	contract *Contract
	engine   Engine
	metrics  *Metrics
	global   []Reason // for engines that do not explain
	scratch  sync.Pool
}

// New returns a scorer of the bundle's model by the engine.
func New(b *bundle.Bundle, engine Engine, metrics *Metrics) *Scorer {
	return &Scorer{
		manifest: &b.Manifest,
		digest:   b.Digest,
		contract: NewContract(&b.Manifest),
		engine:   engine,
		metrics:  metrics,
		global:   globalReasons(&b.Manifest),
		scratch:  sync.Pool{New: func() any { return new(scratch) }},
	}
}

// Contract is what the model demands of features.
func (s *Scorer) Contract() *Contract { return s.contract }

// Manifest describes the model. The caller does not change it.
func (s *Scorer) Manifest() *bundle.Manifest { return s.manifest }

// Digest is the model digest.
func (s *Scorer) Digest() bundle.Digest { return s.digest }

// EngineID names the arithmetic that decides.
func (s *Scorer) EngineID() string { return s.engine.ID() }

// scratch is one call's working memory, row-major like the engine's.
type scratch struct{ rows, margins, scores, contributions []float64 }

// Decide appends one decision per order to dst, in order. Every order's row must come from this scorer's contract.
// The decisions share nothing with the orders or with later calls.
func (s *Scorer) Decide(dst []Decision, orders []Order) []Decision {
	return s.decide(dst, orders, s.engine.Explains())
}

// DecideUnexplained is Decide without the cost of reasons: the same decisions, with Explanation None and no reasons.
// Where the engine cannot explain there is nothing to save, and it is Decide.
func (s *Scorer) DecideUnexplained(dst []Decision, orders []Order) []Decision {
	from := len(dst)
	dst = s.decide(dst, orders, false)
	if s.engine.Explains() {
		for i := range dst[from:] {
			dst[from+i].Explanation, dst[from+i].Reasons = None, nil
		}
	}
	return dst
}

func (s *Scorer) decide(dst []Decision, orders []Order, explain bool) []Decision {
	n, width := len(orders), s.contract.NumFeature()
	w, _ := s.scratch.Get().(*scratch)
	defer s.scratch.Put(w)
	w.rows = w.rows[:0]
	for i := range orders {
		w.rows = append(w.rows, orders[i].Row...)
	}
	w.margins = slices.Grow(w.margins[:0], n)[:n]
	w.scores = slices.Grow(w.scores[:0], n)[:n]
	s.engine.MarginsTo(w.margins, w.rows)
	s.engine.PredictionsTo(w.scores, w.margins)
	if explain {
		w.contributions = slices.Grow(w.contributions[:0], n*(width+1))[:n*(width+1)]
		s.engine.ContributionsTo(w.contributions, w.rows)
	}
	for i := range orders {
		d := Decision{
			OrderID:      orders[i].ID,
			PredictionID: PredictionID(s.engine.ID(), s.digest, &orders[i], !s.contract.wide),
			Margin:       w.margins[i],
			Score:        w.scores[i],
			RiskScore:    round4(w.scores[i]),
			Band:         band(w.scores[i], s.manifest.Thresholds),
			Reasons:      s.global,
			Explanation:  Global,
		}
		if explain {
			phi := w.contributions[i*(width+1) : (i+1)*(width+1)]
			d.Explanation = Exact
			d.Contributions, d.Base = slices.Clone(phi[:width]), phi[width]
			d.Reasons = s.reasons(d.Contributions, orders[i].Row, TopReasons)
		}
		s.metrics.countRow(s.manifest.Features, orders[i].Row)
		dst = append(dst, d)
	}
	return dst
}

// AllReasons returns every feature's reason, the largest |contribution| first; the order's row chooses the texts.
func (s *Scorer) AllReasons(d *Decision, o *Order) []Reason {
	if d.Explanation != Exact {
		return d.Reasons
	}
	return s.reasons(d.Contributions, o.Row, len(d.Contributions))
}

// reasons returns the at most k largest |contributions| with their texts; ties go by training order, zeros are left out.
func (s *Scorer) reasons(phi, row []float64, k int) []Reason {
	top := forest.TopTo(make([]int, k), phi)
	out := make([]Reason, len(top))
	for j, i := range top {
		f := &s.manifest.Features[i]
		text := f.Reason.Raises
		switch {
		case math.IsNaN(row[i]):
			text = f.Reason.Missing
		case phi[i] < 0:
			text = f.Reason.Lowers
		}
		out[j] = Reason{Code: f.Reason.Code, Text: text, Feature: f.Name, Contribution: phi[i]}
	}
	return out
}

// globalReasons names the features of the largest stored importance, by their descriptions: a global importance
// has no direction, so no text that claims one.
func globalReasons(m *bundle.Manifest) []Reason {
	order := make([]int, 0, len(m.Features))
	for i := range m.Features {
		if m.Features[i].Importance > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(m.Features[b].Importance, m.Features[a].Importance) })
	out := make([]Reason, min(TopReasons, len(order)))
	for j := range out {
		f := &m.Features[order[j]]
		out[j] = Reason{Code: f.Reason.Code, Text: f.Description, Feature: f.Name}
	}
	return out
}
