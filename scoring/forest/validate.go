package forest

import (
	"errors"
	"fmt"
	"math"
)

// Bounds of a forest; a model beyond them is refused.
const (
	MaxDepth    = 254       // splits between a root and its deepest leaf: levels are counted in bytes
	MaxFeatures = 1 << 16   // columns of a row
	MaxGroups   = 1 << 12   // margins of a row
	MaxCategory = 1<<24 - 1 // largest category code that a float32 tells apart from its neighbours
)

// An InvalidError says which invariant a forest breaks, and where.
type InvalidError struct {
	// Tree and Node are where; -1 for what is not of one tree or not of one node.
	Tree, Node int
	// Problem is a sentence about it.
	Problem string
}

// Error names the tree, the node and the problem.
func (e *InvalidError) Error() string {
	switch {
	case e.Tree < 0:
		return "forest: " + e.Problem
	case e.Node < 0:
		return fmt.Sprintf("forest: tree %d: %s", e.Tree, e.Problem)
	}
	return fmt.Sprintf("forest: tree %d: node %d: %s", e.Tree, e.Node, e.Problem)
}

// Validate checks every invariant that scoring relies on: shapes, child indices that form a tree no
// deeper than [MaxDepth], features and groups in range, sorted category sets, finite leaves,
// covers in all nodes or in none, and leaves that cannot add up beyond the forest's floating point. The
// error is an *[InvalidError].
func (f *Forest) Validate() error {
	if err := f.validateShape(); err != nil {
		return &InvalidError{-1, -1, err.Error()}
	}
	covers := f.hasCovers()
	reach := make([]float64, f.NumGroup) // the largest margin that each group's leaves can add up to
	for g, b := range f.Base {
		reach[g] = math.Abs(b)
	}
	for i := range f.Trees {
		t := &f.Trees[i]
		if t.Group < 0 || t.Group >= f.NumGroup {
			return &InvalidError{i, -1, fmt.Sprintf("group %d is not below the %d groups", t.Group, f.NumGroup)}
		}
		if node, err := f.validateTree(t, covers); err != nil {
			return &InvalidError{i, node, err.Error()}
		}
		reach[t.Group] += t.largestLeaf()
	}
	for g, r := range reach {
		if !f.Wide && !(r < math.MaxFloat32) {
			return &InvalidError{-1, -1, fmt.Sprintf("the leaves of group %d can add up to more than a float32 holds", g)}
		}
		if !(r < math.MaxFloat64) {
			return &InvalidError{-1, -1, fmt.Sprintf("the leaves of group %d can add up to more than a float64 holds", g)}
		}
	}
	return nil
}

func (f *Forest) validateShape() error {
	switch {
	case f.NumFeature < 1 || f.NumFeature > MaxFeatures:
		return fmt.Errorf("%d features; a forest has 1 to %d", f.NumFeature, MaxFeatures)
	case f.NumGroup < 1 || f.NumGroup > MaxGroups:
		return fmt.Errorf("%d groups; a forest has 1 to %d", f.NumGroup, MaxGroups)
	case f.FeatureNames != nil && len(f.FeatureNames) != f.NumFeature:
		return fmt.Errorf("%d feature names for %d features", len(f.FeatureNames), f.NumFeature)
	case f.Categories != nil && len(f.Categories) != f.NumFeature:
		return fmt.Errorf("category names of %d features for %d features", len(f.Categories), f.NumFeature)
	case f.Categorical != nil && len(f.Categorical) != f.NumFeature:
		return fmt.Errorf("kinds of %d features for %d features", len(f.Categorical), f.NumFeature)
	case len(f.Base) != f.NumGroup:
		return fmt.Errorf("%d base margins for %d groups", len(f.Base), f.NumGroup)
	case f.Link > Ascending:
		return fmt.Errorf("unknown link %d", f.Link)
	}
	if err := f.validateKind(); err != nil {
		return err
	}
	for g, b := range f.Base {
		if !finite(b) || !f.holds(b) {
			return fmt.Errorf("the base margin of group %d is not finite", g)
		}
	}
	return nil
}

// validateTree returns what is wrong with a tree, and with which node, or -1.
func (f *Forest) validateTree(t *Tree, covers bool) (int, error) {
	switch {
	case len(t.Nodes) == 0:
		return -1, errors.New("no nodes")
	case len(t.Nodes) > math.MaxInt32:
		return -1, fmt.Errorf("%d nodes are more than an index holds", len(t.Nodes))
	}
	for i, set := range t.Sets {
		if err := validateSet(set); err != nil {
			return -1, fmt.Errorf("category set %d: %w", i, err)
		}
	}
	// 0 marks a node without a parent so far, so depths count from 1.
	depth := make([]uint8, len(t.Nodes))
	depth[0] = 1
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if err := n.validate(f.NumFeature, len(t.Sets), covers); err != nil {
			return i, err
		}
		if !f.holds(n.Threshold) || !f.holds(n.Leaf) {
			return i, errors.New("it has a number that is no float32")
		}
		if depth[i] == 0 {
			return i, errors.New("no earlier node is its parent")
		}
		if n.Left == 0 {
			continue
		}
		if depth[i] > MaxDepth {
			return i, fmt.Errorf("a split below depth %d", MaxDepth)
		}
		for _, c := range [...]int32{n.Left, n.Right} {
			if int(c) <= i || int(c) >= len(t.Nodes) {
				return i, fmt.Errorf("child %d is not between it and the %d nodes", c, len(t.Nodes))
			}
			if depth[c] != 0 {
				return i, fmt.Errorf("child %d has another parent", c)
			}
			depth[c] = depth[i] + 1
		}
	}
	return f.validateLinear(t)
}

func (n *Node) validate(numFeature, numSets int, covers bool) error {
	switch {
	case covers && (!finite(n.Cover) || n.Cover < 0):
		return errors.New("its cover is not a finite number of 0 or more")
	case !covers && n.Cover != NoCover:
		return errors.New("it has a cover and other nodes have none")
	case (n.Left == 0) != (n.Right == 0):
		return errors.New("it has one child")
	case n.Left == 0:
		if !finite(n.Leaf) {
			return errors.New("its leaf value is not finite")
		}
		return nil
	case n.Feature < 0 || int(n.Feature) >= numFeature:
		return fmt.Errorf("feature %d is not below the %d features", n.Feature, numFeature)
	case n.Set < -1 || int(n.Set) >= numSets:
		return fmt.Errorf("category set %d is not below the %d sets", n.Set, numSets)
	case n.Set < 0 && math.IsNaN(n.Threshold):
		// It may be infinite: XGBoost writes that where a split only parts missing values from the others.
		return errors.New("its threshold is not a number")
	case n.Missing > MissingNone:
		return fmt.Errorf("unknown kind %d of missing values", n.Missing)
	}
	return nil
}

func validateSet(set []uint32) error {
	for i, c := range set {
		if c > MaxCategory {
			return fmt.Errorf("category %d is above %d", c, MaxCategory)
		}
		if i > 0 && c <= set[i-1] {
			return fmt.Errorf("category %d does not follow %d in order", c, set[i-1])
		}
	}
	return nil
}

func (t *Tree) largestLeaf() float64 {
	largest := 0.0
	for i := range t.Nodes {
		if n := &t.Nodes[i]; n.Left == 0 {
			largest = max(largest, math.Abs(n.Leaf))
		}
	}
	return largest
}

func finite(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0)
}
