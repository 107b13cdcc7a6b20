package xgboost

import (
	"strconv"
	"strings"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// readModel reads the model's structure into the description of a forest.
func readModel(root value, o Options) (*forest.Forest, error) {
	if err := refuseOtherLibraries(root); err != nil {
		return nil, err
	}
	learner, err := root.get("learner")
	if err != nil {
		return nil, err
	}
	booster, weights, err := treeBooster(learner)
	if err != nil {
		return nil, err
	}
	f := &forest.Forest{}
	written, err := readVersion(root)
	if err != nil {
		return nil, err
	}
	if err := readParameters(learner, written, f); err != nil {
		return nil, err
	}
	if err := readFeatures(learner, booster, f); err != nil {
		return nil, err
	}
	keep, err := treesToKeep(learner, booster, f.NumGroup, o)
	if err != nil {
		return nil, err
	}
	if err := readTrees(booster, keep, f, o.Forest); err != nil {
		return nil, err
	}
	if err := weigh(f.Trees, booster, weights); err != nil {
		return nil, err
	}
	return f, nil
}

// treeBooster returns the trees' part of the model and the list of the trees' weights, which only a dart
// model has, or says why the booster is not read.
func treeBooster(learner value) (booster, weights value, err error) {
	part, err := learner.get("gradient_booster")
	if err != nil {
		return value{}, value{}, err
	}
	name, err := part.text("name")
	if err != nil {
		return value{}, value{}, err
	}
	switch name {
	case "gbtree": // from 3.3 on, that is the name of a dart model, too; 3.3 has its weights beside the trees
		booster, err = part.get("model")
		for _, holder := range []value{part, booster} {
			if w, ok := holder.find("weight_drop"); ok {
				weights = w
			}
		}
		return booster, weights, err
	case "dart":
		if weights, err = part.get("weight_drop"); err != nil {
			return value{}, value{}, err
		}
		booster, err = part.get("gbtree", "model")
		return booster, weights, err
	case "gblinear":
		return value{}, value{}, part.errorf("it is a linear model without trees (booster=gblinear); train with booster=gbtree")
	}
	return value{}, value{}, part.errorf("the booster %s is unknown; train with booster=gbtree", quote(name))
}

// weigh multiplies the leaves by the weights of their trees, in float32 as XGBoost does when it predicts.
func weigh(trees []forest.Tree, booster, weights value) error {
	if weights.path == "" {
		return nil
	}
	list, ok := weights.raw.(numbers)
	if all, _ := booster.find("trees"); !ok || list.count != all.length() {
		return weights.errorf("it is not one number for each of the %d trees", all.length())
	}
	w := list.appendTo(nil)
	for t := range trees {
		nodes := trees[t].Nodes
		for i := range nodes {
			nodes[i].Leaf = float64(float32(w[t]) * float32(nodes[i].Leaf))
		}
	}
	return nil
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
	params, _ := booster.find("gbtree_model_param")
	if _, ok := params.find("num_trees"); ok {
		if _, err := params.parameter("num_trees", len(trees), len(trees)); err != nil {
			return 0, err
		}
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
		starts, err := booster.integers("iteration_indptr", maxValues, 0, trees)
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
