package schemas

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/trendbuy/riskscorer/scoring"
)

// Extra says what happens to a feature in JSON that the model does not know.
type Extra bool

// The policies. Refusing is the default: a misspelt optional feature must not pass as missing.
const (
	RefuseExtra Extra = false
	IgnoreExtra Extra = true
)

// UnmarshalText reads "refuse" or "ignore".
func (e *Extra) UnmarshalText(text []byte) error {
	switch string(text) {
	case "refuse":
		*e = RefuseExtra
	case "ignore":
		*e = IgnoreExtra
	default:
		return fmt.Errorf("%q: want refuse or ignore", text)
	}
	return nil
}

// String is what UnmarshalText reads.
func (e Extra) String() string {
	if e == IgnoreExtra {
		return "ignore"
	}
	return "refuse"
}

const missing = "is required and missing"

// reading is an order while it is read, from either wire: what is there goes in by name and in any order, and
// problems come out in one order.
type reading struct {
	order    scoring.Order
	contract *scoring.Contract
	extra    Extra
	features scoring.Filling
	// comparisons are how many names may still be compared for the sake of a hint, in the whole text.
	comparisons *int
	// What is wrong with the fields; empty is nothing.
	wholeFault, idFault, versionFault, timeFault, featuresFault string
	unknownFields                                               []string
}

// Looking for the feature that a misspelt name means compares it with every name of the model: a text may have
// thousands of the ones and a model thousands of the others, so both the number and the length are bounded.
const (
	maxComparisons = 8192
	maxHintBytes   = 128
)

func newReading(c *scoring.Contract, extra Extra, comparisons *int) *reading {
	r := &reading{contract: c, extra: extra, comparisons: comparisons, idFault: missing, featuresFault: missing}
	r.order.Row = make([]float64, c.NumFeature())
	r.features = c.Fill(r.order.Row)
	return r
}

// id takes the order's id, which stays in the order only if it is one.
func (r *reading) id(s string) {
	r.idFault = ""
	switch {
	case s == "":
		r.idFault = "must not be empty"
	case len(s) > scoring.MaxOrderIDBytes:
		r.idFault = fmt.Sprintf("must have at most %d bytes", scoring.MaxOrderIDBytes)
	case !utf8.ValidString(s):
		r.idFault = "must be UTF-8"
	case strings.ContainsFunc(s, unicode.IsControl):
		r.idFault = "must not have control characters"
	default:
		r.order.ID = s
	}
}

// occurredAt takes the event's time and keeps its milliseconds: what is finer is cut off, as many producers write
// micro- or nanoseconds that nobody means.
func (r *reading) occurredAt(t time.Time) {
	t = t.UTC().Truncate(time.Millisecond)
	// The zero time means none, and RFC 3339 has no year after 9999.
	if t.Year() < 1 || t.Year() > 9999 || t.IsZero() {
		r.timeFault = "must lie in the years 1 to 9999"
		return
	}
	r.order.OccurredAt = t
}

// problems lists what is wrong; none means that the order is complete.
func (r *reading) problems() []Problem {
	if r.wholeFault != "" {
		return []Problem{{RejectDecode, "", r.wholeFault}}
	}
	var list []Problem
	add := func(class RejectClass, pointer, detail string) {
		if detail != "" {
			list = append(list, Problem{class, pointer, detail})
		}
	}
	add(RejectOrderID, "/order_id", r.idFault)
	add(RejectDecode, "/event_version", r.versionFault)
	add(RejectDecode, "/occurred_at", r.timeFault)
	add(RejectDecode, "/features", r.featuresFault)
	if r.featuresFault == "" {
		list = r.featureProblems(list)
	}
	slices.Sort(r.unknownFields)
	for _, name := range r.unknownFields {
		if len(list) >= MaxProblems {
			break
		}
		add(RejectDecode, "/"+escape(name), "is not a field of an order event")
	}
	return list[:min(len(list), MaxProblems)]
}

func (r *reading) featureProblems(list []Problem) []Problem {
	for _, f := range r.features.Faults() {
		list = append(list, Problem{faultClass(f.Kind), "/features/" + escape(f.Feature), f.Detail})
	}
	if r.extra == IgnoreExtra {
		return list
	}
	unknown := r.features.Unknown()
	slices.Sort(unknown)
	for _, name := range unknown {
		if len(list) >= MaxProblems {
			break
		}
		list = append(list, Problem{RejectFeatureUnknown, "/features/" + escape(name), r.unknownDetail(name)})
	}
	return list
}

func (r *reading) unknownDetail(name string) string {
	if n := r.contract.NumFeature(); n <= *r.comparisons && len(name) <= maxHintBytes {
		*r.comparisons -= n
		return r.contract.UnknownFault(name).Detail
	}
	return "is not a feature of this model"
}

// escape makes a name a reference token of RFC 6901.
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
