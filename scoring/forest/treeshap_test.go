package forest_test

import (
	"math"
	"math/bits"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// The references that ContributionsTo is held to: the Shapley values by their definition, and the
// recursion of Lundberg et al., Consistent Individualized Feature Attribution for Tree Ensembles,
// algorithm 2, both in float64.

// goesRight walks one split of a row; it shares no code with the package.
func goesRight(f *forest.Forest, t *forest.Tree, n *forest.Node, row []float64) bool {
	x := row[n.Feature]
	if !f.Wide {
		x = float64(float32(x))
	}
	missing := math.IsNaN(x)
	switch {
	case n.Missing == forest.MissingZero && math.Abs(x) <= 1.0000000180025095e-35:
		missing = true
	case n.Missing == forest.MissingNone && missing:
		x, missing = 0, false
	}
	switch {
	case missing:
		return !n.DefaultLeft
	case n.Set < 0 && f.LessEqual:
		return x > n.Threshold
	case n.Set < 0:
		return x >= n.Threshold
	}
	first := 0.0
	if f.Wide {
		first = -1 + 0x1p-53 // what is cut off to 0
	}
	for _, c := range t.Sets[n.Set] {
		if x >= first && x < 1<<24 && (c == uint32(math.Abs(x)) || c == 0 && x < 1) {
			return true
		}
	}
	return false
}

// shareOf is the part of a node's training weight that went on to a child.
func shareOf(t *forest.Tree, n *forest.Node, child int32) float64 {
	if n.Cover <= 0 {
		return 0.5
	}
	return min(1, max(1e-12, t.Nodes[child].Cover/n.Cover))
}

// coalitionValue is the tree's expected value when the features in the set known are those of the row.
func coalitionValue(f *forest.Forest, t *forest.Tree, node int32, row []float64, known uint) float64 {
	n := &t.Nodes[node]
	if n.Left == 0 {
		return n.Leaf
	}
	if known>>n.Feature&1 == 1 {
		if goesRight(f, t, n, row) {
			return coalitionValue(f, t, n.Right, row, known)
		}
		return coalitionValue(f, t, n.Left, row, known)
	}
	return shareOf(t, n, n.Left)*coalitionValue(f, t, n.Left, row, known) +
		shareOf(t, n, n.Right)*coalitionValue(f, t, n.Right, row, known)
}

// shapleyByDefinition adds the tree's Shapley values over all 2^F coalitions to phi, the bias last.
func shapleyByDefinition(f *forest.Forest, t *forest.Tree, row, phi []float64) {
	features := len(row)
	value := make([]float64, 1<<features)
	for s := range value {
		value[s] = coalitionValue(f, t, 0, row, uint(s))
	}
	weight := make([]float64, features) // of a coalition by its size: s! (f-s-1)! / f!
	for s := range weight {
		weight[s] = math.Gamma(float64(s+1)) * math.Gamma(float64(features-s)) / math.Gamma(float64(features+1))
	}
	for s := range value {
		for i := range features {
			if s>>i&1 == 0 {
				phi[i] += weight[bits.OnesCount(uint(s))] * (value[s|1<<i] - value[s])
			}
		}
	}
	phi[features] += value[0]
}

// A pathElement is one distinct feature on the path, -1 for the root's: the share of the paths that
// flow through if it is unknown (zero) and known (one), and the weight of the path's subsets by size.
type pathElement struct {
	feature           int32
	zero, one, weight float64
}

// shapleyByRecursion adds the tree's Shapley values to phi, the bias last.
func shapleyByRecursion(f *forest.Forest, t *forest.Tree, row, phi []float64) {
	recurse(f, t, 0, row, phi, nil, 1, 1, -1)
	phi[len(row)] += coalitionValue(f, t, 0, row, 0)
}

func recurse(f *forest.Forest, t *forest.Tree, node int32, row, phi []float64, above []pathElement, zero, one float64, feature int32) {
	path := extend(above, zero, one, feature)
	n := &t.Nodes[node]
	if n.Left == 0 {
		for i := 1; i < len(path); i++ {
			weight := 0.0
			for _, e := range unwind(path, i) {
				weight += e.weight
			}
			phi[path[i].feature] += weight * (path[i].one - path[i].zero) * n.Leaf
		}
		return
	}
	hot, cold := n.Left, n.Right
	if goesRight(f, t, n, row) {
		hot, cold = cold, hot
	}
	zero, one = 1, 1
	for i := 1; i < len(path); i++ {
		if path[i].feature == n.Feature {
			zero, one = path[i].zero, path[i].one
			path = unwind(path, i)
			break
		}
	}
	recurse(f, t, hot, row, phi, path, zero*shareOf(t, n, hot), one, n.Feature)
	recurse(f, t, cold, row, phi, path, zero*shareOf(t, n, cold), 0, n.Feature)
}

func extend(above []pathElement, zero, one float64, feature int32) []pathElement {
	depth := len(above)
	path := append(append(make([]pathElement, 0, depth+1), above...), pathElement{feature, zero, one, 0})
	if depth == 0 {
		path[0].weight = 1
	}
	for i := depth - 1; i >= 0; i-- {
		path[i+1].weight += one * path[i].weight * float64(i+1) / float64(depth+1)
		path[i].weight = zero * path[i].weight * float64(depth-i) / float64(depth+1)
	}
	return path
}

func unwind(full []pathElement, index int) []pathElement {
	path := append([]pathElement(nil), full...)
	depth := len(path) - 1
	zero, one := path[index].zero, path[index].one
	next := path[depth].weight
	for i := depth - 1; i >= 0; i-- {
		if one != 0 {
			was := path[i].weight
			path[i].weight = next * float64(depth+1) / (float64(i+1) * one)
			next = was - path[i].weight*zero*float64(depth-i)/float64(depth+1)
		} else {
			path[i].weight = path[i].weight * float64(depth+1) / (zero * float64(depth-i))
		}
	}
	for i := index; i < depth; i++ {
		path[i].feature, path[i].zero, path[i].one = path[i+1].feature, path[i+1].zero, path[i+1].one
	}
	return path[:depth]
}
