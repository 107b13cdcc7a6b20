package leaves_test

import (
	"encoding/csv"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/lightgbm"
	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
	"github.com/trendbuy/riskscorer/scoring/leaves"
)

// golden is the folder of a model of the loaders' tests, with its rows and its library's numbers.
type golden string

func goldens(tb testing.TB) (out []golden) {
	tb.Helper()
	for library, least := range map[string]int{"xgboost": 9, "lightgbm": 30} {
		folders, err := filepath.Glob("../forest/" + library + "/testdata/*/rows.csv")
		if err != nil || len(folders) < least {
			tb.Fatalf("%d golden models of %s, want %d or more (%v)", len(folders), library, least, err)
		}
		for _, rows := range folders {
			out = append(out, golden(filepath.Dir(rows)))
		}
	}
	return out
}

// model loads one of the golden's model files; those it has hold the same model.
func (g golden) model(tb testing.TB) (*forest.Forest, error) {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(string(g), "model.*"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("%s has no model file (%v)", g, err)
	}
	data, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		tb.Fatal(err)
	}
	if strings.Contains(string(g), "lightgbm") {
		return lightgbm.Load(data, lightgbm.Options{})
	}
	return xgboost.Load(data, xgboost.Options{})
}

func (g golden) load(tb testing.TB) (f *forest.Forest, rows []float64) {
	tb.Helper()
	f, err := g.model(tb)
	if err != nil {
		tb.Fatal(err)
	}
	for _, record := range g.records(tb, "rows.csv") {
		for i, cell := range record {
			x, err := strconv.ParseFloat(cell, 64)
			if f.Categories != nil {
				if code := slices.Index(f.Categories[i], cell); code >= 0 {
					x, err = float64(code), nil
				}
			}
			if cell == "" {
				x, err = math.NaN(), nil
			}
			if err != nil {
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
	in, err := os.Open(filepath.Join(string(g), file))
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

// margins returns the training library's own margins.
func (g golden) margins(tb testing.TB, f *forest.Forest) []float64 {
	tb.Helper()
	bits := 32
	if f.Wide {
		bits = 64
	}
	var out []float64
	for _, record := range g.records(tb, "expected.csv") {
		for _, cell := range record[:f.NumGroup] {
			x, err := strconv.ParseFloat(cell, bits)
			if err != nil {
				tb.Fatal(err)
			}
			out = append(out, x)
		}
	}
	return out
}

// TestGoldens lets the library judge every golden model that it can express: its margins are the training library's, to the
// rounding of sums, which in XGBoost are float32.
func TestGoldens(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(string(g), func(t *testing.T) {
			f, rows := g.load(t)
			e, err := leaves.New(f)
			if fault, ok := errors.AsType[*leaves.TreeError](err); ok && f.Trees[fault.Tree].Linear != nil {
				t.Logf("not judged: %v", err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tolerance := 2e-6
			if f.Wide {
				tolerance = 1e-12
			}
			got, want := margins(e, f, rows), g.margins(t, f)
			if len(got) != len(want) {
				t.Fatalf("%d margins, want %d", len(got), len(want))
			}
			worst := 0.0
			for i := range got {
				d := math.Abs(got[i]-want[i]) / max(1, math.Abs(want[i]))
				if !(d <= tolerance) {
					t.Errorf("margin %d is %v, the training library's is %v", i, got[i], want[i])
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
