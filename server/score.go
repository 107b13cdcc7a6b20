package server

import (
	"net/http"
	"strconv"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/server/admission"
)

// model is the scorer that serves, with what is derived from it once.
type model struct {
	scorer *scoring.Scorer
	wire   schemas.Model
	// document is the OpenAPI document with this model's features.
	document func() ([]byte, error)
}

// model returns the current model, or the refusal of a server that has none yet.
func (s *Server) model() (*model, error) {
	scorer := s.parts.Models.Scorer()
	if scorer == nil {
		return nil, &refusal{notReady, "no model is loaded yet"}
	}
	if m := s.serving.Load(); m != nil && m.scorer == scorer {
		return m, nil
	}
	m := newModel(scorer, s.parts.Extra)
	s.serving.Store(m)
	if s.parts.Models.Scorer() != scorer { // replaced meanwhile: a request that is late must not keep the old one in memory
		s.serving.CompareAndSwap(m, nil)
	}
	return m, nil
}

// score answers POST /score: one order, one decision.
func (s *Server) score(w http.ResponseWriter, r *http.Request) error {
	full := explainFull(r)
	c, err := s.arrive(w, r, admission.Order, full)
	if err != nil {
		return err
	}
	defer c.end()
	m, err := s.model()
	if err != nil {
		return err
	}
	body, err := c.receive(maxOrderBytes)
	if err != nil {
		return err
	}
	order, err := schemas.ParseOrder(body, m.scorer.Contract(), s.parts.Extra)
	if err != nil {
		return err
	}
	orders := [...]scoring.Order{order}
	note := notes(w)
	note.orderID, note.orders = order.ID, 1
	decisions, err := c.decide(m, orders[:])
	if err != nil {
		return err
	}
	var reasons []scoring.Reason
	if full {
		reasons = m.scorer.AllReasons(&decisions[0], &orders[0])
	}
	return c.answer(schemas.AppendAnswer(nil, m.wire, &orders[0], &decisions[0], reasons))
}

// scoreBatch answers POST /score/batch: an array of orders by an array of decisions or problems, item by item. It
// gives no full explanations: of 1,000 orders under a wide model they would have no useful bound.
func (s *Server) scoreBatch(w http.ResponseWriter, r *http.Request) error {
	c, err := s.arrive(w, r, admission.Batch, false)
	if err != nil {
		return err
	}
	defer c.end()
	m, err := s.model()
	if err != nil {
		return err
	}
	body, err := c.receive(maxBatchBytes)
	if err != nil {
		return err
	}
	items, err := schemas.ParseBatch(body, m.scorer.Contract(), s.parts.Extra)
	if err != nil {
		return err
	}
	orders := make([]scoring.Order, 0, len(items))
	for i := range items {
		if items[i].Invalid == nil {
			orders = append(orders, items[i].Order)
		}
	}
	notes(w).orders = len(items)
	decisions, err := c.decide(m, orders)
	if err != nil {
		return err
	}
	return c.answer(s.appendBatch(nil, m, items, orders, decisions))
}

// appendBatch appends the answer of a batch: decisions are those of the items that are valid, in order.
func (s *Server) appendBatch(dst []byte, m *model, items []schemas.BatchItem, orders []scoring.Order, decisions []scoring.Decision) []byte {
	dst = append(dst, '[')
	decided := 0
	for i := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		if invalid := items[i].Invalid; invalid != nil {
			p := invalidProblem(invalid, "/score/batch#/"+strconv.Itoa(i))
			p.OrderID = items[i].OrderID
			s.metrics.reject(invalid.Class())
			dst = appendProblem(dst, p)
			continue
		}
		dst = schemas.AppendAnswer(dst, m.wire, &orders[decided], &decisions[decided], nil)
		decided++
	}
	return append(dst, ']')
}

// explainFull says whether ?explain=full stands in the query; whatever else stands there is ignored.
func explainFull(r *http.Request) bool {
	return r.URL.RawQuery != "" && r.URL.Query().Get("explain") == "full"
}
