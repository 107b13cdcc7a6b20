package xgboost_test

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

// smallModel is a model of two trees with every part that the loader reads: a numeric and a categorical
// split, names of categories, and a pruned pair of nodes.
const smallModel = `{"learner": {
  "attributes": {"best_iteration": "1"},
  "feature_names": ["x", "device"], "feature_types": ["float", "c"],
  "gradient_booster": {"name": "gbtree", "model": {
    "cats": {"enc": [{"offsets": [], "values": []}, {"offsets": [0, 1, 3, 6], "values": [97, 98, 98, 99, -61, -87]}]},
    "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": "2"},
    "iteration_indptr": [0, 1, 2], "tree_info": [0, 0],
    "trees": [
      {"id": 0, "left_children": [1, -1, -1, -1, -1], "right_children": [2, -1, -1, -1, -1],
       "split_indices": [0, 0, 0, 2147483647, 2147483647], "split_conditions": [0.5, -1, 1, 0, 0], "default_left": [1, 0, 0, 0, 0],
       "split_type": [0, 0, 0, 0, 0], "sum_hessian": [10, 6, 4, 3, 3],
       "categories": [], "categories_nodes": [], "categories_segments": [], "categories_sizes": [],
       "tree_param": {"num_nodes": "5", "num_deleted": "2", "num_feature": "2", "size_leaf_vector": "1"}},
      {"id": 1, "left_children": [1, -1, -1], "right_children": [2, -1, -1],
       "split_indices": [1, 0, 0], "split_conditions": [NaN, -0.25, 0.25], "default_left": [0, 0, 0],
       "split_type": [1, 0, 0], "sum_hessian": [9, 5, 4],
       "categories": [2, 0], "categories_nodes": [0], "categories_segments": [0], "categories_sizes": [2],
       "tree_param": {"num_nodes": "3", "num_deleted": "0", "num_feature": "2", "size_leaf_vector": "1"}}]}},
  "learner_model_param": {"base_score": "[5E-1]", "num_class": "0", "num_feature": "2", "num_target": "1"},
  "objective": {"name": "binary:logistic"}},
 "version": [3, 4, 1]}`

// edit returns the small model with old replaced by another text, and fails the test if old is not there.
func edit(tb testing.TB, old, replacement string) []byte {
	tb.Helper()
	if !strings.Contains(smallModel, old) {
		tb.Fatalf("the small model has no %q", old)
	}
	return []byte(strings.Replace(smallModel, old, replacement, 1))
}

func TestSmallModel(t *testing.T) {
	f, err := xgboost.Load([]byte(smallModel), xgboost.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Categories[1]; len(got) != 3 || got[2] != "cé" {
		t.Errorf("categories %q, want the last of three to be cé", got)
	}
	tests := []struct {
		row  [2]float64
		want float64
	}{
		{[2]float64{0.25, 0}, -0.75},
		{[2]float64{0.5, 1}, 0.75},
		{[2]float64{math.NaN(), 2}, -0.75},
		{[2]float64{math.NaN(), math.NaN()}, -0.75},
		{[2]float64{1, -1}, 0.75},
		{[2]float64{1, 1 << 25}, 0.75},
		{[2]float64{1, 2.9}, 1.25},
	}
	for _, test := range tests {
		var margin [1]float64
		if f.MarginsTo(margin[:], test.row[:]); margin[0] != test.want {
			t.Errorf("margin of %v is %v, want %v", test.row, margin[0], test.want)
		}
	}
}

func TestBrokenModels(t *testing.T) {
	tests := []struct{ name, old, replacement, want string }{
		{"truncated", `"version": [3, 4, 1]}`, `"version": [3`, "ends too early"},
		{"trailing data", `"version": [3, 4, 1]}`, `"version": [3, 4, 1]} 1`, "more after the model"},
		{"duplicate name", `"version"`, `"learner": 1, "version"`, "duplicate"},
		{"invalid UTF-8", `"x"`, "\"\xff\"", "UTF-8"},
		{"nested too deep", `"attributes": {"best`, `"more": ` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `, "attributes": {"best`, "nested"},
		{"mixed array", `[0, 1, 2]`, `[0, "1", 2]`, "mixes"},
		{"no learner", `"learner"`, `"teacher"`, "learner: it is missing"},
		{"no version", `"version"`, `"edition"`, "version: it is missing"},
		{"dart without weights", `"gbtree", "model"`, `"dart", "model"`, "weight_drop: it is missing"},
		{"dart without trees", `"gbtree", "model"`, `"dart", "weight_drop": [1, 1], "model"`, "gbtree: it is missing"},
		{"a weight for one of two trees", `"iteration_indptr"`, `"weight_drop": [1], "iteration_indptr"`, "each of the 2 trees"},
		{"weights that are words", `"iteration_indptr"`, `"weight_drop": ["1", "1"], "iteration_indptr"`, "each of the 2 trees"},
		{"a weight that is null", `"iteration_indptr"`, `"weight_drop": null, "iteration_indptr"`, "each of the 2 trees"},
		{"a weight that is NaN", `"iteration_indptr"`, `"weight_drop": [1, NaN], "iteration_indptr"`, "leaf value"},
		{"a weight that is infinite", `"iteration_indptr"`, `"weight_drop": [Infinity, 1], "iteration_indptr"`, "leaf value"},
		{"a weight that overflows", `"iteration_indptr"`, `"weight_drop": [1, 1e39], "iteration_indptr"`, "leaf value"},
		{"gblinear", `"gbtree", "model"`, `"gblinear", "model"`, "linear model without trees"},
		{"unknown booster", `"gbtree", "model"`, `"forest", "model"`, `"forest" is unknown`},
		{"objective", `"binary:logistic"`, `"survival:weibull"`, `"survival:weibull"`},
		{"expectiles", `"num_target": "1"},
  "objective": {"name": "binary:logistic"}`, `"num_target": "2"},
  "objective": {"name": "reg:expectileerror"}`, "several expectile_alpha"},
		{"huge class count", `"num_class": "0"`, `"num_class": "1000000000"`, "num_class"},
		{"huge target count", `"num_target": "1"`, `"num_target": "1000000000"`, "num_target"},
		{"target count type", `"num_target": "1"`, `"num_target": 2`, "num_target"},
		{"targets and classes", `"num_class": "0", "num_feature": "2", "num_target": "1"`, `"num_class": "3", "num_feature": "2", "num_target": "2"`, "3 classes and 2 targets"},
		{"no features", `"num_feature": "2", "num_target"`, `"num_feature": "0", "num_target"`, "num_feature"},
		{"huge feature count", `"num_feature": "2", "num_target"`, `"num_feature": "99999999", "num_target"`, "num_feature"},
		{"base score text", `[5E-1]`, `[half]`, "base_score"},
		{"base score list", `[5E-1]`, `[5E-1,5E-1]`, "2 numbers for 1 groups"},
		{"base score NaN", `[5E-1]`, `NaN`, "base_score"},
		{"base score infinite", `[5E-1]`, `1e99`, "base_score"},
		{"base score above 1", `[5E-1]`, `[1.5E0]`, "between 0 and 1"},
		{"base score below 0", `[5E-1]`, `[-1E0]`, "between 0 and 1"},
		{"base score type", `"[5E-1]"`, `0.5`, "not a string"},
		{"feature names", `["x", "device"]`, `["x"]`, "1 feature names"},
		{"feature called twice", `["x", "device"]`, `["x", "x"]`, `two features are called "x"`},
		{"feature name type", `["x", "device"]`, `["x", true]`, "feature_names[1]"},
		{"feature types", `["float", "c"]`, `["c"]`, "1 feature types"},
		{"category offsets beyond the text", `[0, 1, 3, 6]`, `[0, 1, 3, 7]`, "offsets"},
		{"category offsets down", `[0, 1, 3, 6]`, `[0, 3, 1, 6]`, "offsets go down"},
		{"category called twice", `[97, 98, 98, 99`, `[98, 98, 98, 98`, ""},
		{"category not UTF-8", `-61, -87]`, `-61, 97]`, "UTF-8"},
		{"category without a name", `"categories": [2, 0]`, `"categories": [3, 0]`, "no name"},
		{"category too large", `"categories": [2, 0]`, `"categories": [16777216, 0]`, "categories"},
		{"category twice in a set", `"categories": [2, 0]`, `"categories": [2, 2]`, "category 2"},
		{"category segment", `"categories_segments": [0], "categories_sizes": [2]`, `"categories_segments": [1], "categories_sizes": [1]`, "does not follow"},
		{"category size", `"categories_sizes": [2]`, `"categories_sizes": [3]`, "categories_sizes"},
		{"category sizes", `"categories_sizes": [2]`, `"categories_sizes": []`, "0 sizes"},
		{"category node", `"categories_nodes": [0]`, `"categories_nodes": [3]`, "categories_nodes"},
		{"categorical split without a set", `"categories_nodes": [0]`, `"categories_nodes": [1]`, "not both"},
		{"categories of a numeric split", `"split_type": [1, 0, 0]`, `"split_type": [0, 0, 0]`, "not both"},
		{"best iteration", `"best_iteration": "1"`, `"best_iteration": "2"`, "best_iteration"},
		{"best iteration text", `"best_iteration": "1"`, `"best_iteration": "last"`, "best_iteration"},
		{"rounds down", `[0, 1, 2]`, `[0, 2, 1]`, "iteration_indptr"},
		{"rounds end early", `[0, 1, 2]`, `[0, 1, 1]`, "iteration_indptr"},
		{"no rounds", `[0, 1, 2]`, `[]`, "best_iteration"},
		{"tree info", `"tree_info": [0, 0]`, `"tree_info": [0]`, "tree_info"},
		{"number of trees", `"num_trees": "2"`, `"num_trees": "3"`, "num_trees"},
		{"group", `"tree_info": [0, 0]`, `"tree_info": [0, 1]`, "tree_info"},
		{"tree order", `"id": 1`, `"id": 0`, "trees[1].id"},
		{"no nodes", `"num_nodes": "3"`, `"num_nodes": "0"`, "num_nodes"},
		{"huge node count", `"num_nodes": "3"`, `"num_nodes": "2000000000"`, "3 elements for 2000000000 nodes"},
		{"vector leaves", `"size_leaf_vector": "1"`, `"size_leaf_vector": "3"`, "multi_strategy=one_output_per_tree"},
		{"array length", `"default_left": [0, 0, 0]`, `"default_left": [0, 0]`, "2 elements for 3 nodes"},
		{"child out of range", `"left_children": [1, -1, -1],`, `"left_children": [3, -1, -1],`, "left_children"},
		{"child not an integer", `"left_children": [1, -1, -1],`, `"left_children": [1.5, -1, -1],`, "left_children"},
		{"one child", `"left_children": [1, -1, -1],`, `"left_children": [-1, -1, -1],`, "one child"},
		{"cycle", `"left_children": [1, -1, -1],`, `"left_children": [0, -1, -1],`, "two parents"},
		{"shared child", `"left_children": [1, -1, -1],`, `"left_children": [2, -1, -1],`, "two parents"},
		{"lost nodes", `"num_deleted": "2"`, `"num_deleted": "1"`, "3 nodes hang on the root"},
		{"feature out of range", `"split_indices": [1, 0, 0]`, `"split_indices": [2, 0, 0]`, "feature 2 of 2"},
		{"threshold NaN", `[0.5, -1, 1, 0, 0]`, `[NaN, -1, 1, 0, 0]`, "threshold is not a number"},
		{"leaf NaN", `[NaN, -0.25, 0.25]`, `[0, NaN, 0.25]`, "leaf value"},
		{"leaf infinite", `[NaN, -0.25, 0.25]`, `[0, Infinity, 0.25]`, "leaf value"},
		{"leaf beyond float32", `[NaN, -0.25, 0.25]`, `[0, 1e39, 0.25]`, "leaf value"},
		{"leaves that overflow", `[NaN, -0.25, 0.25]`, `[0, 3.4e38, -3.4028234e38]`, "more than a float32"},
		{"cover NaN", `"sum_hessian": [9, 5, 4]`, `"sum_hessian": [NaN, 5, 4]`, "cover"},
		{"covers in one tree", `"sum_hessian": [9, 5, 4]`, `"sum_hess": []`, "cover"},
		{"default side", `"default_left": [0, 0, 0]`, `"default_left": [2, 0, 0]`, "default_left"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantFileError(t, edit(t, test.old, test.replacement), test.want)
		})
	}
}

// TestNegativeCovers: a model scores whose covers explain nothing.
func TestNegativeCovers(t *testing.T) {
	f, err := xgboost.Load(edit(t, `"sum_hessian": [9, 5, 4]`, `"sum_hessian": [9, -5, 14]`), xgboost.Options{})
	if err != nil || f.Explains() {
		t.Errorf("it explains, or fails with %v", err)
	}
}

// TestClassesOfAnObjectiveOfOnesOwn: num_class beside an objective of one margin comes from training by another objective.
func TestClassesOfAnObjectiveOfOnesOwn(t *testing.T) {
	f, err := xgboost.Load(edit(t, `"num_class": "0"`, `"num_class": "2"`), xgboost.Options{AllTrees: true})
	if err != nil {
		t.Fatal(err)
	}
	margins, predictions := make([]float64, 2), make([]float64, 2)
	f.MarginsTo(margins, []float64{0.25, 0})
	f.PredictionsTo(predictions, margins)
	for i, margin := range []float64{-0.75, 0} { // both trees are of the first class
		if want := 1 / (1 + math.Exp(-margin)); margins[i] != margin || math.Abs(predictions[i]-want) > 1e-7 {
			t.Errorf("class %d: margin %v, prediction %v, want %v and %v", i, margins[i], predictions[i], margin, want)
		}
	}
}

// wantFileError expects Load to refuse a file with a FileError that contains want; "" expects it to load.
func wantFileError(t *testing.T, data []byte, want string) {
	t.Helper()
	_, err := xgboost.Load(data, xgboost.Options{})
	if want == "" {
		if err != nil {
			t.Errorf("Load: %v", err)
		}
		return
	}
	var broken *xgboost.FileError
	if !errors.As(err, &broken) || !strings.Contains(err.Error(), want) {
		t.Errorf("Load: %v, want a FileError with %q", err, want)
	}
}

func TestFilesAreBounded(t *testing.T) {
	_, err := xgboost.Load([]byte(smallModel), xgboost.Options{MaxBytes: len(smallModel) - 1})
	if err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("Load of a file beyond MaxBytes: %v", err)
	}
	if _, err = xgboost.Load([]byte(smallModel), xgboost.Options{MaxBytes: len(smallModel)}); err != nil {
		t.Errorf("Load of a file of MaxBytes: %v", err)
	}
	values := edit(t, `"attributes": {`, `"more": [`+strings.Repeat("{},", 1<<20)+`{}], "attributes": {`)
	wantFileError(t, values, "too many values")
	numbers := edit(t, `"attributes": {`, `"more": [`+strings.Repeat("0,", 1<<24)+`0], "attributes": {`)
	wantFileError(t, numbers, "") // which nobody asks for
	for _, name := range []string{"iteration_indptr", "tree_info"} {
		before, after, _ := strings.Cut(smallModel, `"`+name+`": [0,`)
		numbers := before + `"` + name + `": [` + strings.Repeat("0,", 1<<20+1) + after
		wantFileError(t, []byte(numbers), name+": it has 10485")
	}
}

// TestDeepTrees loads trees at the bound of depth and one below it.
func TestDeepTrees(t *testing.T) {
	for depth, want := range map[int]string{forest.MaxDepth: "", forest.MaxDepth + 1: "below depth"} {
		var model map[string]any
		if err := json.Unmarshal(edit(t, "NaN", "0"), &model); err != nil {
			t.Fatal(err)
		}
		booster := model["learner"].(map[string]any)["gradient_booster"].(map[string]any)["model"].(map[string]any)
		tree := booster["trees"].([]any)[0].(map[string]any)
		n := 2*depth + 1
		left, right, zeros := make([]int, n), make([]int, n), make([]int, n)
		for i := range n {
			left[i], right[i] = -1, -1
			if i%2 == 0 && i+2 < n {
				left[i], right[i] = i+1, i+2
			}
		}
		tree["left_children"], tree["right_children"] = left, right
		for _, name := range []string{"split_indices", "split_conditions", "default_left", "split_type", "sum_hessian"} {
			tree[name] = zeros
		}
		tree["tree_param"] = map[string]string{"num_nodes": strconv.Itoa(n), "num_deleted": "0"}
		data, err := json.Marshal(model)
		if err != nil {
			t.Fatal(err)
		}
		wantFileError(t, data, want)
	}
}
