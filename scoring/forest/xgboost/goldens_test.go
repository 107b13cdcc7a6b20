package xgboost_test

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

// goldens are the folders of testdata that hold a model, its rows and what XGBoost makes of them, and for each
// of them the files of the model: JSON, UBJSON or both.
func goldens(tb testing.TB) map[string][]string {
	tb.Helper()
	models, err := filepath.Glob("testdata/*/model.*")
	if err != nil {
		tb.Fatal(err)
	}
	files := make(map[string][]string)
	for _, m := range models {
		name := filepath.Base(filepath.Dir(m))
		files[name] = append(files[name], filepath.Base(m))
	}
	if len(files) < 60 {
		tb.Fatalf("%d golden models in testdata, want 60 or more", len(files))
	}
	return files
}

func readGolden(tb testing.TB, name, file string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name, file))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func loadGolden(tb testing.TB, name, file string) *forest.Forest {
	tb.Helper()
	f, err := xgboost.Load(readGolden(tb, name, file), xgboost.Options{})
	if err != nil {
		tb.Fatalf("Load(%s/%s): %v", name, file, err)
	}
	return f
}

func readCSV(tb testing.TB, path string) (header []string, records [][]string) {
	tb.Helper()
	file, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	records, err = csv.NewReader(file).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	return records[0], records[1:]
}

// goldenRows returns the golden's rows as the forest takes them.
func goldenRows(tb testing.TB, name string, f *forest.Forest) []float64 {
	tb.Helper()
	header, records := readCSV(tb, filepath.Join("testdata", name, "rows.csv"))
	if !slices.Equal(header, f.FeatureNames) {
		tb.Fatalf("rows of %q, the model has %q", header, f.FeatureNames)
	}
	rows := make([]float64, 0, len(records)*f.NumFeature)
	categories := f.Categories
	if categories == nil {
		categories = make([][]string, f.NumFeature)
	}
	for _, record := range records {
		for i, cell := range record {
			rows = append(rows, cellValue(tb, cell, categories[i]))
		}
	}
	return rows
}

func cellValue(tb testing.TB, cell string, categories []string) float64 {
	tb.Helper()
	if cell == "" {
		return math.NaN()
	}
	if categories != nil {
		code := slices.Index(categories, cell)
		if code < 0 {
			tb.Fatalf("%q is none of the categories %q", cell, categories)
		}
		return float64(code)
	}
	x, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

// expectation is XGBoost's own result for all rows, in the shapes of the forest's methods.
type expectation struct{ margins, predictions, contributions []float64 }

func goldenExpectation(tb testing.TB, name string, f *forest.Forest) (e expectation) {
	tb.Helper()
	header, records := readCSV(tb, filepath.Join("testdata", name, "expected.csv"))
	g := f.NumGroup
	if want := g * (2 + f.NumFeature + 1); len(header) != want {
		tb.Fatalf("%d expected columns, want %d", len(header), want)
	}
	for _, record := range records {
		values := make([]float64, len(record))
		for i, cell := range record {
			x, err := strconv.ParseFloat(cell, 32)
			if err != nil {
				tb.Fatal(err)
			}
			values[i] = x
		}
		e.margins = append(e.margins, values[:g]...)
		e.predictions = append(e.predictions, values[g:2*g]...)
		e.contributions = append(e.contributions, values[2*g:]...)
	}
	return e
}

// TestGoldens holds the loader and the forest to XGBoost's own numbers, row by row, from both formats.
func TestGoldens(t *testing.T) {
	for name, files := range goldens(t) {
		for _, file := range files {
			t.Run(name+"/"+file, func(t *testing.T) {
				f := loadGolden(t, name, file)
				rows, want := goldenRows(t, name, f), goldenExpectation(t, name, f)
				n := len(rows) / f.NumFeature
				margins := make([]float64, n*f.NumGroup)
				f.MarginsTo(margins, rows)
				compareBits(t, "margin", margins, want.margins)
				f.PredictionsTo(margins, margins)
				comparePredictions(t, margins, want.predictions)
				contributions := make([]float64, n*f.NumGroup*(f.NumFeature+1))
				f.ContributionsTo(contributions, rows)
				compareContributions(t, contributions, want.contributions, f.NumFeature+1)
			})
		}
	}
}

func compareBits(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d %ss, want %d", len(got), what, len(want))
	}
	different := 0
	for i := range got {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
			different++
			if different <= 3 {
				t.Errorf("%s %d is %v, XGBoost's is %v", what, i, got[i], want[i])
			}
		}
	}
	if different > 3 {
		t.Errorf("%d of %d %ss differ", different, len(got), what)
	}
}

// comparePredictions allows one step of a float32, by which the exponentials of C libraries differ.
func comparePredictions(t *testing.T, got, want []float64) {
	t.Helper()
	for i := range got {
		g, w := float32(got[i]), float32(want[i])
		if g != w && math.Nextafter32(g, w) != w {
			t.Errorf("prediction %d is %v, XGBoost's is %v", i, g, w)
		}
	}
}

// compareContributions allows 1e-5 of the sum of a group's contributions: XGBoost's own are float32.
func compareContributions(t *testing.T, got, want []float64, width int) {
	t.Helper()
	for i := 0; i < len(got); i += width {
		sum := 0.0
		for _, phi := range got[i : i+width] {
			sum += math.Abs(phi)
		}
		for j := i; j < i+width; j++ {
			if diff := math.Abs(got[j] - want[j]); !(diff <= 1e-5*max(1, sum)) {
				t.Fatalf("contribution %d of group %d is %v, XGBoost's is %v, off by %v", j-i, i/width, got[j], want[j], diff)
			}
		}
	}
}

// TestGoldensOneRowAtATime makes sure that a row's results do not depend on its neighbours.
func TestGoldensOneRowAtATime(t *testing.T) {
	for name, files := range goldens(t) {
		f := loadGolden(t, name, files[0])
		rows := goldenRows(t, name, f)
		n, width := len(rows)/f.NumFeature, f.NumGroup*(f.NumFeature+1)
		margins, contributions := make([]float64, n*f.NumGroup), make([]float64, n*width)
		f.MarginsTo(margins, rows)
		f.ContributionsTo(contributions, rows)
		single, explained := make([]float64, f.NumGroup), make([]float64, width)
		for i := range n {
			row := rows[i*f.NumFeature : (i+1)*f.NumFeature]
			f.MarginsTo(single, row)
			f.ContributionsTo(explained, row)
			what := fmt.Sprintf("%s: row %d's number", name, i)
			compareBits(t, what, single, margins[i*f.NumGroup:(i+1)*f.NumGroup])
			compareBits(t, what, explained, contributions[i*width:(i+1)*width])
		}
	}
}
