package xgboost

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

func FuzzJSON(f *testing.F) {
	addSeeds(f, appendJSON)
	f.Fuzz(func(t *testing.T, data []byte) {
		if got := checkLoad(t, data); got != nil {
			if raw, err := decodeJSON(data); err == nil { // else it is the other format
				compareForests(t, got, checkLoad(t, appendUBJSON(nil, raw)))
			}
		}
	})
}

func FuzzUBJSON(f *testing.F) {
	addSeeds(f, appendUBJSON)
	f.Fuzz(func(t *testing.T, data []byte) {
		if got := checkLoad(t, data); got != nil {
			if raw, err := decodeUBJSON(data); err == nil { // else it is the other format
				compareForests(t, got, checkLoad(t, appendJSON(nil, raw)))
			}
		}
	})
}

// addSeeds adds the first round of every golden model: small files make a fast fuzzer.
func addSeeds(f *testing.F, encode func([]byte, any) []byte) {
	f.Helper()
	folders, err := filepath.Glob("testdata/*/expected.csv")
	if err != nil || len(folders) == 0 {
		f.Fatalf("no golden models in testdata (%v)", err)
	}
	for _, folder := range folders {
		name := filepath.Join(filepath.Dir(folder), "model.ubj")
		decode := decodeUBJSON
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			name = filepath.Join(filepath.Dir(folder), "model.json")
			decode = decodeJSON
			data, err = os.ReadFile(name)
		}
		if err != nil {
			f.Fatal(err)
		}
		raw, err := decode(data)
		if err != nil {
			f.Fatal(err)
		}
		seed := encode(nil, firstRound(decoded(raw)))
		if _, err := Load(seed, Options{}); err != nil {
			f.Fatalf("the seed from %s: %v", name, err)
		}
		f.Add(seed)
	}
}

// decoded replaces the arrays of numbers of a file by their numbers.
func decoded(raw any) any {
	switch v := raw.(type) {
	case numbers:
		return v.appendTo([]float64{})
	case []any:
		for i := range v {
			v[i] = decoded(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = decoded(v[key])
		}
	}
	return raw
}

// firstRound cuts a decoded model down to its first boosting round.
func firstRound(raw any) any {
	learner := raw.(map[string]any)["learner"].(map[string]any)
	delete(learner, "attributes")
	booster := learner["gradient_booster"].(map[string]any)
	weights := booster
	if inner, ok := booster["gbtree"]; ok { // a dart model, before 3.4
		booster = inner.(map[string]any)
	}
	model := booster["model"].(map[string]any)
	round := len(model["trees"].([]any)) // before 2.0, rounds are not written down
	if indptr, ok := model["iteration_indptr"].([]float64); ok {
		round = int(indptr[1])
		model["iteration_indptr"] = indptr[:2]
	}
	model["gbtree_model_param"].(map[string]any)["num_trees"] = strconv.Itoa(round)
	if _, ok := weights["weight_drop"]; !ok {
		weights = model
	}
	if w, ok := weights["weight_drop"].([]float64); ok {
		weights["weight_drop"] = w[:round]
	}
	model["tree_info"] = model["tree_info"].([]float64)[:round]
	model["trees"] = model["trees"].([]any)[:round]
	return raw
}

// checkLoad loads a file, and checks that it is refused properly or that the forest is sound.
func checkLoad(t *testing.T, data []byte) *forest.Forest {
	t.Helper()
	f, err := Load(data, Options{MaxBytes: 1 << 20})
	if err != nil {
		if _, proper := errors.AsType[*FileError](err); !proper {
			t.Errorf("Load: %v is not a FileError", err)
		}
		return nil
	}
	if err := f.Validate(); err != nil {
		t.Fatalf("a loaded forest is not valid: %v", err)
	}
	values := []float64{math.NaN(), 0, 1, -1, 0.5, math.Inf(1), math.Inf(-1), 1e-45, 1 << 24, 7}
	rows := make([]float64, 3*f.NumFeature)
	for i := range rows {
		rows[i] = values[(i*i+i/f.NumFeature)%len(values)]
	}
	scores := make([]float64, 3*f.NumGroup)
	f.MarginsTo(scores, rows)
	wantFinite(t, "margin", scores)
	f.PredictionsTo(scores, scores)
	if f.Link != forest.Exp { // of which a prediction can be beyond float32
		wantFinite(t, "prediction", scores)
	}
	if f.Explains() {
		contributions := make([]float64, 3*f.NumGroup*(f.NumFeature+1))
		f.ContributionsTo(contributions, rows)
		wantFinite(t, "contribution", contributions)
	}
	return f
}

func wantFinite(t *testing.T, what string, values []float64) {
	t.Helper()
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Fatalf("a %s is %v", what, v)
		}
	}
}

// compareForests compares what describes the forests, not what was computed from it.
func compareForests(t *testing.T, got, want *forest.Forest) {
	t.Helper()
	if want == nil {
		t.Fatal("the file does not load in the other format")
	}
	describe := func(f *forest.Forest) forest.Forest {
		return forest.Forest{
			NumFeature: f.NumFeature, NumGroup: f.NumGroup, FeatureNames: f.FeatureNames, Categories: f.Categories,
			Categorical: f.Categorical, Base: f.Base, Link: f.Link, Objective: f.Objective, Trees: f.Trees,
		}
	}
	if !reflect.DeepEqual(describe(got), describe(want)) {
		t.Error("the forests of the two formats differ")
	}
}

// appendJSON writes a decoded file as XGBoost writes JSON.
func appendJSON(b []byte, raw any) []byte {
	switch v := raw.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		b, err := jsontext.AppendQuote(b, v)
		if err != nil {
			panic(err)
		}
		return b
	case float64:
		switch {
		case math.IsNaN(v):
			return append(b, "NaN"...)
		case math.IsInf(v, -1):
			return append(b, "-Infinity"...)
		case math.IsInf(v, 1):
			return append(b, "Infinity"...)
		case v == math.Trunc(v):
			return strconv.AppendFloat(b, v, 'f', -1, 64)
		}
		return strconv.AppendFloat(b, float64(float32(v)), 'E', -1, 32)
	case numbers:
		return appendJSON(b, decoded(v))
	case []float64:
		return appendList(b, v, appendJSON)
	case []any:
		return appendList(b, v, appendJSON)
	}
	b = append(b, '{')
	for i, key := range sortedKeys(raw) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendJSON(b, key), ':')
		b = appendJSON(b, raw.(map[string]any)[key])
	}
	return append(b, '}')
}

func appendList[T any](b []byte, list []T, appendTo func([]byte, any) []byte) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTo(b, v)
	}
	return append(b, ']')
}

// appendUBJSON writes a decoded file as XGBoost writes UBJSON, its numbers all as float64.
func appendUBJSON(b []byte, raw any) []byte {
	switch v := raw.(type) {
	case nil:
		return append(b, 'Z')
	case bool:
		if v {
			return append(b, 'T')
		}
		return append(b, 'F')
	case string:
		return append(appendCount(append(b, 'S'), len(v)), v...)
	case float64:
		return binary.BigEndian.AppendUint64(append(b, 'D'), math.Float64bits(v))
	case numbers:
		return appendUBJSON(b, decoded(v))
	case []float64:
		b = appendCount(append(b, "[$D#"...), len(v))
		for _, x := range v {
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(x))
		}
		return b
	case []any:
		b = appendCount(append(b, "[#"...), len(v))
		for _, e := range v {
			b = appendUBJSON(b, e)
		}
		return b
	}
	b = append(b, '{')
	for _, key := range sortedKeys(raw) {
		b = append(appendCount(b, len(key)), key...)
		b = appendUBJSON(b, raw.(map[string]any)[key])
	}
	return append(b, '}')
}

func appendCount(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint64(append(b, 'L'), uint64(n))
}

func sortedKeys(raw any) []string { return slices.Sorted(maps.Keys(raw.(map[string]any))) }
