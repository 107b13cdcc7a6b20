package scoring

import (
	"fmt"
	"math"
	"slices"

	"github.com/trendbuy/riskscorer/scoring/bundle"
)

// Contract is what a bundle demands of features, the same at every door. It is immutable.
type Contract struct {
	features []bundle.Feature
	index    map[string]int
	codes    []map[string]float64 // nil for a number
	wide     bool                 // numbers need not fit a float32
}

// NewContract returns the contract of a bundle's manifest.
func NewContract(m *bundle.Manifest) *Contract {
	c := &Contract{
		features: m.Features,
		index:    make(map[string]int, len(m.Features)),
		codes:    make([]map[string]float64, len(m.Features)),
		wide:     m.Model.Wide(),
	}
	for i := range m.Features {
		f := &m.Features[i]
		c.index[f.Name] = i
		if f.Type != bundle.Category {
			continue
		}
		c.codes[i] = make(map[string]float64, len(f.Categories))
		for code, name := range f.Categories {
			c.codes[i][name] = float64(code)
		}
	}
	return c
}

// Features returns the features in training order. The caller does not change them.
func (c *Contract) Features() []bundle.Feature { return c.features }

// Filling is a row while its features arrive, by name and in any order. Use one per order, from one goroutine.
type Filling struct {
	contract *Contract
	row      []float64
	faults   []Fault
	unknown  []string
}

// Fill starts a row in dst, which must be NumFeature long and belongs to the order from then on.
func (c *Contract) Fill(dst []float64) Filling {
	for i := range dst {
		dst[i] = math.NaN()
	}
	return Filling{contract: c, row: dst}
}

// NumFeature is the length of a row.
func (c *Contract) NumFeature() int { return len(c.features) }

// Number takes a feature's number.
func (r *Filling) Number(name string, x float64) {
	i, ok := r.find(name)
	if !ok {
		return
	}
	f := &r.contract.features[i]
	switch {
	case f.Type != bundle.Number:
		r.fault(FeatureType, name, "must be text: one of its categories")
	case math.IsNaN(x) || math.IsInf(x, 0):
		r.fault(FeatureRange, name, "is not a finite number; a missing value is null or absent")
	case !r.contract.wide && math.IsInf(float64(float32(x)), 0):
		r.fault(FeatureRange, name, "is too large for the model's 32-bit floating point")
	case !f.Allowed.Holds(x):
		r.fault(FeatureRange, name, "is outside its allowed range "+rangeText(f.Allowed))
	default:
		r.row[i] = x
	}
}

// Text takes a feature's category name.
func (r *Filling) Text(name, category string) {
	i, ok := r.find(name)
	if !ok {
		return
	}
	f := &r.contract.features[i]
	if f.Type != bundle.Category {
		r.fault(FeatureType, name, "must be a number")
		return
	}
	code, ok := r.contract.codes[i][category]
	if !ok && f.UnknownCategory != "" {
		code, ok = r.contract.codes[i][f.UnknownCategory], true
	}
	if !ok {
		r.fault(FeatureCategory, name, "is not one of its categories "+listText(f.Categories))
		return
	}
	r.row[i] = code
}

// Null takes a feature that is there without a value, which means missing.
func (r *Filling) Null(name string) { r.find(name) }

// Wrong takes a feature whose value has a type that no feature has, as the wire names it.
func (r *Filling) Wrong(name, wireType string) {
	i, ok := r.find(name)
	if !ok {
		return
	}
	want := "a number"
	if r.contract.features[i].Type == bundle.Category {
		want = "text: one of its categories"
	}
	r.fault(FeatureType, name, fmt.Sprintf("is %s, must be %s", wireType, want))
}

// Row returns the row so far; it may be scored once Faults has found none.
func (r *Filling) Row() []float64 { return r.row }

// Unknown returns the names that the model does not know, in order of arrival.
func (r *Filling) Unknown() []string { return r.unknown }

// Faults returns every fault of the features that were taken, and of the required ones that were not, in training
// order: none means that the row is complete. Unknown features are the door's to judge: see UnknownFault.
func (r *Filling) Faults() []Fault {
	for i := range r.contract.features {
		f := &r.contract.features[i]
		missing := math.IsNaN(r.row[i]) && f.Policy == bundle.Required
		if missing && !slices.ContainsFunc(r.faults, func(x Fault) bool { return x.Feature == f.Name }) {
			r.fault(FeatureMissing, f.Name, "is required and missing")
		}
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int {
		return r.contract.index[a.Feature] - r.contract.index[b.Feature]
	})
	return r.faults
}

// UnknownFault is the fault of a feature that the model does not know; its detail names the nearest that it does.
func (c *Contract) UnknownFault(name string) Fault {
	best, distance := "", len(name)
	for i := range c.features {
		// A name is near if at most a third of it has to change.
		known := c.features[i].Name
		limit := min(distance, len(known)/3+1)
		if d := editDistance(name, known, limit); d < limit {
			best, distance = known, d
		}
	}
	detail := "is not a feature of this model"
	if best != "" {
		detail += fmt.Sprintf("; did you mean %q?", best)
	}
	return Fault{Kind: FeatureUnknown, Feature: name, Detail: detail}
}

func (r *Filling) find(name string) (int, bool) {
	i, ok := r.contract.index[name]
	if !ok {
		r.unknown = append(r.unknown, name)
	}
	return i, ok
}

func (r *Filling) fault(kind FaultKind, feature, detail string) {
	r.faults = append(r.faults, Fault{Kind: kind, Feature: feature, Detail: detail})
}

func rangeText(r bundle.Range) string {
	switch {
	case r.Min == nil:
		return fmt.Sprintf("(up to %v)", *r.Max)
	case r.Max == nil:
		return fmt.Sprintf("(from %v)", *r.Min)
	default:
		return fmt.Sprintf("[%v, %v]", *r.Min, *r.Max)
	}
}

// listText names the first of many.
func listText(names []string) string {
	const most = 20
	if len(names) > most {
		return fmt.Sprintf("%q and %d more", names[:most], len(names)-most)
	}
	return fmt.Sprintf("%q", names)
}

// editDistance is the Levenshtein distance of a and b, or any number >= limit where it is not below the limit.
func editDistance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	previous, current := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		current[0] = i + 1
		nearest := current[0]
		for j := range len(b) {
			cost := previous[j]
			if a[i] != b[j] {
				cost++
			}
			current[j+1] = min(cost, previous[j+1]+1, current[j]+1)
			nearest = min(nearest, current[j+1])
		}
		if nearest >= limit { // the distance only grows from row to row
			return limit
		}
		previous, current = current, previous
	}
	return previous[len(b)]
}
