package forest_test

import (
	"math"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// stump is a valid forest of one split, for tests that break it.
func stump() forest.Forest {
	return forest.Forest{
		NumFeature: 2, NumGroup: 1, Base: []float64{0}, Link: forest.Sigmoid,
		Trees: []forest.Tree{{Nodes: []forest.Node{
			{Feature: 1, Left: 1, Right: 2, Set: -1, Threshold: 0.5, Cover: 10},
			{Set: -1, Leaf: -1, Cover: 6},
			{Set: -1, Leaf: 1, Cover: 4},
		}}},
	}
}

// chain is a forest of one tree of the given depth.
func chain(depth int) forest.Forest {
	f := stump()
	nodes := []forest.Node{{Set: -1, Cover: 1}}
	for range depth {
		last := int32(len(nodes))
		nodes[last-1] = forest.Node{Left: last, Right: last + 1, Set: -1, Cover: 1}
		if last > 1 {
			nodes[last-1], nodes[last-2] = nodes[last-2], nodes[last-1]
			nodes[last-2].Left, nodes[last-2].Right = last, last+1
		}
		nodes = append(nodes, forest.Node{Set: -1, Cover: 1}, forest.Node{Set: -1, Cover: 1})
	}
	f.Trees[0].Nodes = nodes
	return f
}

// linear is a wide stump whose node at is a linear leaf.
func linear(at int32, l forest.Linear) forest.Forest {
	f := stump()
	f.Wide = true
	f.Trees[0].Linear = map[int32]forest.Linear{at: l}
	return f
}

func TestValidate(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		name    string
		corrupt func(f *forest.Forest)
		want    string // "" if the forest stays valid
	}{
		{"nothing", func(*forest.Forest) {}, ""},
		{"no trees", func(f *forest.Forest) { f.Trees = nil }, ""},
		{"single leaf", func(f *forest.Forest) { f.Trees[0].Nodes = []forest.Node{{Set: -1, Leaf: 3}} }, ""},
		{"depth 254", func(f *forest.Forest) { *f = chain(254) }, ""},
		{"depth 255", func(f *forest.Forest) { *f = chain(255) }, "below depth 254"},
		{"no features", func(f *forest.Forest) { f.NumFeature = 0 }, "0 features"},
		{"too many features", func(f *forest.Forest) { f.NumFeature = 1<<16 + 1 }, "features"},
		{"no groups", func(f *forest.Forest) { f.NumGroup = 0 }, "0 groups"},
		{"names", func(f *forest.Forest) { f.FeatureNames = []string{"a"} }, "1 feature names"},
		{"categories", func(f *forest.Forest) { f.Categories = make([][]string, 3) }, "category names of 3"},
		{"kinds", func(f *forest.Forest) { f.Categorical = make([]bool, 1) }, "kinds of 1"},
		{"base margins", func(f *forest.Forest) { f.Base = nil }, "0 base margins"},
		{"base NaN", func(f *forest.Forest) { f.Base[0] = nan }, "base margin of group 0"},
		{"link", func(f *forest.Forest) { f.Link = 9 }, "unknown link"},
		{"group", func(f *forest.Forest) { f.Trees[0].Group = 1 }, "group 1"},
		{"no nodes", func(f *forest.Forest) { f.Trees[0].Nodes = nil }, "no nodes"},
		{"one child", func(f *forest.Forest) { f.Trees[0].Nodes[0].Right = 0 }, "one child"},
		{"same child", func(f *forest.Forest) { f.Trees[0].Nodes[0].Right = 1 }, "another parent"},
		{"child out of range", func(f *forest.Forest) { f.Trees[0].Nodes[0].Right = 3 }, "child 3"},
		{"negative child", func(f *forest.Forest) { f.Trees[0].Nodes[0].Right = -1 }, "child -1"},
		{"cycle", func(f *forest.Forest) { f.Trees[0].Nodes[1].Left, f.Trees[0].Nodes[1].Right = 1, 2 }, "child 1"},
		{"orphan", func(f *forest.Forest) {
			f.Trees[0].Nodes = append(f.Trees[0].Nodes, forest.Node{Set: -1, Cover: 1})
		}, "no earlier node is its parent"},
		{"feature", func(f *forest.Forest) { f.Trees[0].Nodes[0].Feature = 2 }, "feature 2"},
		{"negative feature", func(f *forest.Forest) { f.Trees[0].Nodes[0].Feature = -1 }, "feature -1"},
		{"threshold", func(f *forest.Forest) { f.Trees[0].Nodes[0].Threshold = nan }, "threshold"},
		{"infinite threshold", func(f *forest.Forest) { f.Trees[0].Nodes[0].Threshold = -inf }, ""},
		{"infinite leaf", func(f *forest.Forest) { f.Trees[0].Nodes[1].Leaf = inf }, "leaf value"},
		{"leaf", func(f *forest.Forest) { f.Trees[0].Nodes[2].Leaf = nan }, "leaf value"},
		{"leaves that overflow", func(f *forest.Forest) {
			f.Trees[0].Nodes[1].Leaf = 0x1p127
			f.Trees = append(f.Trees, f.Trees[0])
		}, "more than a float32"},
		{"float64 leaf", func(f *forest.Forest) { f.Trees[0].Nodes[1].Leaf = 0.1 }, "no float32"},
		{"float64 threshold", func(f *forest.Forest) { f.Trees[0].Nodes[0].Threshold = 0.1 }, "no float32"},
		{"float64 base", func(f *forest.Forest) { f.Base[0] = 0.1 }, "base margin of group 0"},
		{"wide", func(f *forest.Forest) { f.Wide, f.Base[0], f.Trees[0].Nodes[1].Leaf = true, 0.1, 1e300 }, ""},
		{"wide leaves that overflow", func(f *forest.Forest) {
			f.Wide, f.Trees[0].Nodes[1].Leaf = true, 1e308
			f.Trees = append(f.Trees, f.Trees[0])
		}, "more than a float64"},
		{"narrow link of a wide forest", func(f *forest.Forest) { f.Link = forest.LogOnePlusExp }, "wide"},
		{"narrow divisor", func(f *forest.Forest) { f.Divisor = 2 }, "wide"},
		{"divisor", func(f *forest.Forest) { f.Wide, f.Divisor = true, -1 }, "divisor"},
		{"steepness", func(f *forest.Forest) { f.Wide, f.Steepness = true, nan }, "steepness"},
		{"missing", func(f *forest.Forest) { f.Trees[0].Nodes[0].Missing = 3 }, "missing"},
		{"linear", func(f *forest.Forest) {
			*f = linear(1, forest.Linear{Features: []int32{1}, Coefficients: []float64{2}})
		}, ""},
		{"narrow linear", func(f *forest.Forest) { *f = linear(1, forest.Linear{}); f.Wide = false }, "wide"},
		{"linear split", func(f *forest.Forest) { *f = linear(0, forest.Linear{}) }, "node 0"},
		{"linear beyond", func(f *forest.Forest) { *f = linear(3, forest.Linear{}) }, "node 3"},
		{"linear constant", func(f *forest.Forest) { *f = linear(1, forest.Linear{Constant: inf}) }, "constant"},
		{"linear coefficients", func(f *forest.Forest) { *f = linear(1, forest.Linear{Features: []int32{1}}) }, "0 coefficients"},
		{"linear feature", func(f *forest.Forest) {
			*f = linear(1, forest.Linear{Features: []int32{2}, Coefficients: []float64{1}})
		}, "feature 2"},
		{"linear coefficient", func(f *forest.Forest) {
			*f = linear(1, forest.Linear{Features: []int32{0}, Coefficients: []float64{nan}})
		}, "coefficient"},
		{"cover NaN", func(f *forest.Forest) { f.Trees[0].Nodes[1].Cover = nan }, "cover"},
		{"cover negative", func(f *forest.Forest) { f.Trees[0].Nodes[1].Cover = -2 }, "cover"},
		{"cover in some nodes", func(f *forest.Forest) { f.Trees[0].Nodes[0].Cover = forest.NoCover }, "it has a cover and other"},
		{"set", func(f *forest.Forest) { f.Trees[0].Nodes[0].Set = 0 }, "category set 0"},
		{"set order", func(f *forest.Forest) { f.Trees[0].Sets = [][]uint32{{2, 2}} }, "category 2"},
		{"set range", func(f *forest.Forest) { f.Trees[0].Sets = [][]uint32{{1 << 24}} }, "16777216"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := stump()
			test.corrupt(&f)
			_, err := forest.New(f)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("New: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("New: %v, want an error with %q", err, test.want)
			}
		})
	}
}
