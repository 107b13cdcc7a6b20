package verify

import "fmt"

// version is the highest one of an order: what was sent, and what its results say.
type version struct {
	sent, decided       int64
	sentID, decidedID   string // of the prediction
	known, hasDecisions bool
}

// versions are a run's orders by id.
type versions map[string]*version

func (v versions) of(order string) *version {
	if v[order] == nil {
		v[order] = new(version)
	}
	return v[order]
}

func (v versions) send(d *Decision) {
	if o := v.of(d.OrderID); !o.known || d.EventVersion > o.sent {
		o.sent, o.sentID, o.known = d.EventVersion, d.PredictionID, true
	}
}

func (v versions) decide(r *RiskResult) {
	if o := v.of(r.OrderID); !o.hasDecisions || r.EventVersion > o.decided {
		o.decided, o.decidedID, o.hasDecisions = r.EventVersion, r.PredictionID, true
	}
}

// judge checks that whoever acts on the highest version of an order acts on the last word about it. Orders without any
// result are another rule's.
func (v versions) judge(report *Report) {
	for id, o := range v {
		if o.known && o.hasDecisions && (o.sent != o.decided || o.sentID != o.decidedID) {
			report.add(RuleVersion, fmt.Sprintf("order %s: the highest result is version %d (%s), the highest event %d (%s)",
				id, o.decided, o.decidedID, o.sent, o.sentID))
		}
	}
}
