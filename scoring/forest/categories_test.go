package forest_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// TestKernelsByCategories goes over the numbers of categories at which a block of rows is looked up in another way.
func TestKernelsByCategories(t *testing.T) {
	for _, codes := range []int{1, 61, 62, 63, 126, 127, 253, 254, 255, 1000} {
		t.Run(fmt.Sprint(codes), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(codes), 1))
			d := forest.Forest{NumFeature: 2, NumGroup: 1, Base: []float64{0.5}}
			for range 30 {
				d.Trees = append(d.Trees, categoricalStump(r, codes))
			}
			rows := make([]float64, 131*2)
			for i := range rows {
				if rows[i] = float64(r.IntN(codes + 3)); r.IntN(8) == 0 {
					rows[i] = []float64{math.NaN(), -1, -0.5, 0.5, 1 << 40, math.Inf(1)}[r.IntN(6)]
				}
			}
			for _, d.Wide = range []bool{false, true} {
				f, err := forest.New(d)
				if err != nil {
					t.Fatal(err)
				}
				compareKernels(t, f, rows, rowCounts...)
			}
		})
	}
}

// categoricalStump is a tree of one split on a set that has about half of the codes, the last among them.
func categoricalStump(r *rand.Rand, codes int) forest.Tree {
	set := []uint32{uint32(codes)}
	for c := codes - 1; c >= 0; c-- {
		if r.IntN(2) == 0 {
			set = append([]uint32{uint32(c)}, set...)
		}
	}
	leaf := func() forest.Node {
		return forest.Node{Set: -1, Leaf: float64(r.Float32() - 0.5), Cover: forest.NoCover}
	}
	split := forest.Node{Feature: int32(r.IntN(2)), Left: 1, Right: 2, DefaultLeft: r.IntN(2) == 0, Cover: forest.NoCover}
	return forest.Tree{Sets: [][]uint32{set}, Nodes: []forest.Node{split, leaf(), leaf()}}
}

// TestKernelsByNestedSets has more sets in one another than a byte tells apart.
func TestKernelsByNestedSets(t *testing.T) {
	const codes = 300
	d := forest.Forest{NumFeature: 1, NumGroup: 1, Base: []float64{0}}
	var set []uint32
	for code := range uint32(codes) {
		set = append(set, code)
		split := forest.Node{Left: 1, Right: 2, DefaultLeft: true, Cover: 4}
		left, right := forest.Node{Set: -1, Leaf: -1, Cover: 1}, forest.Node{Set: -1, Leaf: 1, Cover: 3}
		d.Trees = append(d.Trees, forest.Tree{Sets: [][]uint32{slices.Clone(set)}, Nodes: []forest.Node{split, left, right}})
	}
	f, err := forest.New(d)
	if err != nil {
		t.Fatal(err)
	}
	rows := []float64{math.NaN(), -1}
	for code := range codes + 2 {
		rows = append(rows, float64(code))
	}
	compareKernels(t, f, rows, len(rows))
	checkShap(t, f, rows, true)
}

// TestKernelsByManySets has more category sets, of which few lie in one another, than a single row has columns in registers:
// of trees that are blocks, and of deeper ones.
func TestKernelsByManySets(t *testing.T) {
	for _, c := range []struct {
		name        string
		depth, side int // of the longest path, and of the branches beside it
	}{{"shallow", 5, 4}, {"deep", 9, 1}} {
		for _, wide := range []bool{false, true} {
			for _, groups := range []int{1, 3} {
				t.Run(fmt.Sprint(c.name, wide, groups), func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(c.depth), uint64(groups)))
					d := forest.Forest{Wide: wide, NumFeature: 5, NumGroup: groups, Base: make([]float64, groups)}
					for i := range 61 {
						d.Trees = append(d.Trees, categoricalTree(r, c.depth, c.side, i%groups))
					}
					f, err := forest.New(d)
					if err != nil {
						t.Fatal(err)
					}
					rows := make([]float64, 131*5)
					for i := range rows {
						if rows[i] = float64(r.IntN(43)); r.IntN(8) == 0 {
							rows[i] = []float64{math.NaN(), -1, 0.5, 1 << 40}[r.IntN(4)]
						}
					}
					compareKernels(t, f, rows, rowCounts...)
					checkShap(t, f, rows[:20*5], true)
				})
			}
		}
	}
}

// categoricalTree asks at three of four splits for one of 40 codes, at the others for a number.
func categoricalTree(r *rand.Rand, depth, side, group int) forest.Tree {
	tree := forest.Tree{Group: group}
	var grow func(depth, side int, cover float64) int32
	grow = func(depth, side int, cover float64) int32 {
		at := int32(len(tree.Nodes))
		tree.Nodes = append(tree.Nodes, forest.Node{Set: -1, Leaf: float64(r.Float32() - 0.5), Cover: cover})
		if depth == 0 {
			return at
		}
		n := forest.Node{Feature: int32(r.IntN(4)), Set: -1, Threshold: float64(r.IntN(40)), DefaultLeft: r.IntN(2) == 0, Cover: cover}
		if n.Feature < 3 {
			var set []uint32
			for code := range uint32(40) {
				if r.IntN(2) == 0 {
					set = append(set, code)
				}
			}
			n.Set, tree.Sets = int32(len(tree.Sets)), append(tree.Sets, set)
		}
		n.Left = grow(depth-1, side, cover/2)
		n.Right = grow(min(depth-1, side), side, cover/2)
		tree.Nodes[at] = n
		return at
	}
	grow(depth, side, 1024)
	return tree
}
