package forest_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// The forests of drawForest have few trees and rows; these have full trees, more than a pass takes of
// both, and quantised rows of one register to more than four.
func TestTablesOfFullTrees(t *testing.T) {
	for _, features := range []int{1, 8, 9, 33, 100, 200} {
		for depth := range 7 {
			f, rows := balanced(t, 37, depth, features, 330)
			for _, f := range []*forest.Forest{f, widened(t, f)} {
				checkFullTrees(t, f, rows)
			}
		}
	}
}

func checkFullTrees(t *testing.T, f *forest.Forest, rows []float64) {
	t.Helper()
	if forest.TableBytes(f) == 0 {
		t.Fatal("the forest has no tables")
	}
	what := fmt.Sprintf("%d features, %d nodes, wide %v", f.NumFeature, len(f.Trees[0].Nodes), f.Wide)
	got, want := contributions(f, rows), contributions(forest.Quadrature(f), rows)
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-6) {
			t.Fatalf("%s: contribution %d is %v, by quadrature %v", what, i, got[i], want[i])
		}
	}
	for _, k := range []forest.Kernel{forest.KernelGo, forest.KernelAVX512} {
		if g := withKernel(f, k); g != nil && !sameBits(contributions(g, rows), got) {
			t.Fatalf("%s: contributions by kernel %q differ from those by %q", what, k, f.Kernel())
		}
	}
}

// Which explainer a forest has is part of its arithmetic: it must depend on nothing but the trees.
func TestTablesAreChosenByTheTrees(t *testing.T) {
	tests := []struct {
		name         string
		trees, depth int
		bytes        int
	}{
		{"no split", 3, 0, 32},
		{"depth 1", 1, 1, 32 + 1<<3*32},
		{"depth 4", 3, 4, 32 + 3*4<<5*32},
		{"depth 6", 5, 6, 32 + 5*16<<7*32},
		{"depth 7", 1, 7, 0},
		{"64 MiB, less a tree", 1023, 6, 32 + 1023*16<<7*32},
		{"64 MiB and an entry", 1024, 6, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, _ := balanced(t, test.trees, test.depth, 8, 0)
			if got := forest.TableBytes(f); got != test.bytes {
				t.Errorf("tables of %d bytes, want %d", got, test.bytes)
			}
			if test.trees > 100 {
				return // the same rule at the cost of a second
			}
			if got := forest.TableBytes(widened(t, f)); got != test.bytes {
				t.Errorf("tables of %d bytes of the wide forest, want %d", got, test.bytes)
			}
		})
	}
}
