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

// readTrees reads the first keep trees.
func readTrees(booster value, keep int, f *forest.Forest) error {
	list, err := booster.get("trees")
	if err != nil {
		return err
	}
	trees, err := list.list()
	if err != nil {
		return err
	}
	groups, err := booster.integers("tree_info", 0, f.NumGroup-1)
	if err != nil {
		return err
	}
	if len(groups) != len(trees) {
		return booster.errorf("tree_info names %d trees of %d", len(groups), len(trees))
	}
	f.Trees = make([]forest.Tree, keep)
	for i := range f.Trees {
		if id, ok := trees[i].find("id"); ok && id.raw != float64(i) {
			return id.errorf("it is not %d, the tree's place", i)
		}
		columns, err := readColumns(trees[i])
		if err != nil {
			return err
		}
		if f.Trees[i], err = columns.tree(f); err != nil {
			return err
		}
		f.Trees[i].Group = groups[i]
	}
	return nil
}

// columns are the arrays of one tree, an element a node.
type columns struct {
	source      value
	left, right []int // -1 in a leaf
	feature     []int // anything in a leaf
	condition   []float64
	defaultLeft []int
	splitType   []int
	cover       []float64 // nil if the file has none
	sets        map[int][]uint32
	numDeleted  int
}

// readColumns reads the arrays and makes sure that they have one length.
func readColumns(tree value) (c columns, err error) {
	c.source = tree
	params, err := tree.get("tree_param")
	if err != nil {
		return c, err
	}
	nodes, err := params.parameter("num_nodes", 1, math.MaxInt32-1)
	if err != nil {
		return c, err
	}
	if c.numDeleted, err = params.parameter("num_deleted", 0, nodes-1); err != nil {
		return c, err
	}
	if size, ok := params.find("size_leaf_vector"); ok && size.raw != "1" && size.raw != "0" {
		return c, size.errorf("its leaves are vectors, of a model with multi_strategy=multi_output_tree; train with multi_strategy=one_output_per_tree")
	}
	if c.left, err = tree.integers("left_children", -1, nodes-1); err != nil {
		return c, err
	}
	if c.right, err = tree.integers("right_children", -1, nodes-1); err != nil {
		return c, err
	}
	if c.feature, err = tree.integers("split_indices", 0, math.MaxUint32); err != nil {
		return c, err
	}
	if c.condition, err = tree.numbers("split_conditions"); err != nil {
		return c, err
	}
	if c.defaultLeft, err = tree.integers("default_left", 0, 1); err != nil {
		return c, err
	}
	if c.splitType, err = tree.integers("split_type", numeric, categorical); err != nil {
		return c, err
	}
	lengths := []int{len(c.left), len(c.right), len(c.feature), len(c.condition), len(c.defaultLeft), len(c.splitType)}
	if _, ok := tree.find("sum_hessian"); ok {
		if c.cover, err = tree.numbers("sum_hessian"); err != nil {
			return c, err
		}
		lengths = append(lengths, len(c.cover))
	}
	for _, n := range lengths {
		if n != nodes {
			return c, tree.errorf("an array has %d elements for %d nodes", n, nodes)
		}
	}
	c.sets, err = readSets(tree, nodes)
	return c, err
}

// readSets returns the category set of each categorical node, sorted.
func readSets(tree value, nodes int) (map[int][]uint32, error) {
	owners, err := tree.integers("categories_nodes", 0, nodes-1)
	if err != nil {
		return nil, err
	}
	codes, err := tree.integers("categories", 0, forest.MaxCategory)
	if err != nil {
		return nil, err
	}
	starts, err := tree.integers("categories_segments", 0, len(codes))
	if err != nil {
		return nil, err
	}
	sizes, err := tree.integers("categories_sizes", 0, len(codes))
	if err != nil {
		return nil, err
	}
	if len(starts) != len(owners) || len(sizes) != len(owners) {
		return nil, tree.errorf("its %d category sets have %d starts and %d sizes", len(owners), len(starts), len(sizes))
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
	order := []int{0}
	place := make([]int32, len(c.left)) // 0, the root's, for nodes not reached yet
	for i := 0; i < len(order); i++ {
		from := order[i]
		if (c.left[from] < 0) != (c.right[from] < 0) {
			return t, c.source.errorf("node %d has one child", from)
		}
		if c.left[from] < 0 {
			continue
		}
		for _, child := range [...]int{c.left[from], c.right[from]} {
			if child == 0 || place[child] != 0 {
				return t, c.source.errorf("node %d has two parents", child)
			}
			place[child] = int32(len(order))
			order = append(order, child)
		}
	}
	if len(order) != len(c.left)-c.numDeleted {
		return t, c.source.errorf("%d nodes hang on the root, of %d less %d deleted", len(order), len(c.left), c.numDeleted)
	}
	t.Nodes = make([]forest.Node, len(order))
	for i, from := range order {
		if err := c.node(&t, i, from, f); err != nil {
			return t, err
		}
		if c.left[from] >= 0 {
			t.Nodes[i].Left, t.Nodes[i].Right = place[c.left[from]], place[c.right[from]]
		}
	}
	return t, nil
}

// node fills in node i of t, save for its children, from the file's node.
func (c *columns) node(t *forest.Tree, i, from int, f *forest.Forest) error {
	n := &t.Nodes[i]
	n.Set, n.Cover = -1, forest.NoCover
	if c.cover != nil {
		n.Cover = float64(float32(c.cover[from]))
	}
	if c.left[from] < 0 {
		n.Leaf = float64(float32(c.condition[from]))
		return nil
	}
	feature := c.feature[from]
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
