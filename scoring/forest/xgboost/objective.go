package xgboost

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// linkOf returns what an objective does with margins, and whether it is one of those read here.
func linkOf(objective string) (forest.Link, bool) {
	switch objective {
	case "binary:logistic", "reg:logistic":
		return forest.Sigmoid, true
	case "multi:softprob", "multi:softmax":
		return forest.Softmax, true
	case "count:poisson", "reg:gamma", "reg:tweedie", "survival:aft", "survival:cox":
		return forest.Exp, true
	case "binary:hinge":
		return forest.Step, true
	case "binary:logitraw", "reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:absoluteerror",
		"reg:pseudohubererror", "reg:quantileerror", "reg:expectileerror", "rank:pairwise", "rank:ndcg", "rank:map":
		return forest.Identity, true
	}
	return 0, false
}

// version is that of the XGBoost that wrote a file: major, minor, patch.
type version []int

func readVersion(root value) (version, error) {
	return root.integers("version", maxValues, 0, math.MaxInt32)
}

func (v version) since(major, minor int) bool { return slices.Compare(v, version{major, minor}) >= 0 }

// readParameters reads the sizes, the objective and the base margin.
func readParameters(learner value, written version, f *forest.Forest) error {
	params, err := learner.get("learner_model_param")
	if err != nil {
		return err
	}
	if f.NumFeature, err = params.parameter("num_feature", 1, forest.MaxFeatures); err != nil {
		return err
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
		return objective.errorf("predictions of the objective %s are not known here; train with binary:logistic, reg:squarederror, multi:softprob or another of XGBoost's own", quote(f.Objective))
	}
	if f.NumGroup, err = groups(params, f); err != nil {
		return err
	}
	switch {
	case f.NumGroup == 1:
	case f.Objective == "reg:expectileerror":
		return objective.errorf("several expectile_alpha are not read: XGBoost adds the expectiles up; train a model for each")
	case f.Objective == "reg:quantileerror" && written.since(3, 4):
		f.Link = forest.Ascending
	}
	// From 3.2 on, XGBoost keeps the base probability away from 0 and 1.
	f.Base, err = baseMargins(params, written.since(3, 2), f)
	return err
}

// groups returns the number of margins of a row: of classes, or of targets, which files before 1.6 do not count.
func groups(params value, f *forest.Forest) (int, error) {
	classes, err := params.parameter("num_class", 0, forest.MaxGroups)
	if err != nil {
		return 0, err
	}
	targets := 1
	if _, ok := params.find("num_target"); ok {
		if targets, err = params.parameter("num_target", 0, forest.MaxGroups); err != nil {
			return 0, err
		}
	}
	// Classes of another objective than softmax are those of somebody's own, in training: each has its link.
	if classes > 1 && targets > 1 {
		return 0, params.errorf("it has %d classes and %d targets; it may have several of one", classes, targets)
	}
	if f.Link == forest.Softmax && targets > 1 {
		return 0, params.errorf("%s has %d targets; it takes one", f.Objective, targets)
	}
	return max(1, classes, targets), nil
}

// baseMargins reads base_score: a number, or from XGBoost 3.1 on a list of one number or one a group.
func baseMargins(params value, clamps bool, f *forest.Forest) ([]float64, error) {
	text, err := params.text("base_score")
	if err != nil {
		return nil, err
	}
	base, _ := params.find("base_score")
	if inner, ok := strings.CutPrefix(text, "["); ok {
		text = strings.TrimSuffix(inner, "]")
	}
	if n := 1 + strings.Count(text, ","); n != 1 && n != f.NumGroup {
		return nil, base.errorf("it has %d numbers for %d groups", n, f.NumGroup)
	}
	scores := strings.Split(text, ",")
	margins := make([]float64, f.NumGroup)
	for g := range margins {
		score, err := strconv.ParseFloat(scores[g%len(scores)], 32)
		if err != nil {
			return nil, base.errorf("it is not a number or a list of numbers that fit a float32")
		}
		margin, err := baseMargin(float32(score), base, clamps, f)
		if err != nil {
			return nil, err
		}
		margins[g] = float64(margin)
	}
	return margins, nil
}

// baseMargin returns the margin of one number of base_score, which is a prediction where the link is a
// sigmoid or an exponential, and a margin elsewhere.
func baseMargin(score float32, base value, clamps bool, f *forest.Forest) (float32, error) {
	switch f.Link {
	case forest.Sigmoid:
		if clamps && score >= 0 && score <= 1 {
			score = min(max(score, 1e-6), 1-1e-6)
		}
		if !(score > 0 && score < 1) {
			return 0, base.errorf("it is not between 0 and 1, as a probability must be")
		}
		return logit(score), nil
	case forest.Exp:
		if !(score > 0) {
			return 0, base.errorf("it is not above 0, as the predictions of %s are", f.Objective)
		}
		return log(score), nil
	default:
		return score, nil
	}
}
