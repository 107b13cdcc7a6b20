package leaves_test

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
	"github.com/trendbuy/riskscorer/scoring/leaves"
)

const testdata = "../forest/xgboost/testdata"

// golden is the name of a model of the XGBoost loader's tests, with its rows.
type golden string

func goldens(tb testing.TB) []golden {
	tb.Helper()
	folders, err := filepath.Glob(filepath.Join(testdata, "*", "rows.csv"))
	if err != nil || len(folders) < 9 {
		tb.Fatalf("%d golden models in %s, want 9 or more (%v)", len(folders), testdata, err)
	}
	out := make([]golden, len(folders))
	for i, m := range folders {
		out[i] = golden(filepath.Base(filepath.Dir(m)))
	}
	return out
}

// model returns the bytes of one of the golden's model files; those it has hold the same model.
func (g golden) model(tb testing.TB) []byte {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(testdata, string(g), "model.*"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("%s has no model file (%v)", g, err)
	}
	data, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func (g golden) load(tb testing.TB) (f *forest.Forest, rows []float64) {
	tb.Helper()
	f, err := xgboost.Load(g.model(tb), xgboost.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	for _, record := range g.records(tb, "rows.csv") {
		for i, cell := range record {
			x, err := strconv.ParseFloat(cell, 64)
			switch {
			case cell == "":
				x = math.NaN()
			case f.Categories != nil && f.Categories[i] != nil:
				x = float64(slices.Index(f.Categories[i], cell))
			case err != nil:
				tb.Fatal(err)
			}
			rows = append(rows, x)
		}
	}
	return f, rows
}

// records returns the lines of one of the golden's files, without the header.
func (g golden) records(tb testing.TB, file string) [][]string {
	tb.Helper()
	in, err := os.Open(filepath.Join(testdata, string(g), file))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	records, err := csv.NewReader(in).ReadAll()
	if err != nil || len(records) < 2 {
		tb.Fatalf("%s/%s: %d lines, %v", g, file, len(records), err)
	}
	return records[1:]
}

// margins returns XGBoost's own margins.
func (g golden) margins(tb testing.TB, groups int) []float64 {
	tb.Helper()
	var out []float64
	for _, record := range g.records(tb, "expected.csv") {
		for _, cell := range record[:groups] {
			x, err := strconv.ParseFloat(cell, 32)
			if err != nil {
				tb.Fatal(err)
			}
			out = append(out, x)
		}
	}
	return out
}

// TestGoldens lets the library judge every golden model: its margins are XGBoost's, to the rounding of float32 sums.
func TestGoldens(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(string(g), func(t *testing.T) {
			f, rows := g.load(t)
			e, err := leaves.New(f)
			if err != nil {
				t.Fatal(err)
			}
			got, want := margins(e, f, rows), g.margins(t, f.NumGroup)
			if len(got) != len(want) {
				t.Fatalf("%d margins, want %d", len(got), len(want))
			}
			worst := 0.0
			for i := range got {
				d := math.Abs(got[i]-want[i]) / max(1, math.Abs(want[i]))
				if !(d <= 2e-6) {
					t.Errorf("margin %d is %v, XGBoost's is %v", i, got[i], want[i])
				}
				worst = max(worst, d)
			}
			t.Logf("%d margins, the largest difference is %.2g", len(got), worst)
		})
	}
}

// TestDemoBundle lets the library judge the golden rows of the bundle that the image serves.
func TestDemoBundle(t *testing.T) {
	b, err := bundle.Open("../../models/trendbuy_xgb_v1.0.0", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := leaves.New(b.Forest)
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Judge(e)
	if err != nil {
		t.Fatal(err)
	}
	if got.Rows == 0 || got.Rows != b.Parity.Rows || got.MaxMargin > 2e-6 || got.MaxScore > 4e-7 {
		t.Errorf("%+v of %d rows", got, b.Parity.Rows)
	}
	t.Logf("%+v", got)
}
