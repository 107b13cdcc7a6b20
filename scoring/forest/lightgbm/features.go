package lightgbm

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// readFeatures reads the names of the features, and which of them were categorical in training.
func readFeatures(header *section, f *forest.Forest) error {
	text, err := header.text("feature_names")
	if err != nil {
		return err
	}
	if !utf8.ValidString(text) {
		return header.errorf("feature_names", "they are not valid UTF-8")
	}
	if n := countWords(text); n != f.NumFeature {
		return header.errorf("feature_names", "it has %d names for %d features", n, f.NumFeature)
	}
	for range f.NumFeature {
		var name string
		name, text = cutWord(text)
		f.FeatureNames = append(f.FeatureNames, strings.Clone(name))
	}
	if name, ok := repeated(f.FeatureNames); ok {
		return header.errorf("feature_names", "two features are called %s", quote(name))
	}
	f.Categorical = make([]bool, f.NumFeature)
	infos, ok := header.field("feature_infos")
	if !ok {
		return nil
	}
	if n := countWords(infos.text); n != f.NumFeature {
		return header.errorf("feature_infos", "it describes %d features of %d", n, f.NumFeature)
	}
	rest := infos.text
	for i := range f.Categorical {
		// A range in brackets is a numeric feature, "none" one of a single value, and codes are a categorical one.
		var kind string
		kind, rest = cutWord(rest)
		f.Categorical[i] = kind != "none" && !strings.HasPrefix(kind, "[")
	}
	return nil
}

// maxNames bounds the line with the names of the categories.
const maxNames = 4 << 20

// trailer is what comes after the trees and matters to the reader of rows.
type trailer struct {
	categorical []int      // features that were declared categorical
	names       [][]string // names of the categories of pandas, by column
}

// readTrailer reads the lines after the trees.
func readTrailer(in *lines) (t trailer, err error) {
	parameters := false
	for line, ok := in.next(); ok; line, ok = in.next() {
		switch {
		case line == "parameters:" || line == "end of parameters":
			parameters = line == "parameters:"
		case parameters && strings.HasPrefix(line, "[categorical_feature:"):
			list := strings.TrimSuffix(strings.TrimPrefix(line, "[categorical_feature:"), "]")
			if n := strings.Count(list, ",") + 1; n > forest.MaxFeatures {
				return t, &FileError{Line: in.number, Tree: -1, Problem: fmt.Sprintf("categorical_feature: it has %d features", n)}
			}
			for word := range strings.SplitSeq(list, ",") {
				// Names in place of numbers, as of a configuration file, are told from the trees alone.
				if feature, err := strconv.Atoi(strings.TrimSpace(word)); err == nil {
					t.categorical = append(t.categorical, feature)
				}
			}
		case !parameters && strings.HasPrefix(line, "pandas_categorical:"):
			if t.names, err = pandasNames(strings.TrimPrefix(line, "pandas_categorical:")); err != nil {
				return t, &FileError{Line: in.number, Tree: -1, Problem: "pandas_categorical: " + err.Error()}
			}
		}
	}
	return t, nil
}

// nameCategories gives the categorical features the names of pandas. The file lists them by column without
// saying of which: they belong to the categorical features, in order. If the numbers of both differ, or a
// code has no name, then some columns were categorical in pandas or in LightGBM alone, and codes remain.
func (t *trailer) nameCategories(f *forest.Forest) error {
	var features []int
	for _, i := range t.categorical {
		if i >= 0 && i < f.NumFeature {
			f.Categorical[i] = true
		}
	}
	for i, categorical := range f.Categorical {
		if categorical {
			features = append(features, i)
		}
	}
	if len(t.names) == 0 || len(t.names) != len(features) {
		return nil
	}
	names := make([][]string, f.NumFeature)
	for i, feature := range features {
		if name, ok := repeated(t.names[i]); ok {
			return problem("pandas_categorical: two categories of feature %d are called %s", feature, quote(name))
		}
		names[feature] = t.names[i]
	}
	for i := range f.Trees {
		for _, n := range f.Trees[i].Nodes {
			if n.Left == 0 || n.Set < 0 {
				continue
			}
			if set := f.Trees[i].Sets[n.Set]; len(set) > 0 && int(set[len(set)-1]) >= len(names[n.Feature]) {
				return nil
			}
		}
	}
	f.Categories = names
	return nil
}

// pandasNames reads the lists of category names: strings, and numbers and truth values as Python writes them.
func pandasNames(text string) ([][]string, error) {
	if len(text) > maxNames {
		return nil, fmt.Errorf("the names have %d bytes; at most %d are read", len(text), maxNames)
	}
	var columns [][]jsontext.Value
	if err := json.Unmarshal([]byte(text), &columns); err != nil {
		return nil, err
	}
	names := make([][]string, len(columns))
	for i, column := range columns {
		names[i] = make([]string, len(column))
		for k, v := range column {
			switch v.Kind() {
			case '"':
				if err := json.Unmarshal(v, &names[i][k]); err != nil {
					return nil, err
				}
			case 't':
				names[i][k] = "True"
			case 'f':
				names[i][k] = "False"
			case '0':
				names[i][k] = string(v)
			default:
				return nil, errors.New("a category is neither a string, a number nor a truth value")
			}
		}
	}
	return names, nil
}

// repeated returns a name that is there twice, and whether there is one.
func repeated(names []string) (string, bool) {
	sorted := slices.Sorted(slices.Values(names))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return sorted[i], true
		}
	}
	return "", false
}
