package lightgbm_test

import (
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/lightgbm"
)

var treeSizes = regexp.MustCompile(`(?m)^(tree_sizes=(?: ?\d+){1,3}).*$`)

// FuzzText is seeded with the first trees of every golden model: small files make a fast fuzzer.
func FuzzText(f *testing.F) {
	f.Add([]byte(smallModel))
	for _, name := range goldens(f) {
		seed := beginning(string(readGolden(f, name)))
		if _, err := lightgbm.Load([]byte(seed), lightgbm.Options{}); err != nil {
			f.Fatalf("the seed from %s: %v", name, err)
		}
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkLoad(t, data) })
}

// beginning cuts a model down to at most three trees, and to what comes after them without the parameters.
func beginning(model string) string {
	trees, rest, _ := strings.Cut(model, "end of trees")
	if at := strings.Index(trees, "Tree=3\n"); at >= 0 {
		trees = treeSizes.ReplaceAllString(trees[:at], "$1")
	}
	trees += "end of trees\n"
	if at := strings.Index(rest, "pandas_categorical:"); at >= 0 {
		trees += rest[at:]
	}
	return trees
}

// checkLoad loads a file, and checks that it is refused properly or that the forest is sound.
func checkLoad(t *testing.T, data []byte) {
	t.Helper()
	f, err := lightgbm.Load(data, lightgbm.Options{MaxBytes: 1 << 20})
	if err != nil {
		if _, proper := errors.AsType[*lightgbm.FileError](err); !proper {
			t.Errorf("Load: %v is not a FileError", err)
		}
		return
	}
	if err := f.Validate(); err != nil {
		t.Fatalf("a loaded forest is not valid: %v", err)
	}
	values := []float64{math.NaN(), 0, 1, -1, 0.5, math.Inf(1), math.Inf(-1), 1e-45, 1 << 24, 7, forest.ZeroBound, -0.5}
	linear, huge := false, false
	for i := range f.Trees {
		linear = linear || f.Trees[i].Linear != nil
		for _, n := range f.Trees[i].Nodes {
			huge = huge || math.Abs(n.Leaf) > 1e290
		}
	}
	if linear { // which multiply them
		values = []float64{math.NaN(), 0, 1, -1, 0.5}
	}
	rows := make([]float64, 3*f.NumFeature)
	for i := range rows {
		rows[i] = values[(i*i+i/f.NumFeature)%len(values)]
	}
	scores := make([]float64, 3*f.NumGroup)
	f.MarginsTo(scores, rows)
	wantNumbers(t, "margin", scores, linear)
	f.PredictionsTo(scores, scores)
	wantNumbers(t, "prediction", scores, linear || f.Link == forest.Exp || f.Link == forest.LogOnePlusExp || f.Link == forest.SignedSquare)
	if f.Explains() {
		contributions := make([]float64, 3*f.NumGroup*(f.NumFeature+1))
		f.ContributionsTo(contributions, rows)
		wantNumbers(t, "contribution", contributions, huge)
	}
}

// wantNumbers allows infinities where the arithmetic may overflow, as LightGBM's does.
func wantNumbers(t *testing.T, what string, values []float64, overflow bool) {
	t.Helper()
	for _, v := range values {
		if !overflow && (math.IsNaN(v) || math.IsInf(v, 0)) {
			t.Fatalf("a %s is %v", what, v)
		}
	}
}
