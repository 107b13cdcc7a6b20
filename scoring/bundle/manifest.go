package bundle

import (
	_ "embed"
	"errors"
	"fmt"
	"math"
	"slices"

	json "github.com/go-json-experiment/json"
)

// ManifestSchema is the published JSON Schema of manifest.json. ParseManifest checks all that it says, and what
// a schema cannot say.
//
//go:embed manifest.schema.json
var ManifestSchema []byte

// Format is the format that this package reads and writes.
const Format = "riskscorer.bundle/1"

// The feature types, policies and tree selections that a manifest may name.
const (
	Number   = "number"
	Category = "category"

	Required = "required"
	Optional = "optional"

	BestIteration = "best_iteration"
	AllTrees      = "all"
)

const (
	maxFeatures   = 4096
	maxCategories = 65536
	maxNameBytes  = 256
	maxTextBytes  = 4096
)

// lightGBMTolerance is how far a margin of a LightGBM model may be from the library's, relative to it.
const lightGBMTolerance = 1e-12

// Manifest is manifest.json: what the model is and what it demands of its features.
type Manifest struct {
	Format      string      `json:"format"`
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	Description string      `json:"description"`
	Model       Model       `json:"model"`
	Features    []Feature   `json:"features"` // in training order
	Thresholds  Thresholds  `json:"thresholds"`
	Golden      Golden      `json:"golden"`
	Evaluation  *Evaluation `json:"evaluation,omitzero"`
}

// Model names the model file and the library that wrote it.
type Model struct {
	File           string `json:"file"`
	Library        string `json:"library"` // XGBoost or LightGBM
	LibraryVersion string `json:"library_version"`
	Trees          string `json:"trees"` // BestIteration or AllTrees
}

// Feature is one feature's part of the contract.
type Feature struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"` // Number or Category
	Unit        string   `json:"unit"`
	Description string   `json:"description"`
	Policy      string   `json:"policy"`           // Required or Optional
	Allowed     Range    `json:"allowed,omitzero"` // a number outside is refused
	Seen        Range    `json:"seen,omitzero"`    // a number outside is scored and counted
	Categories  []string `json:"categories,omitempty"`
	// UnknownCategory is the category that an unknown one is scored as; empty refuses it.
	UnknownCategory string `json:"unknown_category,omitempty"`
	// Importance is the feature's share of the model's total gain.
	Importance float64 `json:"importance"`
	Reason     Reason  `json:"reason"`
}

// Range is an inclusive interval; a nil bound is open.
type Range struct {
	Min *float64 `json:"min,omitzero"`
	Max *float64 `json:"max,omitzero"`
}

// Holds says whether x lies in the range.
func (r Range) Holds(x float64) bool {
	return (r.Min == nil || x >= *r.Min) && (r.Max == nil || x <= *r.Max)
}

// Reason is the catalogue's entry for a feature: a stable code, and a text for each way it can move a score.
type Reason struct {
	Code    string `json:"code"`
	Raises  string `json:"raises"`
	Lowers  string `json:"lowers"`
	Missing string `json:"missing"`
}

// Thresholds are the scores at which the bands MEDIUM and HIGH begin.
type Thresholds struct {
	Medium float64 `json:"medium"`
	High   float64 `json:"high"`
}

// Golden says how many golden rows there are and how closely they must be met.
type Golden struct {
	Rows                  int     `json:"rows"`
	MarginTolerance       float64 `json:"margin_tolerance"`       // relative; 0 is bit-exact
	ContributionTolerance float64 `json:"contribution_tolerance"` // relative to max(1, sum of |contribution|)
}

// Evaluation is how the model did on orders held back from training.
type Evaluation struct {
	Rows        int              `json:"rows"`
	ROCAUC      float64          `json:"roc_auc"`
	Brier       float64          `json:"brier"`
	Calibration []CalibrationBin `json:"calibration"`
}

// CalibrationBin compares scores of [From, To) with what happened.
type CalibrationBin struct {
	From       float64  `json:"from"`
	To         float64  `json:"to"`
	Rows       int      `json:"rows"`
	MeanScore  *float64 `json:"mean_score"`  // null in an empty bin
	RegretRate *float64 `json:"regret_rate"` // null in an empty bin
}

// ParseManifest reads manifest.json strictly: unknown and duplicate members, and values out of bounds, are errors
// that name the member.
func ParseManifest(data []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(data, &m, json.RejectUnknownMembers(true)); err != nil {
		return Manifest{}, err
	}
	return m, m.validate()
}

func (m *Manifest) validate() error {
	if m.Format != Format {
		return fmt.Errorf("/format is %q, want %q", m.Format, Format)
	}
	if err := boundedText("/name", m.Name, "/version", m.Version, "/model/library_version", m.Model.LibraryVersion); err != nil {
		return err
	}
	if len(m.Description) > maxTextBytes {
		return fmt.Errorf("/description is over %d bytes", maxTextBytes)
	}
	if err := m.Model.validate(); err != nil {
		return err
	}
	if m.Model.Library == LightGBM && m.Golden.MarginTolerance > lightGBMTolerance {
		return fmt.Errorf("/golden/margin_tolerance is %g, at most %g for lightgbm", m.Golden.MarginTolerance, lightGBMTolerance)
	}
	if m.Model.Trees != BestIteration && m.Model.Trees != AllTrees {
		return fmt.Errorf("/model/trees is %q, want %s or %s", m.Model.Trees, BestIteration, AllTrees)
	}
	if t := m.Thresholds; t.Medium <= 0 || t.High < t.Medium || t.High > 1 {
		return errors.New("/thresholds must satisfy 0 < medium <= high <= 1")
	}
	if g := m.Golden; g.Rows < 1 || g.MarginTolerance < 0 || g.MarginTolerance > 1e-9 ||
		g.ContributionTolerance < 0 || g.ContributionTolerance > 1e-3 {
		return errors.New("/golden needs at least 1 row, a margin tolerance in [0, 1e-9] and a contribution tolerance in [0, 1e-3]")
	}
	return m.validateFeatures()
}

// validate checks the library, and that the file is one that it writes.
func (m *Model) validate() error {
	files, ok := map[string][]string{XGBoost: {"model.ubj", "model.json"}, LightGBM: {"model.txt"}}[m.Library]
	if !ok {
		return fmt.Errorf("/model/library is %q, want %s or %s", m.Library, XGBoost, LightGBM)
	}
	if !slices.Contains(files, m.File) {
		return fmt.Errorf("/model/file is %q, want one of %q for %s", m.File, files, m.Library)
	}
	return nil
}

// Wide says that the model takes rows as float64, as LightGBM's do; XGBoost's round them to float32.
func (m *Model) Wide() bool { return m.Library == LightGBM }

func (m *Manifest) validateFeatures() error {
	if n := len(m.Features); n < 1 || n > maxFeatures {
		return fmt.Errorf("/features has %d entries, want 1 to %d", n, maxFeatures)
	}
	names, codes := map[string]bool{}, map[string]bool{}
	for i := range m.Features {
		f := &m.Features[i]
		if err := f.validate(); err != nil {
			return fmt.Errorf("/features/%d%w", i, err)
		}
		if names[f.Name] || codes[f.Reason.Code] {
			return fmt.Errorf("/features/%d: name %q or reason code %q stands twice", i, f.Name, f.Reason.Code)
		}
		names[f.Name], codes[f.Reason.Code] = true, true
	}
	return nil
}

// validate returns an error that begins with the member's pointer below the feature.
func (f *Feature) validate() error {
	if err := boundedText("/name", f.Name, "/reason/code", f.Reason.Code,
		"/reason/raises", f.Reason.Raises, "/reason/lowers", f.Reason.Lowers, "/reason/missing", f.Reason.Missing); err != nil {
		return err
	}
	if f.Policy != Required && f.Policy != Optional {
		return fmt.Errorf("/policy is %q, want %s or %s", f.Policy, Required, Optional)
	}
	if f.Importance < 0 || f.Importance > 1 {
		return errors.New("/importance must be in [0, 1]")
	}
	if len(f.Unit) > maxNameBytes || len(f.Description) > maxTextBytes {
		return errors.New("/description or /unit is too long")
	}
	switch f.Type {
	case Number:
		return f.validateNumber()
	case Category:
		return f.validateCategory()
	default:
		return fmt.Errorf("/type is %q, want %s or %s", f.Type, Number, Category)
	}
}

func (f *Feature) validateNumber() error {
	if f.Categories != nil || f.UnknownCategory != "" {
		return errors.New("/categories: a number has none")
	}
	for _, r := range []Range{f.Allowed, f.Seen} {
		if r.Min != nil && r.Max != nil && *r.Min > *r.Max {
			return errors.New("/allowed or /seen: min is above max")
		}
		for _, bound := range []*float64{r.Min, r.Max} {
			if bound != nil && math.IsInf(*bound, 0) {
				return errors.New("/allowed or /seen: a bound is not finite")
			}
		}
	}
	return nil
}

func (f *Feature) validateCategory() error {
	if f.Allowed != (Range{}) || f.Seen != (Range{}) {
		return errors.New("/allowed or /seen: a category has no range")
	}
	if n := len(f.Categories); n < 1 || n > maxCategories {
		return fmt.Errorf("/categories has %d entries, want 1 to %d", n, maxCategories)
	}
	seen := map[string]bool{}
	for _, c := range f.Categories {
		if c == "" || len(c) > maxNameBytes || seen[c] {
			return fmt.Errorf("/categories: %q is empty, too long or there twice", c)
		}
		seen[c] = true
	}
	if f.UnknownCategory != "" && !slices.Contains(f.Categories, f.UnknownCategory) {
		return fmt.Errorf("/unknown_category is %q, which is not in /categories", f.UnknownCategory)
	}
	return nil
}

// boundedText takes pairs of pointer and text, each of which must be 1 to maxNameBytes long.
func boundedText(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if n := len(pairs[i+1]); n < 1 || n > maxNameBytes {
			return fmt.Errorf("%s must have 1 to %d bytes", pairs[i], maxNameBytes)
		}
	}
	return nil
}
