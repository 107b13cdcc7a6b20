package xgboost

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// readModel reads the model's structure into the description of a forest.
func readModel(root value, o Options) (*forest.Forest, error) {
	learner, err := root.get("learner")
	if err != nil {
		return nil, err
	}
	booster, err := gbtree(learner)
	if err != nil {
		return nil, err
	}
	f := &forest.Forest{}
	clamps, err := clampsProbability(root)
	if err != nil {
		return nil, err
	}
	if err := readParameters(learner, clamps, f); err != nil {
		return nil, err
	}
	if err := readFeatures(learner, booster, f); err != nil {
		return nil, err
	}
	keep, err := treesToKeep(learner, booster, f.NumGroup, o)
	if err != nil {
		return nil, err
	}
	if err := readTrees(booster, keep, f); err != nil {
		return nil, err
	}
	return f, nil
}

// gbtree returns the trees' part of the model, or says why the booster is not read.
func gbtree(learner value) (value, error) {
	booster, err := learner.get("gradient_booster")
	if err != nil {
		return value{}, err
	}
	name, err := booster.text("name")
	if err != nil {
		return value{}, err
	}
	switch name {
	case "gbtree":
		return booster.get("model")
	case "dart":
		return value{}, booster.errorf("models of the booster dart are not read; train with booster=gbtree")
	case "gblinear":
		return value{}, booster.errorf("it is a linear model without trees; train with booster=gbtree")
	}
	return value{}, booster.errorf("the booster %s is unknown; train with booster=gbtree", quote(name))
}

// readParameters reads the sizes, the objective and the base margin.
func readParameters(learner value, clamps bool, f *forest.Forest) error {
	params, err := learner.get("learner_model_param")
	if err != nil {
		return err
	}
	if f.NumFeature, err = params.parameter("num_feature", 1, forest.MaxFeatures); err != nil {
		return err
	}
	classes, err := params.parameter("num_class", 0, forest.MaxGroups)
	if err != nil {
		return err
	}
	f.NumGroup = max(1, classes)
	if targets, ok := params.find("num_target"); ok && targets.raw != "1" && targets.raw != "0" {
		return targets.errorf("the model has several targets; train one model for each")
	}
	objective, err := learner.get("objective")
	if err != nil {
		return err
	}
	if f.Objective, err = objective.text("name"); err != nil {
		return err
	}
	known := false
	if f.Link, known = linkOf(f.Objective); !known {
		return objective.errorf("predictions of the objective %s are not known here; use binary:logistic, reg:squarederror, multi:softprob or one like them", quote(f.Objective))
	}
	if f.Link != forest.Softmax && f.NumGroup != 1 {
		return objective.errorf("%s has %d classes; it takes none", f.Objective, f.NumGroup)
	}
	base, err := baseMargins(params, clamps, f)
	for _, b := range base {
		f.Base = append(f.Base, float64(b))
	}
	return err
}

// linkOf returns what an objective does with margins, and whether it is one of those read here.
func linkOf(objective string) (forest.Link, bool) {
	switch objective {
	case "binary:logistic", "reg:logistic":
		return forest.Sigmoid, true
	case "multi:softprob", "multi:softmax":
		return forest.Softmax, true
	case "binary:logitraw", "reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:absoluteerror",
		"reg:pseudohubererror", "reg:quantileerror", "rank:pairwise", "rank:ndcg", "rank:map":
		return forest.Identity, true
	}
	return 0, false
}

// clampsProbability reports whether the XGBoost that wrote the file keeps the base probability away from 0
// and 1, as it does from 3.2 on.
func clampsProbability(root value) (bool, error) {
	version, err := root.integers("version", 0, math.MaxInt32)
	if err != nil {
		return false, err
	}
	return slices.Compare(version, []int{3, 2}) >= 0, nil
}

// baseMargins reads base_score, which is in the prediction's units: a number, or from XGBoost 3.1 on a
// list of one number or one a class.
func baseMargins(params value, clamps bool, f *forest.Forest) ([]float32, error) {
	text, err := params.text("base_score")
	if err != nil {
		return nil, err
	}
	base, _ := params.find("base_score")
	if inner, ok := strings.CutPrefix(text, "["); ok {
		text = strings.TrimSuffix(inner, "]")
	}
	scores := strings.Split(text, ",")
	if len(scores) != 1 && len(scores) != f.NumGroup {
		return nil, base.errorf("it has %d numbers for %d classes", len(scores), f.NumGroup)
	}
	margins := make([]float32, f.NumGroup)
	for g := range margins {
		score, err := strconv.ParseFloat(scores[g%len(scores)], 32)
		if err != nil {
			return nil, base.errorf("it is not a number or a list of numbers that fit a float32")
		}
		margins[g] = float32(score)
		if f.Link != forest.Sigmoid {
			continue
		}
		if clamps {
			margins[g] = min(max(margins[g], 1e-6), 1-1e-6)
		}
		if !(margins[g] > 0 && margins[g] < 1) {
			return nil, base.errorf("it is not between 0 and 1, as a probability must be")
		}
		margins[g] = logit(margins[g])
	}
	return margins, nil
}

// logit is XGBoost's, in float32: the float32 nearest to the logarithm of the float32 odds. The logarithm of
// the C library that XGBoost runs on is one bit off that for about one probability in 500.
func logit(p float32) float32 {
	return -float32(math.Log(float64(1/p - 1)))
}

// treesToKeep returns how many of the trees predict: those up to the best iteration, or all.
func treesToKeep(learner, booster value, groups int, o Options) (int, error) {
	list, err := booster.get("trees")
	if err != nil {
		return 0, err
	}
	trees, err := list.list()
	if err != nil {
		return 0, err
	}
	starts, err := iterations(booster, len(trees), groups)
	if err != nil || o.AllTrees {
		return len(trees), err
	}
	attributes, _ := learner.find("attributes")
	if _, ok := attributes.find("best_iteration"); !ok {
		return len(trees), nil
	}
	best, err := attributes.parameter("best_iteration", 0, len(starts)-2)
	if err != nil {
		return 0, err
	}
	return starts[best+1], nil
}

// iterations returns the index of each boosting round's first tree, and the number of trees at the end.
// XGBoost before 2.0 does not write it down: a round has num_parallel_tree trees a group.
func iterations(booster value, trees, groups int) ([]int, error) {
	if indptr, ok := booster.find("iteration_indptr"); ok {
		starts, err := booster.integers("iteration_indptr", 0, trees)
		if err != nil {
			return nil, err
		}
		for i, s := range starts {
			if i == 0 && s != 0 || i > 0 && s < starts[i-1] || i == len(starts)-1 && s != trees {
				return nil, indptr.errorf("it does not go up from 0 to the %d trees", trees)
			}
		}
		return starts, nil
	}
	params, err := booster.get("gbtree_model_param")
	if err != nil {
		return nil, err
	}
	parallel, err := params.parameter("num_parallel_tree", 1, max(1, trees))
	if err != nil {
		return nil, err
	}
	round := parallel * groups
	if trees%round != 0 {
		return nil, booster.errorf("its %d trees are not rounds of %d", trees, round)
	}
	starts := make([]int, 0, trees/round+1)
	for s := 0; s <= trees; s += round {
		starts = append(starts, s)
	}
	return starts, nil
}

// quote returns the beginning of a text of the file, for an error.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}
