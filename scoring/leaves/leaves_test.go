package leaves_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/leaves"
)

var _ scoring.Engine = (*leaves.Engine)(nil)

// margins returns what an engine makes of rows.
func margins(e scoring.Engine, f *forest.Forest, rows []float64) []float64 {
	out := make([]float64, len(rows)/f.NumFeature*f.NumGroup)
	e.MarginsTo(out, rows)
	return out
}

func TestBothEnginesTakeTheSameLeaves(t *testing.T) { rapid.Check(t, bothEnginesTakeTheSameLeaves) }

func FuzzBothEnginesTakeTheSameLeaves(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(bothEnginesTakeTheSameLeaves))
}

// bothEnginesTakeTheSameLeaves: sums of these leaves are exact, so a single wrong turn shows.
func bothEnginesTakeTheSameLeaves(t *rapid.T) {
	f := drawForest(t)
	e, err := leaves.New(f)
	if err != nil {
		t.Fatal(err)
	}
	rows := drawRows(t, f)
	got, want := margins(e, f, rows), margins(f, f, rows)
	if !slices.Equal(got, want) {
		t.Fatalf("rows %v: margins %v, the forest has %v", rows, got, want)
	}
}

// stump is a tree of one split: left is 1, right is 2.
func stump(n forest.Node, sets ...[]uint32) forest.Tree {
	n.Left, n.Right, n.Cover = 1, 2, forest.NoCover
	leaf := forest.Node{Set: -1, Cover: forest.NoCover}
	left, right := leaf, leaf
	left.Leaf, right.Leaf = 1, 2
	return forest.Tree{Nodes: []forest.Node{n, left, right}, Sets: sets}
}

// TestAThresholdParts holds the rule of thresholds to values one step away, in each arithmetic and for each kind of missing value.
func TestAThresholdParts(t *testing.T) {
	for kind := range 24 {
		wide, lessEqual, defaultLeft := kind&1 != 0, kind&2 != 0, kind&4 != 0
		missing := []forest.Missing{forest.MissingNaN, forest.MissingZero, forest.MissingNone}[kind/8]
		for _, single := range append(grid, 1e-35) {
			threshold := float64(single)
			tree := stump(forest.Node{Set: -1, Threshold: threshold, DefaultLeft: defaultLeft, Missing: missing})
			f := &forest.Forest{NumFeature: 1, NumGroup: 1, Wide: wide, LessEqual: lessEqual, Base: []float64{0}, Trees: []forest.Tree{tree}}
			e, err := leaves.New(f)
			if err != nil {
				t.Fatal(err)
			}
			rows := []float64{threshold, math.NaN(), 0, -inf, inf, forest.ZeroBound, -forest.ZeroBound, 1e-35, -1e-35}
			rows = append(rows, float64(math.Nextafter32(single, float32(-inf))), float64(math.Nextafter32(single, float32(inf))))
			rows = append(rows, math.Nextafter(threshold, -inf), math.Nextafter(threshold, inf))
			got := margins(e, f, rows)
			if want := margins(f, f, rows); !slices.Equal(got, want) {
				t.Errorf("wide %t, less or equal %t, missing kind %d, threshold %v, rows %v: margins %v, the forest has %v",
					wide, lessEqual, missing, threshold, rows, got, want)
			}
			if side := map[bool]float64{true: 1, false: 2}[defaultLeft]; missing != forest.MissingNone && got[1] != side {
				t.Errorf("threshold %v: a missing value scores %v, want %v", threshold, got[1], side)
			}
		}
	}
}

var inf = math.Inf(1)

// TestTheLargestCategoryIsToldFromItsNeighbours: there float32 ends, and so do the forest's sets.
func TestTheLargestCategoryIsToldFromItsNeighbours(t *testing.T) {
	for _, set := range [][]uint32{{forest.MaxCategory}, {0, forest.MaxCategory - 1}} {
		f := &forest.Forest{NumFeature: 1, NumGroup: 1, Base: []float64{0}, Trees: []forest.Tree{stump(forest.Node{}, set)}}
		e, err := leaves.New(f)
		if err != nil {
			t.Fatal(err)
		}
		rows := []float64{forest.MaxCategory - 1, forest.MaxCategory, forest.MaxCategory + 1, 1 << 31, 1 << 63, 0, -1, math.NaN()}
		if got, want := margins(e, f, rows), margins(f, f, rows); !slices.Equal(got, want) {
			t.Errorf("set %v: margins %v, the forest has %v", set, got, want)
		}
	}
}

// TestWhatCannotBeTranscodedNamesTheTree also shows that nothing of it is attempted.
func TestWhatCannotBeTranscodedNamesTheTree(t *testing.T) {
	number := stump(forest.Node{Set: -1, Threshold: 1})
	category := stump(forest.Node{Set: 0}, []uint32{1})
	wide := stump(forest.Node{Set: 0}, []uint32{1, forest.MaxCategory})
	linear, zero, zeroCategory := stump(number.Nodes[0]), stump(number.Nodes[0]), stump(category.Nodes[0], []uint32{1})
	linear.Linear = map[int32]forest.Linear{1: {Constant: 1, Features: []int32{0}, Coefficients: []float64{2}}}
	zero.Nodes[0].Missing, zeroCategory.Nodes[0].Missing = forest.MissingZero, forest.MissingZero
	uneven := forest.Forest{NumFeature: 1, NumGroup: forest.MaxGroups, Base: make([]float64, forest.MaxGroups)}
	for _, tt := range []struct {
		name   string
		forest forest.Forest
		trees  []forest.Tree
		tree   int
		reason string
	}{
		{"a feature of both kinds", forest.Forest{NumFeature: 1, NumGroup: 1, Base: []float64{0}}, []forest.Tree{number, number, category}, 2, "as a category"},
		{"bit sets of many words", forest.Forest{NumFeature: 1, NumGroup: 1, Base: []float64{0}}, slices.Repeat([]forest.Tree{wide}, 9), 7, "bit sets"},
		{"groups that must be filled up", uneven, slices.Repeat([]forest.Tree{number}, 300), 256, "groups"},
		{"linear leaves", forest.Forest{NumFeature: 1, NumGroup: 1, Wide: true, Base: []float64{0}}, []forest.Tree{number, linear}, 1, "linear"},
		{"zero missing at one split only", forest.Forest{NumFeature: 1, NumGroup: 1, Base: []float64{0}}, []forest.Tree{number, zero}, 1, "zero missing"},
		{"a category of which zero is missing", forest.Forest{NumFeature: 1, NumGroup: 1, Base: []float64{0}}, []forest.Tree{zeroCategory}, 0, "than NaN"},
	} {
		tt.forest.Trees = tt.trees
		_, err := leaves.New(&tt.forest)
		fault, ok := errors.AsType[*leaves.TreeError](err)
		if !ok || fault.Tree != tt.tree || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: error is %v, want tree %d and %q", tt.name, err, tt.tree, tt.reason)
		}
	}
	broken := number
	broken.Nodes = broken.Nodes[:2]
	if _, err := leaves.New(&forest.Forest{NumFeature: 1, NumGroup: 1, Base: []float64{0}, Trees: []forest.Tree{broken}}); err == nil {
		t.Error("a tree with a child that is not there was taken")
	}
}

func TestShapesThatDoNotFitPanic(t *testing.T) {
	e, err := leaves.New(&forest.Forest{NumFeature: 2, NumGroup: 1, Base: []float64{0}})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(){
		"half a row":    func() { e.MarginsTo(make([]float64, 1), make([]float64, 3)) },
		"a short dst":   func() { e.MarginsTo(make([]float64, 1), make([]float64, 4)) },
		"contributions": func() { e.ContributionsTo(make([]float64, 3), make([]float64, 2)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			call()
		}()
	}
}

// TestOneEngineServesManyGoroutines is for the race detector, and shows that blocks of a call do not mix with another's.
func TestOneEngineServesManyGoroutines(t *testing.T) {
	for _, g := range []golden{"../forest/xgboost/testdata/partition", "../forest/xgboost/testdata/multiclass", "../forest/lightgbm/testdata/categories"} {
		f, rows := g.load(t)
		e, err := leaves.New(f)
		if err != nil {
			t.Fatal(err)
		}
		want := margins(e, f, rows)
		var running sync.WaitGroup
		for range 8 {
			running.Go(func() {
				for range 5 {
					if got := margins(e, f, rows); !slices.Equal(got, want) {
						t.Errorf("%s: the margins differ from those of one goroutine", g)
					}
				}
			})
		}
		running.Wait()
	}
}

func TestMarginsDoNotAllocate(t *testing.T) {
	f, rows := golden("../forest/xgboost/testdata/partition").load(t)
	e, err := leaves.New(f)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, len(rows)/f.NumFeature*f.NumGroup)
	if n := testing.AllocsPerRun(20, func() { e.MarginsTo(out, rows) }); n >= 1 {
		t.Errorf("%v allocations a call", n)
	}
}
