package forest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

func TestWrongShapesPanic(t *testing.T) {
	f := stump()
	made, err := forest.New(f)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(){
		"margins rows":      func() { made.MarginsTo(make([]float64, 1), make([]float64, 3)) },
		"margins dst":       func() { made.MarginsTo(make([]float64, 2), make([]float64, 2)) },
		"predictions dst":   func() { made.PredictionsTo(make([]float64, 2), make([]float64, 1)) },
		"contributions dst": func() { made.ContributionsTo(make([]float64, 2), make([]float64, 2)) },
		"contributions row": func() { made.ContributionsTo(make([]float64, 3), make([]float64, 1)) },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if shape, ok := recover().(*forest.ShapeError); !ok || !strings.HasPrefix(shape.Error(), "forest: len(") {
					t.Errorf("panic %v, want a ShapeError", shape)
				}
			}()
			call()
		})
	}
	t.Run("no covers", func(t *testing.T) {
		defer func() {
			if text, ok := recover().(string); !ok || !strings.HasPrefix(text, "forest: ") {
				t.Errorf("panic %q, want one of the package's", text)
			}
		}()
		f.ContributionsTo(make([]float64, 3), make([]float64, 2))
	})
}

func TestCheckRows(t *testing.T) {
	f := stump()
	if n, err := f.CheckRows(make([]float64, 3*f.NumFeature)); n != 3 || err != nil {
		t.Errorf("CheckRows of three rows: %d, %v", n, err)
	}
	_, err := f.CheckRows(make([]float64, 3*f.NumFeature+1))
	shape, ok := errors.AsType[*forest.ShapeError](err)
	if !ok || *shape != (forest.ShapeError{Slice: "rows", Len: 3*f.NumFeature + 1, Rows: -1, Width: f.NumFeature}) {
		t.Errorf("CheckRows of three rows and a value: %#v", err)
	}
}
