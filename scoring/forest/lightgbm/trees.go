package lightgbm

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// The bits of decision_type.
const (
	categoricalBit = 1 << 0
	defaultLeftBit = 1 << 1
	missingShift   = 2
	largestType    = int(forest.MissingNone)<<missingShift | defaultLeftBit | categoricalBit
)

// missingKinds are the kinds of missing values by their number in decision_type.
var missingKinds = [...]forest.Missing{forest.MissingNone, forest.MissingZero, forest.MissingNaN}

// maxTrees bounds the trees of a file, which take more memory than a few bytes of text each.
const maxTrees = 1 << 17

// countNodes returns how many trees and nodes a text has, by the numbers of leaves that it claims as far as
// its bytes can hold them. It reads nothing else.
func countNodes(text string) (trees, nodes int) {
	const key = "\nnum_leaves="
	at := strings.Index(text, key)
	for at >= 0 {
		text = text[at+len(key):]
		leaves := 0
		for i := 0; i < len(text) && text[i] >= '0' && text[i] <= '9' && leaves < len(text); i++ {
			leaves = 10*leaves + int(text[i]-'0')
		}
		at = strings.Index(text, key)
		room := len(text)
		if at >= 0 {
			room = at
		}
		leaves = min(leaves, room/2) // each has a value, and a space before it
		trees++
		nodes += max(1, 2*leaves-1)
	}
	return trees, nodes
}

// readTrees reads the trees, the first of which begins with the line next; tree k adds to group k modulo the
// number of groups.
func readTrees(in *lines, next string, f *forest.Forest, progress *forest.Progress) error {
	size := len(in.rest)
	var c columns
	codes := 0
	for next != treesEnd {
		i := len(f.Trees)
		s := &c.source
		s.tree, s.line = i, in.number
		if next[len(treeBegins):] != strconv.Itoa(i) {
			return &FileError{Line: in.number, Tree: i, Problem: "Tree does not follow the tree before it"}
		}
		if i == maxTrees {
			return &FileError{Line: in.number, Tree: i, Problem: fmt.Sprintf("there are more than %d trees", maxTrees)}
		}
		if err := progress.Read(size-len(in.rest), size); err != nil {
			return &FileError{Line: in.number, Tree: i, Problem: err.Error(), Err: err}
		}
		var err error
		if next, err = s.read(in); err != nil {
			return err
		}
		if err := c.read(f); err != nil {
			return err
		}
		for _, set := range c.sets {
			codes += len(set)
		}
		if codes > maxCodes {
			return s.errorf("cat_threshold", "the model's category sets have more than %d codes", maxCodes)
		}
		t, err := c.tree(f)
		if err != nil {
			return err
		}
		t.Group = i % f.NumGroup
		f.Trees = append(f.Trees, t)
	}
	dropCoversIfNone(f.Trees)
	return nil
}

// dropCoversIfNone makes trees of one leaf, which count nothing, go with trees whose file has no counts.
func dropCoversIfNone(trees []forest.Tree) {
	counted, uncounted := false, false
	for i := range trees {
		if len(trees[i].Nodes) > 1 {
			none := trees[i].Nodes[0].Cover == forest.NoCover
			counted, uncounted = counted || !none, uncounted || none
		}
	}
	for i := range trees {
		if uncounted && !counted && len(trees[i].Nodes) == 1 {
			trees[i].Nodes[0].Cover = forest.NoCover
		}
	}
}

// tree numbers splits and leaves from the root, level by level, so that every child comes after its parent.
func (c *columns) tree(f *forest.Forest) (forest.Tree, error) {
	t := forest.Tree{Sets: c.sets}
	if c.linear != nil {
		t.Linear = make(map[int32]forest.Linear, len(c.leaf))
	}
	splits, nodes := len(c.left), len(c.left)+len(c.leaf)
	t.Nodes = make([]forest.Node, nodes)
	c.order = slices.Grow(c.order[:0], nodes)
	c.seen = append(c.seen[:0], make([]bool, nodes)...)
	enter := func(child int) (int32, error) {
		if child < 0 {
			child = splits - 1 - child
		}
		if child == 0 && splits > 0 || c.seen[child] {
			return 0, c.source.errorf("left_child", "%s has two parents", c.name(child))
		}
		c.seen[child] = true
		c.order = append(c.order, child)
		return int32(len(c.order) - 1), nil
	}
	c.order = append(c.order, 0)
	for i := 0; i < len(c.order); i++ {
		from, n := c.order[i], &t.Nodes[i]
		if from >= splits {
			c.fillLeaf(&t, i, from-splits)
			continue
		}
		if err := c.fillSplit(n, from, f); err != nil {
			return t, err
		}
		left, right := c.left[from], c.right[from]
		if n.Set >= 0 {
			// LightGBM sends the categories in the set left, and all else right; a forest has it the other way round.
			left, right = right, left
		}
		var err error
		if n.Left, err = enter(left); err != nil {
			return t, err
		}
		if n.Right, err = enter(right); err != nil {
			return t, err
		}
	}
	if len(c.order) != nodes {
		return t, c.source.errorf("left_child", "%d of %d nodes hang on the root", len(c.order), nodes)
	}
	return t, nil
}

func (c *columns) name(node int) string {
	if splits := len(c.left); node >= splits {
		return fmt.Sprintf("leaf %d", node-splits)
	}
	return fmt.Sprintf("split %d", node)
}

func (c *columns) fillLeaf(t *forest.Tree, at, leaf int) {
	t.Nodes[at] = forest.Node{Set: -1, Leaf: c.leaf[leaf], Cover: forest.NoCover}
	switch {
	case len(c.leaf) == 1:
		t.Nodes[at].Cover = 0
	case c.counted:
		t.Nodes[at].Cover = c.leafCount[leaf]
	}
	if c.linear != nil {
		t.Linear[int32(at)] = c.linear[leaf]
	}
}

// fillSplit fills in a split, save for its children.
func (c *columns) fillSplit(n *forest.Node, split int, f *forest.Forest) error {
	kind := c.kind[split]
	*n = forest.Node{Feature: int32(c.feature[split]), Set: -1, Cover: forest.NoCover}
	if c.counted {
		n.Cover = c.splitCount[split]
	}
	if kind&categoricalBit == 0 {
		n.Threshold = beyondZero(c.threshold[split])
		n.DefaultLeft, n.Missing = kind&defaultLeftBit != 0, missingKinds[kind>>missingShift]
		return nil
	}
	set := c.threshold[split]
	if set < 0 || set >= float64(len(c.sets)) || set != math.Trunc(set) {
		return c.source.errorf("threshold", "split %d takes category set %v of %d", split, set, len(c.sets))
	}
	// NaN goes where the categories outside the set go.
	n.Set, n.DefaultLeft = int32(set), true
	f.Categorical[n.Feature] = true
	return nil
}

// beyondZero moves a threshold among the values that LightGBM takes for zero out of their way, to the side
// that sends all of them where it sends zero.
func beyondZero(threshold float64) float64 {
	switch {
	case threshold >= 0 && threshold < forest.ZeroBound:
		return forest.ZeroBound
	case threshold < 0 && threshold >= -forest.ZeroBound:
		return math.Nextafter(-forest.ZeroBound, math.Inf(-1))
	}
	return threshold
}
