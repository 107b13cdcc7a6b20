package lightgbm_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/lightgbm"
)

// smallModel has every part that the loader reads: splits on numbers, of all kinds of missing values, and on
// categories, a tree of one leaf, linear leaves, and names of categories.
const smallModel = `tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective=binary sigmoid:2
feature_names=x device
feature_infos=[-1:2] 1:0:2
tree_sizes=1 2 3

Tree=0
num_leaves=4
num_cat=1
split_feature=0 1 0
split_gain=3 2 1
threshold=0.5 0 1.0000000180025095e-35
decision_type=8 1 6
left_child=1 -1 -3
right_child=2 -2 -4
leaf_value=-1 -2 1 2
leaf_count=2 4 1 3
internal_value=0 0 0
internal_count=10 6 4
cat_boundaries=0 1
cat_threshold=5
is_linear=0
shrinkage=1


Tree=1
num_leaves=1
num_cat=0
leaf_value=0.25
leaf_count=
is_linear=0
shrinkage=1


Tree=2
num_leaves=2
num_cat=0
split_feature=0
threshold=1
decision_type=0
left_child=-1
right_child=-2
leaf_value=0.125 0.0625
leaf_count=8 2
internal_count=10
is_linear=1
leaf_const=0.5 0
num_features=2 0
leaf_features=0 1  
leaf_coeff=2 -1  
shrinkage=1


end of trees

feature_importances:
x=3

parameters:
[boosting: gbdt]
[categorical_feature: 1]

end of parameters

pandas_categorical:[["a", 5, true]]
`

func TestSmallModel(t *testing.T) {
	f, err := lightgbm.Load([]byte(smallModel), lightgbm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Categories; got[0] != nil || !slices.Equal(got[1], []string{"a", "5", "True"}) {
		t.Errorf("categories %q, want none and a, 5, True", got)
	}
	if f.Explains() {
		t.Error("Explains() = true of a forest with linear leaves")
	}
	nan := math.NaN()
	tests := []struct {
		row  [2]float64
		want float64
	}{
		{[2]float64{0.25, 0}, -1 + 0.25 + 1},
		{[2]float64{0.5, 1}, -2 + 0.25 + 0.5},
		{[2]float64{0.5, 2.9}, -1 + 0.25 - 1.4},
		{[2]float64{0.5, nan}, -2 + 0.25 + 0.125},
		{[2]float64{0.5, -0.5}, -1 + 0.25 + 2},
		{[2]float64{0.5, -1}, -2 + 0.25 + 2.5},
		{[2]float64{2, 0}, 2 + 0.25 + 0},
		{[2]float64{nan, 0}, 1 + 0.25 + 0.125},
		{[2]float64{1e-36, 0}, -1 + 0.25 + 0.5},
	}
	for _, test := range tests {
		var margin [1]float64
		if f.MarginsTo(margin[:], test.row[:]); math.Abs(margin[0]-test.want) > 1e-15 {
			t.Errorf("margin of %v is %v, want %v", test.row, margin[0], test.want)
		}
	}
}

// edit returns the small model with old replaced by another text, and fails the test if old is not there.
func edit(tb testing.TB, old, replacement string) []byte {
	tb.Helper()
	if !strings.Contains(smallModel, old) {
		tb.Fatalf("the small model has no %q", old)
	}
	return []byte(strings.Replace(smallModel, old, replacement, 1))
}

func TestBrokenModels(t *testing.T) {
	sets := smallModel[strings.Index(smallModel, "num_cat=1"):strings.Index(smallModel, "cat_threshold=5")]
	tests := []struct{ name, old, replacement, want string }{
		{"nothing", "x", "x", ""},
		{"line ends of Windows", smallModel, strings.ReplaceAll(smallModel, "\n", "\r\n"), ""},
		{"empty", smallModel, "", "Booster.save_model"},
		{"another file", "tree\n", "trees\n", "Booster.save_model"},
		{"cut off", "end of trees", "end", `line 59: tree 2: the line "end" is unknown`},
		{"cut off at a tree", smallModel, smallModel[:strings.Index(smallModel, "end of trees")], "cut off"},
		{"cut off in the trees", smallModel[strings.Index(smallModel, "Tree=2"):strings.Index(smallModel, "end of trees")], "", "line 10: tree_sizes: it has the sizes of 3 trees, and the file has 2"},
		{"no version", "version=v4\n", "", "version: it is missing"},
		{"version", "version=v4", "version=v5", `line 2: version: files of version "v5"`},
		{"key twice", "label_index=0", "version=v3", `line 5: "version" is there twice`},
		{"no features", "max_feature_idx=1", "max_feature_idx=-1", "line 6: max_feature_idx"},
		{"too many features", "max_feature_idx=1", "max_feature_idx=1000000000", "line 6: max_feature_idx"},
		{"feature count", "max_feature_idx=1", "max_feature_idx=0", "line 8: feature_names"},
		{"feature called twice", "feature_names=x device", "feature_names=x x", `two features are called "x"`},
		{"feature names not UTF-8", "feature_names=x", "feature_names=\xff", "UTF-8"},
		{"feature infos", "feature_infos=[-1:2]", "feature_infos=", "feature_infos: it describes 1 features of 2"},
		{"no classes", "num_class=1", "num_class=0", "line 3: num_class"},
		{"too many classes", "num_class=1", "num_class=99999999", "line 3: num_class"},
		{"classes of a binary model", "num_class=1\nnum_tree_per_iteration=1", "num_class=3\nnum_tree_per_iteration=3", "binary has 3 classes"},
		{"trees an iteration", "num_tree_per_iteration=1", "num_tree_per_iteration=3", "3 trees an iteration for 1 classes"},
		{"iterations", "num_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\nobjective=binary sigmoid:2", "num_class=2\nnum_tree_per_iteration=2\nmax_feature_idx=1\nobjective=multiclass num_class:2", "3 trees are no iterations of 2"},
		{"objective", "objective=binary sigmoid:2", "objective=survival", `"survival" are not known`},
		{"objective empty", "objective=binary sigmoid:2", "objective=", "objective: it has 0 words"},
		{"no objective", "objective=binary sigmoid:2\n", "", ""},
		{"objective's word", "binary sigmoid:2", "binary sqrt", `"sqrt" is unknown`},
		{"objective's classes", "binary sigmoid:2", "binary num_class:2", "num_class"},
		{"sigmoid", "sigmoid:2", "sigmoid:0", "sigmoid is not a number above 0"},
		{"sigmoid NaN", "sigmoid:2", "sigmoid:nan", "sigmoid is not a number above 0"},
		{"sigmoid infinite", "sigmoid:2", "sigmoid:inf", "steepness"},
		{"unknown word", "label_index=0", "average_of_squares", `"average_of_squares" is unknown`},
		{"average", "feature_names", "average_output\nfeature_names", ""},
		{"tree order", "Tree=1", "Tree=2", "tree 1: Tree does not follow"},
		{"no leaves", "num_leaves=4", "num_leaves=0", "line 13: tree 0: num_leaves"},
		{"a lie about leaves", "num_leaves=4", "num_leaves=1000000000", "line 21: tree 0: leaf_value: it has 4 values, not 1000000000"},
		{"leaf values", "leaf_value=-1 -2 1 2", "leaf_value=-1 -2 1", "3 values"},
		{"leaf NaN", "leaf_value=-1", "leaf_value=nan", `"nan" is not a finite number`},
		{"leaf infinite", "leaf_value=-1", "leaf_value=1e999", "finite"},
		{"huge leaves", "leaf_value=-1 -2 1 2", "leaf_value=1e308 1.7e308 1 1", ""},
		{"leaves that overflow", "leaf_value=-1 -2 1 2", "leaf_value=1.7976931348623157e308 -2 1 2", "more than a float64"},
		{"threshold NaN", "threshold=0.5", "threshold=nan", "line 17: tree 0: threshold"},
		{"threshold of a word", "threshold=0.5", "threshold=half", `"half" is not a number`},
		{"threshold infinite", "threshold=0.5", "threshold=-inf", ""},
		{"threshold beyond float64", "threshold=0.5", "threshold=1e999", ""},
		{"thresholds", "threshold=0.5 0", "threshold=0.5", "2 values, not 3"},
		{"feature", "split_feature=0 1 0", "split_feature=0 2 0", "split_feature"},
		{"feature negative", "split_feature=0 1 0", "split_feature=0 -1 0", "split_feature"},
		{"decision type", "decision_type=8", "decision_type=12", "decision_type"},
		{"decision type of more bits", "decision_type=8", "decision_type=24", "decision_type"},
		{"child beyond", "left_child=1", "left_child=3", "left_child"},
		{"leaf beyond", "right_child=2 -2 -4", "right_child=2 -2 -5", "right_child"},
		{"child not an integer", "left_child=1", "left_child=1.5", "left_child"},
		{"cycle", "left_child=1", "left_child=0", "split 0 has two parents"},
		{"shared split", "left_child=1", "left_child=2", "split 2 has two parents"},
		{"shared leaf", "left_child=1 -1 -3", "left_child=1 -1 -4", "leaf 3 has two parents"},
		{"an island", "left_child=1 -1 -3\nright_child=2 -2 -4", "left_child=-1 1 -3\nright_child=2 -2 -4", "nodes hang on the root"},
		{"no children", "left_child=1 -1 -3\n", "", "line 12: tree 0: left_child: it is missing"},
		{"count negative", "leaf_count=2", "leaf_count=-2", "cover"},
		{"counts", "leaf_count=2 4", "leaf_count=2", "leaf_count"},
		{"counts of leaves alone", "internal_count=10 6 4\n", "", "internal_count"},
		{"counts in one tree", "leaf_count=2 4 1 3\ninternal_value=0 0 0\ninternal_count=10 6 4\n", "", "cover"},
		{"category set", "threshold=0.5 0", "threshold=0.5 1", "split 1 takes category set 1 of 1"},
		{"half a category set", "threshold=0.5 0", "threshold=0.5 0.5", "split 1 takes category set 0.5"},
		{"category set negative", "threshold=0.5 0", "threshold=0.5 -1", "category set -1"},
		{"no category sets", "num_cat=1", "num_cat=0", "category set 0 of 0"},
		{"a lie about category sets", "num_cat=1", "num_cat=2147483647", "2147483647 category sets for 3 splits"},
		{"category boundaries missing", "num_cat=1", "num_cat=2", "cat_boundaries: it has 2 values"},
		{"category boundaries", "cat_boundaries=0 1", "cat_boundaries=1 1", "cat_boundaries"},
		{"category boundaries beyond", "cat_boundaries=0 1", "cat_boundaries=0 2", "cat_threshold: it has 1 values, not 2"},
		{"category boundaries down", sets, strings.NewReplacer("num_cat=1", "num_cat=2", "=0 1\n", "=0 9 1\n").Replace(sets), "cat_boundaries: they do not go up from 0"},
		{"category bits", "cat_threshold=5", "cat_threshold=4294967296", "cat_threshold"},
		{"category without a name", "cat_threshold=5", "cat_threshold=15", ""},
		{"category names", `[["a", 5, true]]`, `[["a", "a", true]]`, `two categories of feature 1 are called "a"`},
		{"category names of another kind", `[["a", 5, true]]`, `[["a", null]]`, "pandas_categorical: a category"},
		{"category names broken", `[["a", 5, true]]`, `[["a"`, "line 70: pandas_categorical"},
		{"category names of no feature", `[["a", 5, true]]`, `[["a", "b", "c"], ["d"]]`, ""},
		{"no category names", `[["a", 5, true]]`, `null`, ""},
		{"linear constants", "leaf_const=0.5 0", "leaf_const=0.5", "leaf_const"},
		{"linear constant", "leaf_const=0.5", "leaf_const=nan", "leaf_const"},
		{"linear terms", "num_features=2 0", "num_features=2 1", "leaf_features: it has 2 values, not 3"},
		{"linear terms negative", "num_features=2 0", "num_features=3 -1", "num_features"},
		{"linear feature", "leaf_features=0 1", "leaf_features=0 2", "leaf_features"},
		{"linear coefficients", "leaf_coeff=2 -1", "leaf_coeff=2", "leaf_coeff"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := lightgbm.Load(edit(t, test.old, test.replacement), lightgbm.Options{})
			wantFileError(t, err, test.want)
		})
	}
}

// wantFileError expects a FileError that contains want; "" expects no error.
func wantFileError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("Load: %v", err)
		}
		return
	}
	if _, proper := errors.AsType[*lightgbm.FileError](err); !proper || !strings.Contains(err.Error(), want) {
		t.Errorf("Load: %v, want a FileError with %q", err, want)
	}
}

// TestZeroIsARange: LightGBM reads what is near zero as zero, whatever the threshold.
func TestZeroIsARange(t *testing.T) {
	for _, threshold := range []float64{0, 1e-36, 1e-35, forest.ZeroBound, 1.1e-35, -1e-36, -forest.ZeroBound, -1.1e-35} {
		f, err := lightgbm.Load(edit(t, "threshold=0.5", fmt.Sprintf("threshold=%g", threshold)), lightgbm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []float64{0, 1e-310, 1e-36, forest.ZeroBound, 1.05e-35, 1.2e-35} {
			for _, x := range []float64{x, -x} {
				read := x
				if math.Abs(x) <= forest.ZeroBound {
					read = 0
				}
				if got, want := x <= f.Trees[0].Nodes[0].Threshold, read <= threshold; got != want {
					t.Errorf("%g goes left of %g: %t, want %t", x, threshold, got, want)
				}
			}
		}
	}
}

func TestAverageOfNoTrees(t *testing.T) {
	head, rest, _ := strings.Cut(smallModel, "Tree=0")
	head = strings.Replace(head, "tree_sizes=1 2 3", "tree_sizes=\naverage_output", 1)
	_, err := lightgbm.Load([]byte(head+rest[strings.Index(rest, "end of trees"):]), lightgbm.Options{})
	wantFileError(t, err, "no trees to average")
}

func TestFilesAreBounded(t *testing.T) {
	_, err := lightgbm.Load([]byte(smallModel), lightgbm.Options{MaxBytes: len(smallModel) - 1})
	wantFileError(t, err, "at most")
	_, err = lightgbm.Load([]byte(smallModel), lightgbm.Options{MaxBytes: len(smallModel)})
	wantFileError(t, err, "")
	words := 1<<24/32 + 1
	old := "cat_boundaries=0 1\ncat_threshold=5"
	codes := edit(t, old, fmt.Sprintf("cat_boundaries=0 %d\ncat_threshold=%s", words, strings.Repeat("4294967295 ", words)))
	_, err = lightgbm.Load(codes, lightgbm.Options{})
	wantFileError(t, err, "more than 16777216 codes")
	far := edit(t, old, fmt.Sprintf("cat_boundaries=0 %d\ncat_threshold=%s 1", words, strings.Repeat("0 ", words-1)))
	_, err = lightgbm.Load(far, lightgbm.Options{})
	wantFileError(t, err, "category 16777216 is above")
}

// TestDeepTrees loads trees at the bound of depth and one below it.
func TestDeepTrees(t *testing.T) {
	for depth, want := range map[int]string{forest.MaxDepth: "", forest.MaxDepth + 1: "tree 1: node 128: a split below depth 64"} {
		var left, right strings.Builder
		for i := range depth {
			fmt.Fprintf(&left, "%d ", -1-i)
			next := i + 1
			if next == depth {
				next = -1 - depth
			}
			fmt.Fprintf(&right, "%d ", next)
		}
		zeros, leaves := strings.Repeat("0 ", depth), strings.Repeat("0 ", depth+1)
		tree := fmt.Sprintf("num_leaves=%d\nnum_cat=0\nsplit_feature=%s\nthreshold=%s\ndecision_type=%s\nleft_child=%s\nright_child=%s\nleaf_value=%s\nleaf_count=%s\ninternal_count=%s",
			depth+1, zeros, zeros, zeros, left.String(), right.String(), leaves, leaves, zeros)
		_, err := lightgbm.Load(edit(t, "num_leaves=1\nnum_cat=0\nleaf_value=0.25\nleaf_count=", tree), lightgbm.Options{})
		wantFileError(t, err, want)
	}
}
