package forest

import "fmt"

// DefaultMaxMemory bounds the memory of a forest where [Options] do not.
const DefaultMaxMemory = 2 << 30

// Options bound and watch how [NewWith] makes a forest. The zero value is that of [New].
type Options struct {
	// MaxMemory bounds what the forest takes while it is made, in bytes; 0 means DefaultMaxMemory.
	MaxMemory int64
	// Held is what the caller holds meanwhile and MaxMemory is to cover too: the bytes of the model file, say.
	Held int64
	// Progress, if it is not nil, hears how far the work is, and can end it.
	Progress *Progress
}

// A MemoryError says that a forest takes more memory than its [Options] allow. Need is a lower bound where the
// forest was refused before its trees were read.
type MemoryError struct{ Need, Limit int64 }

// Error names both figures.
func (e *MemoryError) Error() string {
	return fmt.Sprintf("loading the model takes %.1f MiB of memory, and the limit is %.1f MiB",
		float64(e.Need)/(1<<20), float64(e.Limit)/(1<<20))
}

// Fits returns a *[MemoryError] if the nodes alone of so many trees are beyond the bound. A loader that knows their
// numbers asks before it reads them.
func (o Options) Fits(trees, nodes int) error {
	return o.check(int64(trees)*treeBytes + int64(nodes)*nodeBytes)
}

func (o Options) check(need int64) error {
	limit := o.MaxMemory
	if limit == 0 {
		limit = DefaultMaxMemory
	}
	if need += o.Held; need > limit {
		return &MemoryError{need, limit}
	}
	return nil
}

// Memory is what a forest takes, in bytes. It is computed from the trees alone, before anything is made of them, for
// the CPU that takes the most. It leaves out the scratch memory of calls.
type Memory struct {
	// Trees, Scoring and Explaining are what a forest keeps: its nodes, kernels, and tables or factors.
	Trees, Scoring, Explaining int64
	// Building is what it takes besides while it is made.
	Building int64
}

// Kept returns what a forest takes once it is made.
func (m Memory) Kept() int64 { return m.Trees + m.Scoring + m.Explaining }

// Peak returns the most that a forest takes.
func (m Memory) Peak() int64 { return m.Kept() + m.Building }

// The bytes of the parts of a forest. Slices are rounded up by the allocator, by an eighth at most.
const (
	treeBytes   = 64 + 16
	nodeBytes   = 48
	setBytes    = 24 // a category set, and 4 for each code
	linearBytes = 200
	termBytes   = 20 // of a linear leaf

	keyBytes     = 16  // a threshold, padded for the search
	rankedBytes  = 192 // a feature with thresholds
	rankedFloats = 288 // those of its table for the assembly
	columnBytes  = 24
	shallowBytes = 512 + 192 // a block for many rows, and one for single rows, without the leaves
	blockPadding = 7         // blocks of either kind may be padded to eight
	splitBytes   = 16        // of a tree scored leaf by leaf
	packedBytes  = 8         // a node of a deep tree, without its leaf
	matchedBytes = 320       // a tree of up to 32 leaves, without them

	pageBytes        = 8192 // by which the allocator rounds what is large
	patternTreeBytes = 64 + 192 + 216
	subtreeBytes     = 16 + 64 // with the places of its lanes, of a forest of more than 8 features

	buildTreeBytes = 1152 + 256 // a tree while its patterns are computed
	buildKeyBytes  = 24         // a threshold while columns are made
	buildRowBytes  = 96         // a feature likewise
)

// Memory returns an estimate of what the forest takes: no less, and rarely half as much again. The trees must be
// valid.
func (f *Forest) Memory() Memory {
	m := Memory{Trees: f.namesBytes()}
	n := f.census()
	for i := range f.Trees {
		m.Trees += f.Trees[i].bytes()
	}
	if f.hasLinearLeaves() {
		return m // it is walked
	}
	m.Scoring = rounded(n.columnsBytes(f)) + rounded(n.scoringBytes(f))
	if n.columns() > maxPermuted {
		m.Scoring += rounded(n.maskBytes(f))
	}
	m.Building = int64(n.splits)*buildKeyBytes + int64(f.NumFeature)*buildRowBytes
	if f.hasCovers() {
		if entries, ok := n.tableEntries(f); ok {
			sources := int64(0)
			if f.NumFeature > entryLanes {
				sources = int64(len(f.Trees)) * (maxSubtrees*maxSlots + 256)
			}
			m.Explaining = rounded(n.maskBytes(f)) + rounded(sources+int64(len(f.Trees))*patternTreeBytes+n.subtrees*subtreeBytes) +
				entries*int64(entryLanes)*4 + pageBytes
			m.Building += int64(len(f.Trees)) * buildTreeBytes
		} else {
			m.Explaining = int64(quadratureBytes(len(f.Trees), n.splits, numBlocks(min(n.deepest, f.NumFeature))))
		}
	}
	return m
}

// bytes returns what the tree's own slices take.
func (t *Tree) bytes() int64 {
	size := treeBytes + rounded(int64(len(t.Nodes))*nodeBytes)
	for _, set := range t.Sets {
		size += setBytes + rounded(int64(len(set))*4)
	}
	for _, l := range t.Linear {
		size += linearBytes + int64(len(l.Features))*termBytes
	}
	return size
}

// rounded returns the most that the allocator makes of a size.
func rounded(size int64) int64 { return size + size/8 + 16 }

func (f *Forest) namesBytes() int64 {
	size := int64(0)
	for _, names := range append([][]string{f.FeatureNames}, f.Categories...) {
		for _, name := range names {
			size += 32 + int64(len(name))
		}
	}
	return size + int64(f.NumFeature)*(1+24)
}

// A census is what the structures of a forest are sized by.
type census struct {
	depth    []uint8 // of each tree
	levels   [MaxDepth + 1]treeLevel
	deepest  int
	splits   int
	leaves   int   // of the largest tree
	subtrees int64 // of the pattern tables
	entries  int64 // likewise
	sets     map[rankedAs]categoryCensus
	ranked   int64 // features with thresholds, twice where zero is missing at some splits only
}

// A treeLevel counts the splits and leaves at one depth of a tree.
type treeLevel struct{ splits, leaves int }

// A categoryCensus bounds the categories of a feature.
type categoryCensus struct{ splits, codes, most int64 }

func (f *Forest) census() *census {
	n := &census{depth: make([]uint8, len(f.Trees)), sets: make(map[rankedAs]categoryCensus)}
	ranked := make([]bool, 2*f.NumFeature)
	var level []uint8
	for i := range f.Trees {
		t := &f.Trees[i]
		level = append(level[:0], make([]uint8, len(t.Nodes))...)
		clear(n.levels[:])
		depth := 0
		for k := range t.Nodes {
			node, at := &t.Nodes[k], &n.levels[level[k]]
			if node.Left == 0 {
				at.leaves++
				depth = max(depth, int(level[k]))
				continue
			}
			at.splits++
			level[node.Left], level[node.Right] = level[k]+1, level[k]+1
			if node.Set >= 0 {
				n.countSet(node.rankedAs(), t.Sets[node.Set])
			} else if of := node.rankedAs(); !ranked[of] {
				ranked[of] = true
				n.ranked++
			}
		}
		n.depth[i] = uint8(depth)
		n.deepest = max(n.deepest, depth)
		n.splits += len(t.Nodes) / 2
		n.leaves = max(n.leaves, (len(t.Nodes)+1)/2)
		n.countPatterns(depth)
	}
	return n
}

func (n *census) countSet(of rankedAs, set []uint32) {
	c := n.sets[of]
	c.splits++
	c.codes += int64(len(set))
	if len(set) > 0 {
		c.most = max(c.most, int64(set[len(set)-1])+1)
	}
	n.sets[of] = c
}

// countPatterns adds the tables of the tree whose levels were counted: a subtree for each node three levels above
// the lowest leaf, and for each leaf above those.
func (n *census) countPatterns(depth int) {
	if depth == 0 || depth > maxTableDepth {
		return
	}
	depth = max(2, depth)
	subtrees := int64(n.levels[depth-2].splits)
	for _, l := range n.levels[:depth-1] {
		subtrees += int64(l.leaves)
	}
	n.subtrees += subtrees
	n.entries += subtrees * 2 << depth
}

// columns returns how many columns there are at most.
func (n *census) columns() int64 {
	columns := int64(len(chunkColumns{})) * (int64(n.splits/chunkThresholds) + n.ranked)
	for _, c := range n.sets {
		columns += c.splits
	}
	return columns
}

// columnsBytes returns what the columns take that rows are quantised into.
func (n *census) columnsBytes(f *Forest) int64 {
	categories, permuted := int64(0), int64(0)
	for _, c := range n.sets {
		places := min(c.codes, c.most) + 2
		categories += places * (c.splits + 2*keyBytes)
		permuted += min(c.splits, maxColumns) * min((places+blockRows-1)/blockRows, maxPages) * blockRows
	}
	return int64(n.splits)*keyBytes + min(n.columns(), maxColumns)*columnBytes + min(categories, maxCategoryBytes) + permuted +
		n.ranked*(rankedBytes+rankedFloats*f.numberBytes())
}

// maskBytes returns what the masks of categories take.
func (n *census) maskBytes(f *Forest) int64 {
	places := int64(0)
	for _, c := range n.sets {
		places += min(c.codes, c.most) + 2
	}
	return min(places*int64(len(f.Trees))*8, maxMaskBytes)
}

// numberBytes returns the size of a number of the forest's own precision.
func (f *Forest) numberBytes() int64 {
	if f.Wide {
		return 8
	}
	return 4
}

// scoringBytes returns what the trees take as the kernels lay them out.
func (n *census) scoringBytes(f *Forest) int64 {
	trees, leaf := int64(len(f.Trees)), f.numberBytes()
	if n.deepest <= blockDepth {
		trees += blockPadding
		return trees * (shallowBytes + 2*leaf<<blockDepth)
	}
	size := int64(2*n.splits+len(f.Trees)) * (packedBytes + leaf) // as nodes, or as complete trees of no more
	switch {
	case n.leaves <= 64:
		size += trees*(leaf*64) + int64(n.splits)*splitBytes
	case n.leaves <= 256:
		size += trees*(leaf*256) + int64(n.splits)*splitBytes
	}
	if n.leaves <= 32 {
		size += trees * (matchedBytes + 32*leaf)
	}
	return size
}

// tableEntries returns the number of entries of the pattern tables, and whether the forest has them.
func (n *census) tableEntries(f *Forest) (int64, bool) {
	if n.deepest > maxTableDepth || n.entries >= maxTableBytes/(entryLanes*4) {
		return 0, false
	}
	for i := range f.Trees {
		if f.Trees[i].largestLeaf() > maxTableLeaf {
			return 0, false
		}
	}
	return n.entries, true
}
