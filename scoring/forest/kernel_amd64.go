//go:build amd64 && !purego

package forest

import (
	"math"
	"sync"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// hasAVX512 reports whether this CPU and its operating system can run the functions in assembly.
func hasAVX512() bool {
	return cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL &&
		cpu.X86.HasAVX512VBMI && cpu.X86.HasPOPCNT
}

const (
	// maxPermuted is how many columns two registers hold, by which a single row is scored.
	maxPermuted = 128
	// minVectorRows is the fewest rows that a block of 64 scores faster than one by one.
	minVectorRows = 28
	// treesPerCall bounds how long a call in assembly, which nothing can interrupt, delays the collector.
	treesPerCall = 512
	// treesPerStep is how many trees a vector of 64-bit masks holds.
	treesPerStep = 8
	// maxExpanded is how many ranks of a single row two registers hold.
	maxExpanded = 64
	// maxTabled is how many thresholds a rankTable holds.
	maxTabled = 256
	// maskWords is the memory of addTreesAVX512: masks by slot, and outcomes by level, of treesPerStep trees.
	maskWords = (1<<blockDepth + blockDepth) * treesPerStep
	// missingRank stands for NaN among ranks.
	missingRank = math.MaxUint16
)

// A vectorProgram scores blocks of 64 rows, or single rows, by AVX-512. It is for forests of blocks.
//
// A block of rows is quantised into columns: 64 bytes, one a row. Comparing a column with a threshold
// gives the outcomes of 64 rows at one split as a mask. Taking masks of the same split in 8 trees
// as one vector, the outcomes along each row's path are picked by bitwise selection, level by level.
type vectorProgram struct {
	base     []float32 // the forest's
	columns  *columns
	features []int        // per feature of columns.ranked, its place in a row
	tables   []rankTable  // per feature of columns.ranked; empty for one of more thresholds
	batch    []vectorTree // padded to a multiple of treesPerStep
	// blocks are the trees for a single row, or nil where it takes more columns than maxPermuted.
	blocks  []treeBlock[uint8]
	groups  []int32       // per tree of blocks, or nil if all are 0
	expand  []expandBlock // ranks to columns of a single row
	scratch sync.Pool     // of *vectorScratch
}

// A vectorTree is a block laid out for 64 rows at a time.
type vectorTree struct {
	// tests are those of a treeBlock's slots.
	tests [1 << blockDepth]vectorTest
	// leaves are the values' bytes: the lowest byte of each leaf, then the next.
	leaves [4][1 << blockDepth]uint8
}

// A vectorTest is where its column begins, and the threshold four times. In slot 0, which has no
// test, offset is where the sums of the tree's group begin.
type vectorTest struct {
	offset    uint32
	threshold [4]uint8
}

// A rankTable holds up to 256 thresholds, padded with NaN, and the last of each 16 of them.
type rankTable struct {
	last       [16]float32
	thresholds [17 * 16]float32
}

// An expandBlock makes 32 columns of a single row: from which rank, less how much, and their byte for
// a missing value.
type expandBlock struct {
	rank, below [32]uint16
	missing     [32]uint8
}

// vectorScratch is the memory of one call. All parts begin at multiples of 64 bytes.
type vectorScratch struct {
	ranks   []uint16  // per ranked feature, of 64 rows; of a single row, side by side
	columns []byte    // per column, of 64 rows; also a single row's bytes
	masks   []uint64  // what the functions in assembly keep
	sums    []float32 // per group, of 64 rows in the order of sumIndex; of a single row, per group
	leaves  []float32 // of a single row, per tree
}

func newVectorProgram(f *Forest, c *columns, tests *nodeTests) *vectorProgram {
	p := &vectorProgram{base: narrow(f.Base), columns: c}
	for i := range f.Trees {
		if f.Trees[i].depth() > blockDepth {
			return nil
		}
	}
	for i := range c.ranked {
		r := &c.ranked[i]
		if r.thresholds.count >= missingRank {
			return nil
		}
		p.features = append(p.features, r.feature)
		p.tables = append(p.tables, newRankTable(r.thresholds.floats()))
	}
	p.batch = newVectorTrees(f, tests)
	if c.count <= maxPermuted && len(c.ranked) <= maxExpanded {
		b := newBlockForest[uint8](tests, f.Trees, blockDepth)
		p.blocks, p.groups = b.blocks, b.groups
		p.expand = newExpandBlocks(c)
	}
	groups := f.NumGroup
	p.scratch.New = func() any {
		return &vectorScratch{
			ranks:   alignedSlice[uint16](max(1, len(p.tables)) * blockRows),
			columns: alignedSlice[byte](max(2, c.count) * blockRows),
			masks:   alignedSlice[uint64](maskWords),
			sums:    alignedSlice[float32](groups * blockRows),
			leaves:  alignedSlice[float32](len(p.blocks)),
		}
	}
	return p
}

// alignedSlice returns n values, the first at a multiple of 64 bytes.
func alignedSlice[T byte | uint16 | uint64 | float32](n int) []T {
	var one T
	b := alignedBytes(n * int(unsafe.Sizeof(one)))
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

func newRankTable(thresholds []float32) (t rankTable) {
	if len(thresholds) > maxTabled {
		thresholds = nil
	}
	for i := range t.thresholds {
		t.thresholds[i] = float32(math.NaN())
	}
	copy(t.thresholds[:], thresholds)
	for i := range t.last {
		t.last[i] = t.thresholds[16*i+15]
	}
	return t
}

func newExpandBlocks(c *columns) []expandBlock {
	blocks := make([]expandBlock, (c.count+31)/32)
	for i := range c.ranked {
		for _, col := range c.ranked[i].columns {
			b, k := &blocks[col.column/32], col.column%32
			b.rank[k], b.below[k], b.missing[k] = uint16(i), uint16(col.below), col.missing
		}
	}
	return blocks
}

func newVectorTrees(f *Forest, tests *nodeTests) []vectorTree {
	trees := make([]vectorTree, (len(f.Trees)+treesPerStep-1)/treesPerStep*treesPerStep)
	for i := range trees {
		// A tree that pads the last step adds -0, which changes no sum.
		group, b := 0, treeBlock[uint16]{}
		if i < len(f.Trees) {
			group, b = f.Trees[i].Group, newTreeBlock[uint16](tests, &f.Trees[i], blockDepth)
		} else {
			for k := range b.leaf {
				b.leaf[k] = float32(math.Copysign(0, -1))
			}
		}
		t := &trees[i]
		for k := range t.tests {
			threshold := b.threshold[k]
			t.tests[k] = vectorTest{uint32(b.column[k]) * blockRows, [4]uint8{threshold, threshold, threshold, threshold}}
		}
		t.tests[0].offset = uint32(group * blockRows * 4)
		for k, leaf := range b.leaf {
			for j := range t.leaves {
				t.leaves[j][k] = uint8(math.Float32bits(leaf) >> (8 * j))
			}
		}
	}
	return trees
}

// marginsTo scores the first rows, as many as it is made for, and returns how many those are.
func (p *vectorProgram) marginsTo(f *Forest, dst, rows []float64) int {
	s := p.scratch.Get().(*vectorScratch)
	defer p.scratch.Put(s)
	n := len(rows) / f.NumFeature
	first := 0
	for first < n {
		count := min(blockRows, n-first)
		if count < minVectorRows {
			if p.blocks == nil {
				break
			}
			count = 1
		}
		out, in := dst[first*f.NumGroup:(first+count)*f.NumGroup], rows[first*f.NumFeature:(first+count)*f.NumFeature]
		if count == 1 {
			p.row(f, s, out, in)
		} else {
			p.block(f, s, out, in)
		}
		first += count
	}
	return first
}

// row scores one row.
func (p *vectorProgram) row(f *Forest, s *vectorScratch, dst, row []float64) {
	p.quantiseRow(s, row)
	sum := float32(f.Base[0])
	for first := 0; first < len(p.blocks); first += treesPerCall {
		n := min(treesPerCall, len(p.blocks)-first)
		sum = addRowAVX512(&s.leaves[first], &p.blocks[first], n, &s.columns[0], sum)
	}
	if p.groups == nil && f.NumGroup == 1 {
		dst[0] = float64(sum)
		return
	}
	copy(s.sums, p.base)
	for i, leaf := range s.leaves {
		group := 0
		if p.groups != nil {
			group = int(p.groups[i])
		}
		s.sums[group] += leaf
	}
	for g := range dst {
		dst[g] = float64(s.sums[g])
	}
}

func (p *vectorProgram) quantiseRow(s *vectorScratch, row []float64) {
	c := p.columns
	if len(p.tables) > 0 {
		rankRowAVX512(&s.ranks[0], &row[0], &p.features[0], len(p.tables), &p.tables[0])
	}
	for i := range c.ranked {
		if r := &c.ranked[i]; r.thresholds.count > maxTabled {
			s.ranks[i] = r.rank16(row[r.feature])
		}
	}
	if len(p.expand) > 0 {
		expandAVX512(&s.columns[0], &s.ranks[0], &p.expand[0], len(p.expand))
	}
	for i := range c.categorical {
		f := &c.categorical[i]
		copy(s.columns[f.first:f.first+f.width], f.row(float32(row[f.feature])))
	}
}

// block scores up to 64 rows.
func (p *vectorProgram) block(f *Forest, s *vectorScratch, dst, rows []float64) {
	p.quantiseBlock(f, s, rows)
	for i := range s.sums {
		s.sums[i] = p.base[i/blockRows]
	}
	for first := 0; first < len(p.batch); first += treesPerCall {
		n := min(treesPerCall, len(p.batch)-first)
		addTreesAVX512(&s.sums[0], &s.columns[0], &s.masks[0], &p.batch[first], n)
	}
	for i := range dst {
		r, g := i/f.NumGroup, i%f.NumGroup
		dst[i] = float64(s.sums[g*blockRows+sumIndex(r)])
	}
}

// sumIndex returns where addTreesAVX512 keeps the sum of a row: unpacking bytes to float32 leaves rows
// that are four apart side by side.
func sumIndex(row int) int { return row>>2&3*16 + row>>4*4 + row&3 }

func (p *vectorProgram) quantiseBlock(f *Forest, s *vectorScratch, rows []float64) {
	c, n := p.columns, len(rows)/f.NumFeature
	for i := range c.ranked {
		r, ranks := &c.ranked[i], s.ranks[i*blockRows:(i+1)*blockRows]
		if r.thresholds.count <= maxTabled {
			rankColumnAVX512(&ranks[0], &rows[r.feature], f.NumFeature*8, n, &p.tables[i])
		} else {
			for k := range n {
				ranks[k] = r.rank16(rows[k*f.NumFeature+r.feature])
			}
		}
		for _, col := range r.columns {
			columnAVX512(&s.columns[col.column*blockRows], &ranks[0], uint16(col.below), col.missing)
		}
	}
	for i := range c.categorical {
		cat := &c.categorical[i]
		for k := range n {
			for j, b := range cat.row(float32(rows[k*f.NumFeature+cat.feature])) {
				s.columns[(cat.first+j)*blockRows+k] = b
			}
		}
	}
}

// rank16 returns the rank of x, or missingRank.
func (r *rankedFeature) rank16(x float64) uint16 {
	if x != x {
		return missingRank
	}
	return uint16(r.thresholds.rank(orderedKey(float32(x))))
}

// addTreesAVX512 adds the leaves of n trees, a multiple of treesPerStep, to the sums of 64 rows.
//
//go:noescape
func addTreesAVX512(sums *float32, columns *byte, masks *uint64, trees *vectorTree, n int)

// addRowAVX512 writes the leaves of n > 0 trees for one row of maxPermuted bytes, and returns sum plus each of them.
//
//go:noescape
func addRowAVX512(leaves *float32, blocks *treeBlock[uint8], n int, row *byte, sum float32) float32

// rankColumnAVX512 writes the ranks of n > 0 values that are rowBytes apart.
//
//go:noescape
func rankColumnAVX512(ranks *uint16, rows *float64, rowBytes, n int, table *rankTable)

// rankRowAVX512 writes the ranks of n > 0 features of one row, each in its own table.
//
//go:noescape
func rankRowAVX512(ranks *uint16, row *float64, features *int, n int, tables *rankTable)

// columnAVX512 writes 64 ranks as bytes.
//
//go:noescape
func columnAVX512(column *byte, ranks *uint16, below uint16, missing uint8)

// expandAVX512 writes n > 0 times 32 columns of one row whose maxExpanded ranks are side by side.
//
//go:noescape
func expandAVX512(row *byte, ranks *uint16, blocks *expandBlock, n int)
