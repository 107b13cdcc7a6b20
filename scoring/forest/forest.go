// Package forest scores and explains gradient-boosted tree models: margins, predictions and exact
// path-dependent SHAP contributions, from one in-memory form that every loader produces.
//
// A row is one feature vector: NumFeature float64 values in training order, NaN for missing, a
// category as its code. Matrices are row-major slices. A Forest is immutable once loaded, and its
// methods are safe for concurrent use.
package forest

import (
	"fmt"
	"sync"
)

// EngineID names the arithmetic of this package. It changes whenever any output bit does.
const EngineID = "forest/3"

// Forest is a tree ensemble in the form that every loader produces. A literal is only a description:
// [New] checks it and makes the Forest that explains.
type Forest struct {
	// NumFeature is the length of a row; NumGroup the number of margins per row (1, or the number of classes).
	NumFeature, NumGroup int
	// FeatureNames are the names the model was trained with, or nil where the file has none.
	FeatureNames []string
	// Categories[f] are the names of feature f's categories in code order; nil for a numeric feature
	// or where the file has no names. The outer slice is nil or NumFeature long.
	Categories [][]string
	// Categorical[f] says that feature f takes category codes. It is nil, for no such feature, or NumFeature long.
	Categorical []bool
	// Wide says that the arithmetic is LightGBM's: rows, thresholds, leaves and sums are float64. Otherwise it is
	// XGBoost's, and all of them are float32, here widened.
	Wide bool
	// LessEqual says that a value equal to the threshold goes left, as in LightGBM.
	LessEqual bool
	// Base is the margin of a row before any tree, one per group.
	Base []float64
	// Divisor is what a margin is divided by before the link, where a model averages its trees; 0 means 1.
	Divisor float64
	// Steepness is what a margin is multiplied by in a wide forest's sigmoids; 0 means 1.
	Steepness float64
	// Link turns margins into predictions.
	Link Link
	// Objective is the training objective as the model file names it.
	Objective string
	// Trees add to the margin in this order.
	Trees []Tree

	explainer *explainer // nil where the trees have no covers
	program   program    // nil where the reference walk scores
	// scalar says that quadrature is to be in Go, whatever the CPU has.
	scalar bool
}

// Tree is one regression tree, its nodes in an array with the root at 0 and every child after its parent.
type Tree struct {
	// Group is the margin that the tree adds to.
	Group int
	Nodes []Node
	// Sets are the category sets of the tree's categorical nodes, indexed by Node.Set: sorted, unique codes.
	Sets [][]uint32
	// Linear are the linear leaves, by node; nil in a tree without any.
	Linear map[int32]Linear
}

// Node is a split, or a leaf if Left is 0.
type Node struct {
	// Feature is the column that the node tests.
	Feature int32
	// Left and Right are child indices; both 0 in a leaf.
	Left, Right int32
	// Set is the index of the category set that sends a row right, or -1 in a numeric node.
	Set int32
	// Threshold sends x < Threshold left in a numeric node, and x = Threshold where the forest is LessEqual.
	Threshold float64
	// Leaf is the value that a leaf adds to the margin.
	Leaf float64
	// Cover is the training weight that reached the node, as the library recorded it, or [NoCover] in
	// every node of a forest whose file has none.
	Cover float64
	// DefaultLeft is the side of a missing value.
	DefaultLeft bool
	// Missing says which values are missing.
	Missing Missing
}

// NoCover stands in every node of a forest whose model file records no covers. Such a forest scores,
// but cannot explain.
const NoCover = -1

// Link is the function from margins to predictions.
type Link uint8

// The links of the supported objectives.
const (
	Identity      Link = iota
	Sigmoid            // of each group: with one group, the probability of the positive class
	Softmax            // the probabilities of all groups
	Exp                // e to the margin: counts, amounts, times and hazards
	Step               // 1 where the margin is above 0, else 0
	LogOnePlusExp      // log(1 + e to the margin)
	SignedSquare       // the margin times its absolute value
	Ascending          // a row's margins in ascending order: quantiles, which may cross
)

// New returns a forest ready to score and explain, or says which invariant f breaks. It takes
// ownership of the slices in f.
func New(f Forest) (*Forest, error) { return NewWith(f, Options{}) }

// NewWith is [New] within the bounds of the options. Beyond them, the error is a *[MemoryError]; where f breaks an
// invariant, it is an *[InvalidError].
func NewWith(f Forest, o Options) (*Forest, error) {
	f.explainer, f.program, f.scalar = nil, nil, false
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if err := o.check(f.Memory().Peak()); err != nil {
		return nil, fmt.Errorf("forest: %w", err)
	}
	tests, unfit := newNodeTests(&f)
	if unfit != nil {
		tests = nil // rows are not quantised: the forest is walked
	}
	var p program
	var compiling sync.WaitGroup
	compiling.Go(func() { p = fastest(&f, tests) }) // a large model takes a second for each of the two
	var e *explainer
	var err error
	if f.hasCovers() && !f.hasLinearLeaves() {
		e, err = newExplainer(&f, tests, o.Progress)
	}
	compiling.Wait()
	if err != nil {
		return nil, err
	}
	f.program, f.explainer = p, e
	return &f, nil
}

// ID returns the name of the arithmetic, [EngineID].
func (f *Forest) ID() string { return EngineID }

// Explains reports whether [Forest.ContributionsTo] can be called: the model file recorded covers, no leaf
// is linear, and the forest was made by [New].
func (f *Forest) Explains() bool { return f.explainer != nil }

// Probability reports whether the prediction is the probability of one class: one group behind a sigmoid.
func (f *Forest) Probability() bool { return f.NumGroup == 1 && f.Link == Sigmoid }

// hasCovers reports whether the nodes carry covers; Validate makes sure that all of them do or none.
func (f *Forest) hasCovers() bool {
	if len(f.Trees) == 0 || len(f.Trees[0].Nodes) == 0 {
		return true
	}
	return f.Trees[0].Nodes[0].Cover != NoCover
}
