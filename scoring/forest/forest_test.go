package forest_test

import (
	"math"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// walk is the margin by definition: pointers followed, float32 or float64 added in tree order.
func walk(f *forest.Forest, row []float64) []float64 {
	margins := append([]float64(nil), f.Base...)
	for i := range f.Trees {
		t := &f.Trees[i]
		node := int32(0)
		for t.Nodes[node].Left != 0 {
			n := &t.Nodes[node]
			if node = n.Left; goesRight(f, t, n, row) {
				node = n.Right
			}
		}
		leaf := t.Nodes[node].Leaf
		if l, ok := t.Linear[node]; ok {
			leaf = linearLeaf(l, row, leaf)
		}
		if f.Wide {
			margins[t.Group] += leaf
		} else {
			margins[t.Group] = float64(float32(margins[t.Group]) + float32(leaf))
		}
	}
	return margins
}

func linearLeaf(l forest.Linear, row []float64, plain float64) float64 {
	sum := l.Constant
	for i, feature := range l.Features {
		switch x := row[feature]; {
		case math.IsNaN(x):
			return plain
		case math.Abs(x) > forest.ZeroBound:
			sum += float64(l.Coefficients[i] * x)
		}
	}
	return sum
}

func TestMarginsAreThoseOfAWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t, 5, 10, rapid.Bool().Draw(t, "linear"))
		rows := drawRows(t, f)
		margins := make([]float64, len(rows)/f.NumFeature*f.NumGroup)
		f.MarginsTo(margins, rows)
		for i, got := range margins {
			row := i / f.NumGroup
			want := walk(f, rows[row*f.NumFeature:(row+1)*f.NumFeature])[i%f.NumGroup]
			if math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("margin %d is %v, want %v", i, got, want)
			}
		}
	})
}

// reference computes the contributions of one row, and each group's sum of absolute values, tree by tree.
func reference(f *forest.Forest, row []float64, shapley func(f *forest.Forest, t *forest.Tree, row, phi []float64)) (phi, size []float64) {
	width := f.NumFeature + 1
	phi, size = make([]float64, f.NumGroup*width), make([]float64, f.NumGroup)
	for g, b := range f.Base {
		phi[g*width+f.NumFeature] = b
		size[g] = max(1, math.Abs(b))
	}
	for i := range f.Trees {
		t := &f.Trees[i]
		one := make([]float64, width)
		shapley(f, t, row, one)
		for j, v := range one {
			phi[t.Group*width+j] += v
			size[t.Group] += math.Abs(v)
		}
	}
	return phi, size
}

func checkContributions(t *rapid.T, f *forest.Forest, rows []float64, tolerance float64, shapley func(f *forest.Forest, t *forest.Tree, row, phi []float64)) {
	t.Helper()
	if forest.TableBytes(f) > 0 {
		tolerance = max(tolerance, 2e-7) // the tables' entries are float32
	}
	width := f.NumFeature + 1
	got := make([]float64, len(rows)/f.NumFeature*f.NumGroup*width)
	f.ContributionsTo(got, rows)
	for r := 0; r*f.NumFeature < len(rows); r++ {
		want, size := reference(f, rows[r*f.NumFeature:(r+1)*f.NumFeature], shapley)
		for j, w := range want {
			if g := got[r*len(want)+j]; !(math.Abs(g-w) <= tolerance*size[j/width]) {
				t.Fatalf("row %d: contribution %d is %v, want %v", r, j, g, w)
			}
		}
	}
}

func TestContributionsAreShapleyValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t, 7, 10, false)
		rows := drawRows(t, f)
		checkContributions(t, f, rows, 1e-12, shapleyByDefinition)
		checkContributions(t, forest.Quadrature(f), rows, 1e-12, shapleyByDefinition)
	})
}

// The recursion divides by shares, so it is a weaker reference than the definition where they are tiny;
// but it reaches forests of more features than 2^F allows.
func TestContributionsAreThoseOfTreeSHAP(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t, 24, 20, false)
		rows := drawRows(t, f)
		checkContributions(t, f, rows, 1e-7, shapleyByRecursion)
		checkContributions(t, forest.Quadrature(f), rows, 1e-7, shapleyByRecursion)
	})
}

func TestContributionsAddUpToTheMargin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t, 40, 40, false)
		rows := drawRows(t, f)
		width := f.NumFeature + 1
		n := len(rows) / f.NumFeature
		margins, phi := make([]float64, n*f.NumGroup), make([]float64, n*f.NumGroup*width)
		f.MarginsTo(margins, rows)
		f.ContributionsTo(phi, rows)
		for i, m := range margins {
			sum, size := 0.0, 1.0
			for _, v := range phi[i*width : (i+1)*width] {
				sum += v
				size += math.Abs(v)
			}
			if !(math.Abs(sum-m) <= 1e-5*size) {
				t.Fatalf("contributions %d add up to %v, the margin is %v", i, sum, m)
			}
		}
	})
}

func TestUnusedFeatureContributesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t, 6, 8, false)
		rows := drawRows(t, f)
		used := make([]bool, f.NumFeature)
		for _, tree := range f.Trees {
			for _, n := range tree.Nodes {
				used[n.Feature] = used[n.Feature] || n.Left != 0
			}
		}
		phi := make([]float64, len(rows)/f.NumFeature*f.NumGroup*(f.NumFeature+1))
		f.ContributionsTo(phi, rows)
		for i, v := range phi {
			if j := i % (f.NumFeature + 1); j < f.NumFeature && !used[j] && v != 0 {
				t.Fatalf("contribution %d is %v of a feature that no tree uses", i, v)
			}
		}
	})
}

func TestForestWithoutCoversScoresOnly(t *testing.T) {
	f := stump()
	for i := range f.Trees[0].Nodes {
		f.Trees[0].Nodes[i].Cover = forest.NoCover
	}
	made, err := forest.New(f)
	if err != nil {
		t.Fatal(err)
	}
	if made.Explains() {
		t.Error("Explains() = true without covers")
	}
	margins := make([]float64, 1)
	if made.MarginsTo(margins, []float64{0, 1}); margins[0] != 1 {
		t.Errorf("margin %v, want 1", margins[0])
	}
}

func TestPredictions(t *testing.T) {
	tests := []struct {
		name          string
		link          forest.Link
		margins, want []float64
	}{
		{"identity", forest.Identity, []float64{-3, 0.5}, []float64{-3, 0.5}},
		{"sigmoid", forest.Sigmoid, []float64{0, 1e38, -1e38, -88.7}, []float64{0.5, 1, 3.0066358e-39, 3.0066358e-39}},
		{"softmax", forest.Softmax, []float64{0, 0, 1e38, -1e38}, []float64{0.5, 0.5, 1, 0}},
		{"exp", forest.Exp, []float64{0, 1, -2.5, 88.7228, 88.8, 1e20, 1e38, -104, -1e38}, []float64{1, math.E, 0.082085, 3.4026947e38, math.Inf(1), math.Inf(1), math.Inf(1), 0, 0}},
		{"step", forest.Step, []float64{0, 1e-45, -1e-45, 3}, []float64{0, 1, 0, 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := stump()
			f.Link = test.link
			if test.link == forest.Softmax {
				f.NumGroup, f.Base = 2, []float64{0, 0}
			}
			made, err := forest.New(f)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float64, len(test.margins))
			made.PredictionsTo(got, test.margins)
			for i, want := range test.want {
				if got[i] != want && !(math.Abs(got[i]-want) < 1e-6*math.Abs(want)) {
					t.Errorf("prediction of %v is %v, want %v", test.margins[i], got[i], want)
				}
			}
		})
	}
}

// TestWidePredictions holds the float64 links to values computed with more digits.
func TestWidePredictions(t *testing.T) {
	tests := []struct {
		name               string
		link               forest.Link
		steepness, divisor float64
		margins, want      []float64
	}{
		{"identity", forest.Identity, 0, 4, []float64{-3, 0.5}, []float64{-0.75, 0.125}},
		{"sigmoid", forest.Sigmoid, 0, 0, []float64{0, 1, 800, -800}, []float64{0.5, 0.7310585786300048793, 1, 0}},
		{"steep sigmoid", forest.Sigmoid, 2, 2, []float64{1}, []float64{0.7310585786300048793}},
		{"sigmoids", forest.Sigmoid, 0, 0, []float64{0, 1}, []float64{0.5, 0.7310585786300048793}},
		{"softmax", forest.Softmax, 0, 0, []float64{0, 0, 1e308, -1e308}, []float64{0.5, 0.5, 1, 0}},
		{"exp", forest.Exp, 0, 0, []float64{0, 1, -1, 709, 710}, []float64{1, math.E, 0.36787944117144232160, 8.2184074615549721892e307, math.Inf(1)}},
		{"log one plus exp", forest.LogOnePlusExp, 0, 0, []float64{0, -40}, []float64{math.Ln2, 4.2483542552915889863e-18}},
		{"signed square", forest.SignedSquare, 0, 0, []float64{-3, 2}, []float64{-9, 4}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := stump()
			f.Wide, f.Link, f.Steepness, f.Divisor = true, test.link, test.steepness, test.divisor
			if test.link == forest.Softmax || test.name == "sigmoids" {
				f.NumGroup, f.Base = 2, []float64{0, 0}
			}
			made, err := forest.New(f)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float64, len(test.margins))
			made.PredictionsTo(got, test.margins)
			for i, want := range test.want {
				if got[i] != want && !(math.Abs(got[i]-want) <= 1e-15*math.Abs(want)) {
					t.Errorf("prediction of %v is %v, want %v", test.margins[i], got[i], want)
				}
			}
		})
	}
}

func TestScoringDoesNotAllocate(t *testing.T) {
	f, rows := balanced(t, 10, 6, 8, 70)
	margins, contributions := make([]float64, 70), make([]float64, 70*9)
	calls := map[string]func(){
		"MarginsTo":       func() { f.MarginsTo(margins, rows) },
		"PredictionsTo":   func() { f.PredictionsTo(margins, margins) },
		"ContributionsTo": func() { f.ContributionsTo(contributions, rows) },
	}
	for name, call := range calls {
		if n := testing.AllocsPerRun(100, call); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// TestConcurrentUse is for the race detector, and for scratch memory that two calls might share.
func TestConcurrentUse(t *testing.T) {
	f, rows := balanced(t, 20, 6, 8, 70)
	want := make([]float64, 70*9)
	f.ContributionsTo(want, rows)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got := make([]float64, len(want))
			for range 20 {
				if f.ContributionsTo(got, rows); !slices.Equal(got, want) {
					t.Error("contributions differ between calls")
					return
				}
			}
		})
	}
	wg.Wait()
}
