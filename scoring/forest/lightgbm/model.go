package lightgbm

import (
	"strconv"
	"strings"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// readModel reads the file's header, trees and trailer into the description of a forest.
func readModel(in *lines, progress *forest.Progress) (*forest.Forest, error) {
	if first, _ := in.next(); first != "tree" {
		return nil, problem("it does not begin with the line tree, as a model text of LightGBM does; save the model with Booster.save_model(\"model.txt\")")
	}
	header := &section{tree: -1, line: 1}
	next, err := header.read(in)
	if err != nil {
		return nil, err
	}
	f := &forest.Forest{Wide: true, LessEqual: true}
	if err := readHeader(header, f); err != nil {
		return nil, err
	}
	if err := readFeatures(header, f); err != nil {
		return nil, err
	}
	if err := readTrees(in, next, f, progress); err != nil {
		return nil, err
	}
	if err := checkTreeCount(header, len(f.Trees), f); err != nil {
		return nil, err
	}
	trailer, err := readTrailer(in)
	if err != nil {
		return nil, err
	}
	return f, trailer.nameCategories(f)
}

const (
	treeBegins = "Tree="
	treesEnd   = "end of trees"
)

// read reads the section's lines, and returns the line after them: a tree's first, or the end of the trees.
func (s *section) read(in *lines) (string, error) {
	s.fields = s.fields[:0]
	for {
		line, ok := in.next()
		switch {
		case !ok && in.rest != "":
			return "", problem("it has more than %d lines", maxLines)
		case !ok:
			return "", problem("it ends before the line %q; the file is cut off", treesEnd)
		case line == treesEnd || strings.HasPrefix(line, treeBegins):
			return line, nil
		case line == "":
		case !strings.Contains(line, "=") && line != "average_output":
			return "", &FileError{Line: in.number, Tree: s.tree, Problem: "the line " + quote(line) + " is unknown"}
		default:
			if err := s.add(line, in.number); err != nil {
				return "", err
			}
		}
	}
}

// readHeader reads the version, the sizes and the objective.
func readHeader(header *section, f *forest.Forest) error {
	version, err := header.text("version")
	if err != nil {
		return err
	}
	if version != "v2" && version != "v3" && version != "v4" {
		return header.errorf("version", "files of version %s are not read here, but v2, v3 and v4; save the model with LightGBM 2.1 to 4.7", quote(version))
	}
	last, err := header.integer("max_feature_idx", 0, forest.MaxFeatures-1)
	if err != nil {
		return err
	}
	f.NumFeature = last + 1
	classes, err := header.integer("num_class", 1, forest.MaxGroups)
	if err != nil {
		return err
	}
	if f.NumGroup, err = header.integer("num_tree_per_iteration", 1, forest.MaxGroups); err != nil {
		return err
	}
	if classes != f.NumGroup {
		return header.errorf("num_tree_per_iteration", "%d trees an iteration for %d classes", f.NumGroup, classes)
	}
	f.Base = make([]float64, f.NumGroup)
	return readObjective(header, f)
}

// readObjective reads what turns margins into predictions: a name, and parameters behind it. A model of an
// objective of the user's own has no such line, and predicts margins.
func readObjective(header *section, f *forest.Forest) error {
	const key = "objective"
	line, ok := header.field(key)
	if !ok {
		f.Objective = "custom"
		return nil
	}
	const most = 16 // words; LightGBM writes 3
	if n := countWords(line.text); n == 0 || n > most {
		return header.errorf(key, "it has %d words, not 1 to %d", n, most)
	}
	words := strings.Fields(line.text)
	f.Objective = strings.Clone(words[0])
	if f.Link, ok = linkOf(f.Objective); !ok {
		return header.errorf(key, "predictions of the objective %s are not known here; use binary, regression, multiclass or one like them", quote(f.Objective))
	}
	if many := f.Link == forest.Softmax || f.Objective == "multiclassova"; f.NumGroup > 1 && !many {
		return header.errorf(key, "%s has %d classes; it takes none", f.Objective, f.NumGroup)
	}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, ":")
		switch {
		case word == "sqrt" && f.Link == forest.Identity:
			f.Link = forest.SignedSquare
		case name == "sigmoid" && f.Link == forest.Sigmoid:
			var err error
			if f.Steepness, err = strconv.ParseFloat(value, 64); err != nil || !(f.Steepness > 0) {
				return header.errorf(key, "sigmoid is not a number above 0")
			}
		case name == "num_class" && value != strconv.Itoa(f.NumGroup):
			return header.errorf(key, "its num_class is not the model's, %d", f.NumGroup)
		case name == word:
			return header.errorf(key, "%s is unknown", quote(word))
		}
	}
	return nil
}

// linkOf returns what an objective does with margins, and whether it is one of those read here. The names
// that begin with xent are those of LightGBM before 3.0.
func linkOf(objective string) (forest.Link, bool) {
	switch objective {
	case "regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg":
		return forest.Identity, true
	case "binary", "cross_entropy", "xentropy", "multiclassova":
		return forest.Sigmoid, true
	case "multiclass":
		return forest.Softmax, true
	case "poisson", "gamma", "tweedie":
		return forest.Exp, true
	case "cross_entropy_lambda", "xentlambda":
		return forest.LogOnePlusExp, true
	}
	return 0, false
}

// checkTreeCount compares the trees found with what the header says of them, and sets the divisor of a
// model that averages its trees.
func checkTreeCount(header *section, trees int, f *forest.Forest) error {
	if sizes, ok := header.field("tree_sizes"); ok {
		if said := countWords(sizes.text); said != trees {
			return header.errorf("tree_sizes", "it has the sizes of %d trees, and the file has %d", said, trees)
		}
	}
	if trees%f.NumGroup != 0 {
		return header.errorf("num_tree_per_iteration", "%d trees are no iterations of %d", trees, f.NumGroup)
	}
	if _, ok := header.field("average_output"); ok {
		if trees == 0 {
			return header.errorf("average_output", "there are no trees to average")
		}
		f.Divisor = float64(trees / f.NumGroup)
	}
	return nil
}
