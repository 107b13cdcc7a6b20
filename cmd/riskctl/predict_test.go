package main

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

const (
	goldens         = "../../scoring/forest/xgboost/testdata"
	lightGBMGoldens = "../../scoring/forest/lightgbm/testdata"
)

// readCSV returns the header and the numbers of a CSV text.
func readCSV(t *testing.T, text string) (header []string, rows [][]float64) {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records[1:] {
		row := make([]float64, len(record))
		for i, field := range record {
			if row[i], err = strconv.ParseFloat(field, 64); err != nil {
				t.Fatal(err)
			}
		}
		rows = append(rows, row)
	}
	return records[0], rows
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestPredictMatchesTheTrainingLibrary runs the command on every golden model, of XGBoost in JSON and UBJSON: margins bit
// for bit, or within 1e-12 for LightGBM, contributions within 1e-5 of the sum of |contribution|.
func TestPredictMatchesTheTrainingLibrary(t *testing.T) {
	models, err := filepath.Glob(goldens + "/*/model.*")
	if err != nil || len(models) < 14 {
		t.Fatalf("%d model files of XGBoost: %v", len(models), err)
	}
	texts, err := filepath.Glob(lightGBMGoldens + "/*/model.txt")
	if err != nil || len(texts) < 30 {
		t.Fatalf("%d model files of LightGBM: %v", len(texts), err)
	}
	for _, model := range append(models, texts...) {
		dir, file := filepath.Split(model)
		t.Run(filepath.Base(dir)+"/"+file, func(t *testing.T) {
			output := filepath.Join(t.TempDir(), "out.csv")
			wantHeader, want := readCSV(t, readFile(t, dir+"expected.csv"))
			args := []string{"predict", "--model", model, "--input", dir + "rows.csv", "--output", output}
			if strings.HasPrefix(wantHeader[len(wantHeader)-1], "contrib") { // of linear trees there are none
				args = append(args, "--contributions")
			}
			if code, _, stderr := riskctl(t, args...); code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			header, got := readCSV(t, readFile(t, output))
			if strings.Join(header, ",") != strings.Join(wantHeader, ",") || len(got) != len(want) || len(want) < 100 {
				t.Fatalf("%d rows with header %q, want %d with %q", len(got), header, len(want), wantHeader)
			}
			for r := range want {
				sum := 0.0
				for c, name := range header {
					if strings.HasPrefix(name, "contrib") {
						sum += math.Abs(want[r][c])
					}
				}
				for c, name := range header {
					g, w := got[r][c], want[r][c]
					switch {
					case strings.HasPrefix(name, "margin") && file != "model.txt" && float32(g) != float32(w),
						strings.HasPrefix(name, "margin") && file == "model.txt" && !(math.Abs(g-w) <= 1e-12*math.Abs(w)):
						t.Errorf("row %d, %s: %v, want %v", r, name, g, w)
					case strings.HasPrefix(name, "prediction") && math.Abs(g-w) > 1.2e-7*math.Max(1, math.Abs(w)):
						t.Errorf("row %d, %s: %v, want %v", r, name, g, w)
					case strings.HasPrefix(name, "contrib") && math.Abs(g-w) > 1e-5*sum:
						t.Errorf("row %d, %s: %v, want %v (sum %v)", r, name, g, w, sum)
					}
				}
			}
		})
	}
}

func TestPredictTakesColumnsInAnyOrderAndCategoriesByCode(t *testing.T) {
	model := goldens + "/onehot/model.ubj"
	text := readFile(t, goldens+"/onehot/rows.csv")
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var reversed strings.Builder
	w := csv.NewWriter(&reversed)
	for _, record := range records {
		for i, j := 0, len(record)-1; i < j; i, j = i+1, j-1 {
			record[i], record[j] = record[j], record[i]
		}
		if err := w.Write(record); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	input := filepath.Join(t.TempDir(), "reversed.csv")
	// A spreadsheet's mark, and a number in another form, change nothing.
	marked := "\ufeff" + strings.ReplaceAll(reversed.String(), "\n36,", "\n36.0,")
	if err := os.WriteFile(input, []byte(marked), 0o600); err != nil {
		t.Fatal(err)
	}
	_, straight, _ := riskctl(t, "predict", "--model", model, "--input", goldens+"/onehot/rows.csv")
	code, turned, stderr := riskctl(t, "predict", "--model", model, "--input", input)
	if code != 0 || straight != turned {
		t.Errorf("exit code %d (%s): columns in another order predict otherwise", code, stderr)
	}
}

func TestPredictRefusesWithAReason(t *testing.T) {
	model := goldens + "/onehot/model.ubj"
	rows := readFile(t, goldens+"/onehot/rows.csv")
	lines := strings.Split(rows, "\n")
	header := lines[0]
	fields := strings.Split(lines[2], ",")
	with := func(column int, value string) string {
		changed := append([]string(nil), fields...)
		changed[column] = value
		return header + "\n" + strings.Join(changed, ",") + "\n"
	}
	category := -1
	for i, f := range fields {
		if _, err := strconv.ParseFloat(f, 64); err != nil && f != "" {
			category = i
		}
	}
	if category < 0 {
		t.Fatal("the row has no category")
	}
	for name, tt := range map[string]struct{ input, says string }{
		"unknown column":   {strings.Replace(rows, header, "x"+header, 1), "is not a feature of the model"},
		"too few columns":  {"a,b\n1,2\n", "the input has 2 columns"},
		"text":             {with(0, "many"), "row 1, column 1: not a number"},
		"infinity":         {with(0, "inf"), "row 1, column 1: not a number"},
		"NaN":              {with(0, "NaN"), "row 1, column 1: not a number"},
		"beyond float32":   {with(0, "1e39"), "row 1, column 1: not a number"},
		"unknown category": {with(category, "smartwatch"), "not a category of the model"},
		"category code":    {with(category, "99"), "not a category of the model"},
		"code for a name":  {with(len(fields)-1, "1"), "not a category of the model, by name; codes are not taken where names are numbers"},
		"truth value":      {with(0, "True"), "row 1, column 1: not a number: write 1 for True"},
		"ragged row":       {header + "\n1\n", "row 1"},
		"empty":            {"", "read header"},
	} {
		t.Run(name, func(t *testing.T) {
			input := filepath.Join(t.TempDir(), "rows.csv")
			if err := os.WriteFile(input, []byte(tt.input), 0o600); err != nil {
				t.Fatal(err)
			}
			code, _, stderr := riskctl(t, "predict", "--model", model, "--input", input)
			if code != 1 || !strings.Contains(stderr, tt.says) {
				t.Errorf("exit code %d, says %q, want 1 and %q", code, stderr, tt.says)
			}
		})
	}
	wide := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(wide, []byte("share,velocity,count,hours,tiny,sparse\n1e39,,,,,\n1e309,,,,,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := riskctl(t, "predict", "--model", lightGBMGoldens+"/binary/model.txt", "--input", wide)
	if code != 1 || !strings.Contains(stderr, "row 2, column 1: not a number that the model's 64-bit") {
		t.Errorf("beyond float64: exit code %d, says %q", code, stderr)
	}
	linear := lightGBMGoldens + "/linear/"
	code, _, stderr = riskctl(t, "predict", "--model", linear+"model.txt", "--input", linear+"rows.csv", "--contributions")
	if code != 1 || !strings.Contains(stderr, "its leaves are linear") {
		t.Errorf("contributions of linear leaves: exit code %d, says %q", code, stderr)
	}
	if code, _, stderr := riskctl(t, "predict", "--model", "main.go"); code != 1 || !strings.Contains(stderr, "load main.go") {
		t.Errorf("a model that is none: exit code %d, says %q", code, stderr)
	}
}

// TestPredictLosesNoEmptyLine: a line without anything in it is a row of a single missing value, or not, and nobody knows.
func TestPredictLosesNoEmptyLine(t *testing.T) {
	model := filepath.Join(t.TempDir(), "model.txt")
	text := "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=0\nobjective=regression\nfeature_names=x\n" +
		"feature_infos=[0:1]\n\nTree=0\nnum_leaves=1\nnum_cat=0\nleaf_value=0.5\nis_linear=0\nshrinkage=1\n\n\nend of trees\n"
	if err := os.WriteFile(model, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for rows, want := range map[string]string{"x\n1\n\n2\n": "line 3 is empty: write \"\"", "x\n1\n\"\"\n2\n\n": ""} {
		input := filepath.Join(t.TempDir(), "rows.csv")
		if err := os.WriteFile(input, []byte(rows), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, stderr := riskctl(t, "predict", "--model", model, "--input", input)
		if (code == 0) != (want == "") || !strings.Contains(stderr, want) || want == "" && strings.Count(out, "\n") != 4 {
			t.Errorf("%q: exit code %d, %d lines, says %q, want %q", rows, code, strings.Count(out, "\n"), stderr, want)
		}
	}
}

func TestModelsBeyondTheMemoryLimitAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"predict", "--model", demo + "/model.ubj", "--input", "none.csv"},
		{"bench", "--model", demo + "/model.ubj"},
		{"bundle", "verify", demo},
	} {
		t.Setenv(memoryEnv, "10000000")
		code, out, stderr := riskctl(t, args...)
		if text := out + stderr; code != exitNotHeld || !strings.Contains(text, "the limit is 9.5 MiB") || !strings.Contains(text, memoryEnv) {
			t.Errorf("%v: exit code %d, says %q", args, code, text)
		}
		t.Setenv(memoryEnv, "many")
		if code, _, stderr := riskctl(t, args...); code != exitUsage || !strings.Contains(stderr, memoryEnv) {
			t.Errorf("%v with a limit of many: exit code %d, says %q", args, code, stderr)
		}
	}
}

// TestPredictByEveryKernel: the environment chooses the kernel, and no bit of the output depends on it.
func TestPredictByEveryKernel(t *testing.T) {
	model, rows := goldens+"/onehot/model.ubj", goldens+"/onehot/rows.csv"
	_, want, _ := riskctl(t, "predict", "--model", model, "--input", rows, "--contributions")
	for _, kernel := range forest.Kernels() {
		t.Setenv(kernelEnv, string(kernel))
		if code, got, stderr := riskctl(t, "predict", "--model", model, "--input", rows, "--contributions"); code != 0 || got != want {
			t.Errorf("kernel %s: exit code %d (%s), or other numbers", kernel, code, stderr)
		}
	}
	t.Setenv(kernelEnv, "abacus")
	if code, _, stderr := riskctl(t, "predict", "--model", model, "--input", rows); code != 2 || !strings.Contains(stderr, kernelEnv) {
		t.Errorf("an unknown kernel: exit code %d, %s", code, stderr)
	}
}
