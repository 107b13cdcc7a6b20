package scoring

import "fmt"

// FaultKind says in which way a feature breaks the contract.
type FaultKind uint8

// The kinds of fault, one for each way a feature can be wrong.
const (
	FeatureMissing  FaultKind = iota + 1 // a required feature is absent or null
	FeatureUnknown                       // the model does not know the feature
	FeatureType                          // text for a number, a number for a category, or neither
	FeatureCategory                      // a category the model was not trained with
	FeatureRange                         // outside the allowed range, not finite, or too large for the model
)

// Fault is one feature that breaks the contract. Detail never holds the feature's value.
type Fault struct {
	Kind    FaultKind
	Feature string
	Detail  string
}

// Error names the feature and what is wrong with it.
func (f Fault) Error() string { return fmt.Sprintf("%s: %s", f.Feature, f.Detail) }
