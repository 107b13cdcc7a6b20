package bundle_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
)

const lightGBMGolden = "../forest/lightgbm/testdata/categories"

// lightGBMBundle makes a bundle of a golden model of LightGBM, with its rows as golden rows.
func lightGBMBundle(t *testing.T) string {
	t.Helper()
	dir := copyDemo(t)
	if err := os.Remove(filepath.Join(dir, "model.ubj")); err != nil {
		t.Fatal(err)
	}
	model, err := os.ReadFile(filepath.Join(lightGBMGolden, "model.txt"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "model.txt"), string(model))
	f, err := bundle.LoadModel(model, false, forest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rows, expected := readRows(t, "rows.csv"), readRows(t, "expected.csv")
	var golden strings.Builder
	for i := range rows {
		g := bundle.GoldenRow{Margin: number(t, expected[i][0]), Score: number(t, expected[i][1])}
		for j, cell := range rows[i] {
			g.Row = append(g.Row, nil)
			if f.Categories[j] != nil && cell != "" {
				g.Row[j] = new(float64(slices.Index(f.Categories[j], cell)))
			} else if cell != "" {
				g.Row[j] = new(number(t, cell))
			}
		}
		for _, cell := range expected[i][2:] {
			g.Contributions = append(g.Contributions, number(t, cell))
		}
		line, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&golden, "%s\n", line)
	}
	write(t, filepath.Join(dir, "golden.jsonl"), golden.String())
	edit(t, dir, "manifest.json", editManifest(func(m map[string]any) {
		m["model"] = map[string]any{"file": "model.txt", "library": "lightgbm", "library_version": "4.7.0", "trees": "all"}
		m["golden"] = map[string]any{"rows": len(rows), "margin_tolerance": 1e-12, "contribution_tolerance": 1e-6}
		for i, name := range f.FeatureNames {
			feature(m, i)["name"] = name
			delete(feature(m, i), "allowed")
			delete(feature(m, i), "seen")
			feature(m, i)["type"] = "number"
			if f.Categorical[i] {
				feature(m, i)["type"], feature(m, i)["categories"] = "category", f.Categories[i]
			}
		}
	}))
	reseal(t, dir)
	return dir
}

func readRows(t *testing.T, name string) [][]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(lightGBMGolden, name))
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(string(data))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return records[1:]
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestLightGBMBundleOpens(t *testing.T) {
	dir := lightGBMBundle(t)
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !b.Forest.Wide || !b.Manifest.Model.Wide() || b.Parity.Rows != 100 || b.Parity.MaxMargin > 1e-12 {
		t.Errorf("wide %t and %t, parity %+v", b.Forest.Wide, b.Manifest.Model.Wide(), b.Parity)
	}
	edit(t, dir, "manifest.json", editManifest(func(m map[string]any) { m["golden"].(map[string]any)["margin_tolerance"] = 1e-10 }))
	reseal(t, dir)
	if _, err := bundle.Open(dir, bundle.Options{}); err == nil || !strings.Contains(err.Error(), "/golden/margin_tolerance is 1e-10") {
		t.Errorf("a margin tolerance of 1e-10: %v", err)
	}
}

func TestFilesThatAreNoModels(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"empty", "", "is empty"},
		{"text", "hello", "XGBoost's JSON or UBJSON, or LightGBM's text"},
		{"LightGBM cut off", "tree\nversion=v4\n", "lightgbm model: it ends before"},
		{"LightGBM of Windows cut off", "tree\r\nversion=v4\r\n", "lightgbm model: it ends before"},
		{"LightGBM's JSON", `{"name":"tree","version":"v4","tree_info":[]}`, "dump_model"},
		{"XGBoost without a learner", `{"version":[3,4,1]}`, "xgboost model"},
		{"old XGBoost", "binf\x00\x00\x00\x3f", `save_model("model.ubj")`},
		{"older XGBoost", "\x00\x00\x00\x3f\x08\x00", `save_model("model.ubj")`},
		{"CatBoost", "CBM1\x00", "CatBoost model, which is not read here; train with XGBoost or LightGBM, and make a bundle with training/export.sh"},
		{"CatBoost's JSON", `{"features_info":{},"oblivious_trees":[]}`, "CatBoost"},
		{"pickle of LightGBM", "\x80\x04\x95\x00clightgbm.sklearn", "training/export.sh --trust-pickle --model FILE, or load it in Python"},
		{"pickle of XGBoost", "\x80\x05\x95\x00cxgboost.sklearn", `save_model("model.ubj")`},
		{"pickle of scikit-learn", "\x80\x04\x95\x00csklearn.ensemble", "scikit-learn's own models are not read here either: train with XGBoost or LightGBM, and make a bundle of it with training/export.sh"},
		{"pickle of CatBoost", "\x80\x04\x95\x00catboost.core", "CatBoost models are not read here either: train with XGBoost or LightGBM, and make a bundle of it with training/export.sh"},
		{"pickle of something else", "\x80\x03}q\x00.", "never read here; make a bundle of it with training/export.sh"},
		{"pickle of text", "ccopy_reg\n_reconstructor\n", "never read here"},
		{"compressed pickle", "\x78\x9c\x00", "training/export.sh --trust-pickle"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := bundle.LoadModel([]byte(tt.data), false, forest.Options{}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("LoadModel: %v, want %q in it", err, tt.want)
			}
		})
	}
}
