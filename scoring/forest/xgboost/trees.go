package xgboost

import (
	"math"
	"slices"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// The values of split_type.
const (
	numeric     = 0
	categorical = 1
)

// maxCodes bounds the codes in the category sets of one tree.
const maxCodes = 1 << 22

// readTrees reads the first keep trees.
func readTrees(booster value, keep int, f *forest.Forest, o forest.Options) error {
	list, err := booster.get("trees")
	if err != nil {
		return err
	}
	trees, err := list.list()
	if err != nil {
		return err
	}
	groups, err := booster.integers("tree_info", maxValues, 0, f.NumGroup-1)
	if err != nil {
		return err
	}
	if len(groups) != len(trees) {
		return booster.errorf("tree_info names %d trees of %d", len(groups), len(trees))
	}
	nodes := 0
	for _, tree := range trees[:keep] {
		left, _ := tree.find("left_children")
		nodes += left.length()
	}
	if err := o.Fits(keep, nodes); err != nil {
		return &FileError{Path: list.path, Problem: err.Error(), Err: err}
	}
	f.Trees = make([]forest.Tree, keep)
	var c columns
	for i := range f.Trees {
		if id, ok := trees[i].find("id"); ok && id.raw != float64(i) {
			return id.errorf("it is not %d, the tree's place", i)
		}
		if err := o.Progress.Read(i, keep); err != nil {
			return &FileError{Path: trees[i].path, Problem: err.Error(), Err: err}
		}
		if err := c.read(trees[i]); err != nil {
			return err
		}
		if f.Trees[i], err = c.tree(f); err != nil {
			return err
		}
		f.Trees[i].Group = groups[i]
	}
	dropNegativeCovers(f.Trees)
	return nil
}

// dropNegativeCovers makes trees without covers of those that have one below 0: survival:cox may sum its second derivatives up
// to that, and such trees score, but weights below 0 explain nothing.
func dropNegativeCovers(trees []forest.Tree) {
	negative := func(n forest.Node) bool { return n.Cover < 0 && n.Cover != forest.NoCover }
	if !slices.ContainsFunc(trees, func(t forest.Tree) bool { return slices.ContainsFunc(t.Nodes, negative) }) {
		return
	}
	for i := range trees {
		for k := range trees[i].Nodes {
			trees[i].Nodes[k].Cover = forest.NoCover
		}
	}
}

// columns are the arrays of one tree, an element a node. Each tree uses the memory of the one before it.
type columns struct {
	source      value
	left, right []int32  // -1 in a leaf
	feature     []uint32 // anything in a leaf
	condition   []float64
	defaultLeft []int32
	splitType   []int32
	cover       []float64 // empty if the file has none
	sets        map[int][]uint32
	numDeleted  int

	floats []float64 // of one array of integers, before they are known to be some
	order  []int32   // the file's nodes as the tree has them
	place  []int32   // of the file's nodes in order; 0, the root's, for those not reached yet
}

// read reads the arrays of a tree and makes sure that they have one length, before any of them takes memory.
func (c *columns) read(tree value) error {
	c.source = tree
	params, err := tree.get("tree_param")
	if err != nil {
		return err
	}
	nodes, err := params.parameter("num_nodes", 1, math.MaxInt32-1)
	if err != nil {
		return err
	}
	if c.numDeleted, err = params.parameter("num_deleted", 0, nodes-1); err != nil {
		return err
	}
	if size, ok := params.find("size_leaf_vector"); ok && size.raw != "1" && size.raw != "0" {
		return size.errorf("its leaves are vectors, of a model with multi_strategy=multi_output_tree; train with multi_strategy=one_output_per_tree")
	}
	names := []string{"left_children", "right_children", "split_indices", "split_conditions", "default_left", "split_type"}
	_, covers := tree.find("sum_hessian")
	if covers {
		names = append(names, "sum_hessian")
	}
	for _, name := range names {
		array, err := tree.array(name)
		if err != nil {
			return err
		}
		if array.count != nodes {
			return tree.errorf("%s has %d elements for %d nodes", name, array.count, nodes)
		}
	}
	if err := c.readArrays(nodes, covers); err != nil {
		return err
	}
	c.sets, err = readSets(tree, nodes)
	return err
}

func (c *columns) readArrays(nodes int, covers bool) (err error) {
	if c.left, err = readIntegers(c, c.left, "left_children", -1, nodes-1); err != nil {
		return err
	}
	if c.right, err = readIntegers(c, c.right, "right_children", -1, nodes-1); err != nil {
		return err
	}
	if c.feature, err = readIntegers(c, c.feature, "split_indices", 0, math.MaxUint32); err != nil {
		return err
	}
	if c.defaultLeft, err = readIntegers(c, c.defaultLeft, "default_left", 0, 1); err != nil {
		return err
	}
	if c.splitType, err = readIntegers(c, c.splitType, "split_type", numeric, categorical); err != nil {
		return err
	}
	if c.condition, err = c.source.appendNumbers(c.condition[:0], "split_conditions"); err != nil {
		return err
	}
	if c.cover = c.cover[:0]; covers {
		c.cover, err = c.source.appendNumbers(c.cover, "sum_hessian")
	}
	return err
}

// readIntegers reads one array into the memory of to.
func readIntegers[T int32 | uint32](c *columns, to []T, name string, low, high int) ([]T, error) {
	var err error
	if c.floats, err = c.source.appendNumbers(c.floats[:0], name); err != nil {
		return nil, err
	}
	return appendIntegers(c.source, slices.Grow(to[:0], len(c.floats)), name, c.floats, low, high)
}

// readSets returns the category set of each categorical node, sorted.
func readSets(tree value, nodes int) (map[int][]uint32, error) {
	owners, err := tree.integers("categories_nodes", nodes, 0, nodes-1)
	if err != nil {
		return nil, err
	}
	codes, err := tree.integers("categories", maxCodes, 0, forest.MaxCategory)
	if err != nil {
		return nil, err
	}
	starts, err := tree.integers("categories_segments", nodes, 0, len(codes))
	if err != nil {
		return nil, err
	}
	sizes, err := tree.integers("categories_sizes", nodes, 0, len(codes))
	if err != nil {
		return nil, err
	}
	if len(starts) != len(owners) || len(sizes) != len(owners) {
		return nil, tree.errorf("its %d category sets have %d starts and %d sizes", len(owners), len(starts), len(sizes))
	}
	if len(owners) == 0 {
		return nil, nil
	}
	sets := make(map[int][]uint32, len(owners))
	used := 0
	for i, owner := range owners {
		// The segments tile the codes, so that a small file cannot stand for large overlapping sets.
		if starts[i] != used || sizes[i] > len(codes)-used {
			return nil, tree.errorf("category set %d does not follow the one before it", i)
		}
		used += sizes[i]
		set := make([]uint32, 0, sizes[i])
		for _, c := range codes[starts[i]:used] {
			set = append(set, uint32(c))
		}
		slices.Sort(set)
		if _, ok := sets[owner]; ok {
			return nil, tree.errorf("node %d has two category sets", owner)
		}
		sets[owner] = set
	}
	return sets, nil
}

// tree renumbers the nodes from the root, level by level: XGBoost keeps pruned nodes in its arrays and
// may put a child before its parent.
func (c *columns) tree(f *forest.Forest) (forest.Tree, error) {
	var t forest.Tree
	c.order = append(slices.Grow(c.order[:0], len(c.left)), 0)
	c.place = append(c.place[:0], make([]int32, len(c.left))...)
	for i := 0; i < len(c.order); i++ {
		from := c.order[i]
		if (c.left[from] < 0) != (c.right[from] < 0) {
			return t, c.source.errorf("node %d has one child", from)
		}
		if c.left[from] < 0 {
			continue
		}
		for _, child := range [...]int32{c.left[from], c.right[from]} {
			if child == 0 || c.place[child] != 0 {
				return t, c.source.errorf("node %d has two parents", child)
			}
			c.place[child] = int32(len(c.order)) // #nosec G115 -- at most the number of nodes, which fits
			c.order = append(c.order, child)
		}
	}
	if len(c.order) != len(c.left)-c.numDeleted {
		return t, c.source.errorf("%d nodes hang on the root, of %d less %d deleted", len(c.order), len(c.left), c.numDeleted)
	}
	t.Nodes = make([]forest.Node, len(c.order))
	for i, from := range c.order {
		if err := c.node(&t, i, int(from), f); err != nil {
			return t, err
		}
		if c.left[from] >= 0 {
			t.Nodes[i].Left, t.Nodes[i].Right = c.place[c.left[from]], c.place[c.right[from]]
		}
	}
	return t, nil
}

// node fills in node i of t, save for its children, from the file's node.
func (c *columns) node(t *forest.Tree, i, from int, f *forest.Forest) error {
	n := &t.Nodes[i]
	n.Set, n.Cover = -1, forest.NoCover
	if len(c.cover) > 0 {
		n.Cover = float64(float32(c.cover[from]))
	}
	if c.left[from] < 0 {
		n.Leaf = float64(float32(c.condition[from]))
		return nil
	}
	feature := int(c.feature[from])
	if feature >= f.NumFeature {
		return c.source.errorf("node %d splits on feature %d of %d", from, feature, f.NumFeature)
	}
	n.Feature, n.DefaultLeft = int32(feature), c.defaultLeft[from] == 1
	set, ok := c.sets[from]
	if ok != (c.splitType[from] == categorical) {
		return c.source.errorf("node %d has either a category set or the type of a categorical split, not both", from)
	}
	if !ok {
		n.Threshold = float64(float32(c.condition[from]))
		return nil
	}
	if f.Categories != nil && f.Categories[feature] != nil && len(set) > 0 && int(set[len(set)-1]) >= len(f.Categories[feature]) {
		return c.source.errorf("node %d splits on a category that has no name", from)
	}
	f.Categorical[feature] = true
	n.Set = int32(len(t.Sets))
	t.Sets = append(t.Sets, set)
	return nil
}
