package forest_test

import (
	"fmt"
	"math"
	"math/rand/v2"
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
