// Package leaves provides the second engine: it scores a forest with github.com/dmitryikh/leaves, an implementation of
// tree models that shares no code with package forest, and so can judge it.
package leaves

import (
	"bufio"
	"fmt"
	"sync"

	library "github.com/dmitryikh/leaves"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// EngineID names the arithmetic of this package: leaves are added in float64, and then the base margin.
const EngineID = "leaves/1"

// Engine scores one forest with the library. It is immutable, and its methods are safe for concurrent use.
type Engine struct {
	forest   *forest.Forest
	ensemble *library.Ensemble
	columns  []column
	scratch  sync.Pool // of *[]float64: a row as the library takes it
}

// TreeError says that the library cannot express a tree, and why.
type TreeError struct {
	Tree   int // index in Forest.Trees
	Reason string
}

func (e *TreeError) Error() string { return fmt.Sprintf("leaves: tree %d: %s", e.Tree, e.Reason) }

// New transcodes the forest to LightGBM's text format, version 3, and loads that with the library. A *TreeError is a
// forest that cannot be transcoded. The engine keeps f, which must not change.
func New(f *forest.Forest) (*Engine, error) {
	// The transcoder and the library rely on what Validate proves; a Forest may be a literal.
	if err := f.Validate(); err != nil {
		return nil, err
	}
	columns, err := columnsOf(f)
	if err != nil {
		return nil, err
	}
	t, err := newTranscoder(f)
	if err != nil {
		return nil, err
	}
	ensemble, err := load(t)
	if err != nil {
		return nil, fmt.Errorf("leaves: load the transcoded forest: %w", err)
	}
	e := &Engine{forest: f, ensemble: ensemble, columns: columns}
	e.scratch.New = func() any {
		row := make([]float64, f.NumFeature)
		return &row
	}
	return e, nil
}

// load reads the text. The library indexes its slices with what it reads and so panics on text that is not whole. This
// text is our own, so a panic is a fault of the transcoder: one that must stop a model, not the process.
func load(t *transcoder) (ensemble *library.Ensemble, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the library panicked: %v", p)
		}
	}()
	return library.LGEnsembleFromReader(bufio.NewReader(t), false)
}

// ID returns the name of the arithmetic, [EngineID].
func (e *Engine) ID() string { return EngineID }

// MarginsTo writes the margins of the n rows in rows (n x NumFeature) to dst (n x NumGroup): the sum of leaves in
// float64, in tree order, and then the base margin. It does not allocate; it panics if the shapes do not fit.
func (e *Engine) MarginsTo(dst, rows []float64) {
	width, groups := e.forest.NumFeature, e.forest.NumGroup
	if len(rows)%width != 0 || len(dst) != len(rows)/width*groups {
		panic(fmt.Sprintf("leaves: len(rows) = %d and len(dst) = %d are no matrices of %d features and %d margins a row",
			len(rows), len(dst), width, groups))
	}
	row, _ := e.scratch.Get().(*[]float64)
	defer e.scratch.Put(row)
	for ; len(rows) > 0; dst, rows = dst[groups:], rows[width:] {
		for i, x := range rows[:width] {
			(*row)[i] = e.columns[i].value(x, e.forest.Wide)
		}
		if err := e.ensemble.Predict(*row, 0, dst[:groups]); err != nil {
			panic(fmt.Sprintf("leaves: %v", err)) // it can only be the shapes, which fit
		}
		for i, base := range e.forest.Base {
			dst[i] += base
		}
	}
}

// PredictionsTo writes the predictions that belong to margins (n x NumGroup) to dst, of the same shape, through the
// forest's own link: engines differ in their margins only. It panics if the shapes do not fit.
func (e *Engine) PredictionsTo(dst, margins []float64) { e.forest.PredictionsTo(dst, margins) }

// Explains returns false: the library keeps neither covers nor its nodes for others to see.
func (e *Engine) Explains() bool { return false }

// ContributionsTo panics: the engine does not explain.
func (e *Engine) ContributionsTo(_, _ []float64) {
	panic("leaves: ContributionsTo of an engine that does not explain")
}
