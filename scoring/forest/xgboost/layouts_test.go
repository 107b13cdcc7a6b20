package xgboost_test

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

// TestOlderLayouts reads what earlier versions wrote otherwise, and gets the same forest.
func TestOlderLayouts(t *testing.T) {
	want, err := xgboost.Load([]byte(smallModel), xgboost.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, old, replacement string }{
		{"scalar base score, before 3.1", `"[5E-1]"`, `"5E-1"`},
		{"no rounds, before 2.0", `"iteration_indptr": [0, 1, 2],`, ``},
		{"no names of categories, before 3.1", `"cats": {"enc": [{"offsets": [], "values": []}, {"offsets": [0, 1, 3, 6], "values": [97, 98, 98, 99, -61, -87]}]},`, ``},
		{"size_leaf_vector 0, before 2.0", `"size_leaf_vector": "1"`, `"size_leaf_vector": "0"`},
		{"no num_target", `, "num_target": "1"`, ``},
		{"no feature names and types", `"feature_names": ["x", "device"], "feature_types": ["float", "c"],`, ``},
	}
	rows := []float64{0.25, 0, 0.5, 1, math.NaN(), 2, 3, math.NaN()}
	wantMargins, margins := make([]float64, 4), make([]float64, 4)
	want.MarginsTo(wantMargins, rows)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, err := xgboost.Load(edit(t, test.old, test.replacement), xgboost.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if f.MarginsTo(margins, rows); !slices.Equal(margins, wantMargins) {
				t.Errorf("margins %v, want %v", margins, wantMargins)
			}
			if !f.Categorical[1] {
				t.Error("the device is not categorical")
			}
		})
	}
}

// TestWeights reads the weights of a dart model where 3.4 writes them, and where the versions before it do.
func TestWeights(t *testing.T) {
	layouts := map[string][]byte{
		"3.4": edit(t, `"iteration_indptr"`, `"weight_drop": [0.5, 0.1], "iteration_indptr"`),
	}
	layouts["3.3"] = edit(t, `"gbtree", "model"`, `"gbtree", "weight_drop": [0.5, 0.1], "model"`)
	older := edit(t, `"name": "gbtree", "model": {`, `"name": "dart", "weight_drop": [0.5, 0.1], "gbtree": {"name": "gbtree", "model": {`)
	layouts["before 3.3"] = bytes.Replace(older, []byte("}]}},\n"), []byte("}]}}},\n"), 1)
	for name, data := range layouts {
		t.Run(name, func(t *testing.T) {
			f, err := xgboost.Load(data, xgboost.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []float64{0.5, float64(float32(0.1) * 0.25)} {
				if got := float64(f.Trees[i].Nodes[2].Leaf); got != want {
					t.Errorf("tree %d: leaf %v, want %v", i, got, want)
				}
			}
		})
	}
}

// TestNumbersRoundOnce reads a threshold just above the middle of two float32 values, whose float64 is the
// middle itself and would round down from there.
func TestNumbersRoundOnce(t *testing.T) {
	f, err := xgboost.Load(edit(t, "[0.5, -1, 1, 0, 0]", "[1.00000005960464477539062500001, -1, 1, 0, 0]"), xgboost.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.Trees[0].Nodes[0].Threshold, float64(math.Nextafter32(1, 2)); got != want {
		t.Errorf("threshold %v, want %v", got, want)
	}
}

func TestBestIteration(t *testing.T) {
	tests := []struct {
		name    string
		best    string
		options xgboost.Options
		want    int
	}{
		{"best", `"best_iteration": "0"`, xgboost.Options{}, 1},
		{"all trees", `"best_iteration": "0"`, xgboost.Options{AllTrees: true}, 2},
		{"none recorded", `"best_score": "0"`, xgboost.Options{}, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, indptr := range []string{`"iteration_indptr": [0, 1, 2],`, ``} {
				data := edit(t, `"best_iteration": "1"`, test.best)
				data = bytes.Replace(data, []byte(`"iteration_indptr": [0, 1, 2],`), []byte(indptr), 1)
				f, err := xgboost.Load(data, test.options)
				if err != nil {
					t.Fatal(err)
				}
				if len(f.Trees) != test.want {
					t.Errorf("%d trees, want %d", len(f.Trees), test.want)
				}
			}
		})
	}
}
