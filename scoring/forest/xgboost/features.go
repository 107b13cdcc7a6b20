package xgboost

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// maxCharacters bounds the bytes and the integers that the names of all categories consist of.
const maxCharacters = 1 << 22

// readFeatures reads the names of the features and of their categories, and which features are categorical.
func readFeatures(learner, booster value, f *forest.Forest) error {
	var err error
	if f.FeatureNames, err = learner.strings("feature_names"); err != nil {
		return err
	}
	if n := len(f.FeatureNames); n > 0 && n != f.NumFeature {
		return learner.errorf("it has %d feature names for %d features", n, f.NumFeature)
	}
	if name, ok := repeated(f.FeatureNames); ok {
		return learner.errorf("two features are called %s", quote(name))
	}
	types, err := learner.strings("feature_types")
	if err != nil {
		return err
	}
	if n := len(types); n > 0 && n != f.NumFeature {
		return learner.errorf("it has %d feature types for %d features", n, f.NumFeature)
	}
	f.Categorical = make([]bool, f.NumFeature)
	for i, t := range types {
		f.Categorical[i] = t == "c"
	}
	return readCategories(booster, f)
}

// readCategories reads the names of the categories, which XGBoost writes from 3.1 on.
func readCategories(booster value, f *forest.Forest) error {
	cats, ok := booster.find("cats")
	if !ok {
		return nil
	}
	enc, err := cats.get("enc")
	if err != nil {
		return err
	}
	features, err := enc.list()
	if err != nil || len(features) == 0 {
		return err
	}
	if len(features) != f.NumFeature {
		return enc.errorf("it has categories of %d features for %d features", len(features), f.NumFeature)
	}
	f.Categories = make([][]string, f.NumFeature)
	left := maxCharacters
	for i, feature := range features {
		if f.Categories[i], err = categoryNames(feature, left); err != nil {
			return err
		}
		values, _ := feature.find("values")
		left -= values.length()
		if name, ok := repeated(f.Categories[i]); ok {
			return feature.errorf("two categories are called %s", quote(name))
		}
		f.Categorical[i] = f.Categorical[i] || f.Categories[i] != nil
	}
	return nil
}

// categoryNames returns a feature's category names in code order, or nil if it has none. Strings are in
// one run of bytes, cut at offsets; integers are in an array, and their digits are their names. There are at most as
// many bytes or integers.
func categoryNames(feature value, most int) ([]string, error) {
	if _, ok := feature.find("offsets"); !ok {
		const exact = 1 << 53 // beyond it, a float64 holds another integer than the file
		values, err := feature.integers("values", most, -exact, exact)
		if err != nil {
			return nil, err
		}
		names := make([]string, len(values))
		for i, v := range values {
			names[i] = strconv.Itoa(v)
		}
		return names, nil
	}
	characters, err := feature.integers("values", most, -128, 255)
	if err != nil {
		return nil, err
	}
	offsets, err := feature.integers("offsets", maxCharacters, 0, len(characters))
	if err != nil || len(offsets) == 0 {
		return nil, err
	}
	text := make([]byte, len(characters))
	for i, c := range characters {
		text[i] = byte(c)
	}
	names := make([]string, len(offsets)-1)
	for i := range names {
		if offsets[i] > offsets[i+1] {
			return nil, feature.errorf("its offsets go down")
		}
		name := text[offsets[i]:offsets[i+1]]
		if !utf8.Valid(name) {
			return nil, feature.errorf("category %d is not valid UTF-8", i)
		}
		names[i] = string(name)
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
