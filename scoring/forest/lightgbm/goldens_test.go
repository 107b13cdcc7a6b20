package lightgbm_test

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/lightgbm"
)

// goldens are the folders of testdata that hold a model, its rows and what LightGBM makes of them.
func goldens(tb testing.TB) []string {
	tb.Helper()
	models, err := filepath.Glob("testdata/*/model.txt")
	if err != nil || len(models) < 30 {
		tb.Fatalf("%d golden models in testdata, want 30 or more (%v)", len(models), err)
	}
	for i, m := range models {
		models[i] = filepath.Base(filepath.Dir(m))
	}
	return models
}

func readGolden(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name, "model.txt"))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func loadGolden(tb testing.TB, name string) *forest.Forest {
	tb.Helper()
	f, err := lightgbm.Load(readGolden(tb, name), lightgbm.Options{})
	if err != nil {
		tb.Fatalf("Load(%s): %v", name, err)
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
	for _, record := range records {
		for i, cell := range record {
			code := -1
			if f.Categories != nil {
				code = slices.Index(f.Categories[i], cell)
			}
			x, err := strconv.ParseFloat(cell, 64)
			switch {
			case cell == "":
				x = math.NaN()
			case code >= 0:
				x = float64(code)
			case err != nil:
				tb.Fatalf("%q is neither a number nor a category of feature %d", cell, i)
			}
			rows = append(rows, x)
		}
	}
	return rows
}

// expectation is LightGBM's own result for all rows, in the shapes of the forest's methods.
type expectation struct{ margins, predictions, contributions []float64 }

func goldenExpectation(tb testing.TB, name string, f *forest.Forest) (e expectation) {
	tb.Helper()
	header, records := readCSV(tb, filepath.Join("testdata", name, "expected.csv"))
	g := f.NumGroup
	want := 2 * g
	if f.Explains() {
		want += g * (f.NumFeature + 1)
	}
	if len(header) != want || f.Explains() == strings.Contains(name, "linear") {
		tb.Fatalf("%d expected columns, want %d", len(header), want)
	}
	for _, record := range records {
		values := make([]float64, len(record))
		for i, cell := range record {
			x, err := strconv.ParseFloat(cell, 64)
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

// TestGoldens holds the loader and the forest to LightGBM's own numbers, row by row.
func TestGoldens(t *testing.T) {
	for _, name := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			f := loadGolden(t, name)
			rows, want := goldenRows(t, name, f), goldenExpectation(t, name, f)
			n := len(rows) / f.NumFeature
			margins := make([]float64, n*f.NumGroup)
			f.MarginsTo(margins, rows)
			margin := compare(t, "margin", margins, want.margins, 1e-12)
			f.PredictionsTo(margins, margins)
			prediction := compare(t, "prediction", margins, want.predictions, 1e-12)
			if !f.Explains() {
				t.Logf("%d rows; worst margin %.2g, prediction %.2g", n, margin, prediction)
				return
			}
			contributions := make([]float64, n*f.NumGroup*(f.NumFeature+1))
			f.ContributionsTo(contributions, rows)
			contribution := compareContributions(t, f, contributions, want.contributions)
			t.Logf("%d rows; worst margin %.2g, prediction %.2g, contribution %.2g", n, margin, prediction, contribution)
		})
	}
}

// compare allows a difference relative to the wanted number, and returns the largest.
func compare(t *testing.T, what string, got, want []float64, tolerance float64) (worst float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d %ss, want %d", len(got), what, len(want))
	}
	for i, w := range want {
		if got[i] == w {
			continue
		}
		difference := math.Abs(got[i]-w) / math.Abs(w)
		if worst = max(worst, difference); !(difference <= tolerance) {
			t.Fatalf("%s %d is %v, LightGBM's is %v", what, i, got[i], w)
		}
	}
	return worst
}

// compareContributions allows 1e-9 of the sum of a group's contributions, or 1e-6 where no tree is deeper than 6,
// so that they come from tables in float32. It returns the largest difference.
func compareContributions(t *testing.T, f *forest.Forest, got, want []float64) (worst float64) {
	t.Helper()
	width, tolerance := f.NumFeature+1, 1e-9
	if deepest(f) <= 6 {
		tolerance = 1e-6
	}
	if len(got) != len(want) {
		t.Fatalf("%d contributions, want %d", len(got), len(want))
	}
	for i := 0; i < len(got); i += width {
		sum := 0.0
		for _, phi := range want[i : i+width] {
			sum += math.Abs(phi)
		}
		for j := i; j < i+width; j++ {
			difference := math.Abs(got[j]-want[j]) / max(1, sum)
			if worst = max(worst, difference); !(difference <= tolerance) {
				t.Fatalf("contribution %d of group %d is %v, LightGBM's is %v", j-i, i/width, got[j], want[j])
			}
		}
	}
	return worst
}

// deepest returns the number of splits on the longest path of any tree.
func deepest(f *forest.Forest) (most int) {
	for _, t := range f.Trees {
		depth := make([]int, len(t.Nodes))
		for i, n := range t.Nodes {
			most = max(most, depth[i])
			depth[n.Left], depth[n.Right] = depth[i]+1, depth[i]+1 // a leaf's children are 0, which is done with
		}
	}
	return most
}
