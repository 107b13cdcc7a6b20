//go:build amd64 && !purego

package forest

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// hasAVX512 reports whether this CPU and its operating system can run the functions in assembly.
func hasAVX512() bool {
	return cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL &&
		cpu.X86.HasAVX512VBMI && cpu.X86.HasBMI1 && cpu.X86.HasPOPCNT
}

const (
	// minVectorRows is the fewest rows that a block of 64 scores faster than one by one.
	minVectorRows = 20
	// maxScattered is how many bytes a tree, written one by one, a block of rows is worth: a tree takes a single row 4 ns
	// or more by masks, and a byte half a nanosecond.
	maxScattered = 8
	// treesPerCall bounds how long a call in assembly, which nothing can interrupt, delays the collector.
	treesPerCall = 512
	// halfPermuted is how many columns two registers hold; a single row of no more takes fewer instructions.
	halfPermuted = 128
)

// A vectorProgram scores blocks of 64 rows, or single rows, by AVX-512.
type vectorProgram[V number] struct {
	base      []V // the forest's
	quantiser vectorQuantiser
	// batch and single are nil where the trees are too large for them, or columns too many.
	batch  vectorBatch[V]
	single vectorSingle[V]
	// rows quantises single rows, and masks are those of their categories where these have no columns.
	rows  *vectorQuantiser
	masks []categoryMasks
	// groups has the group of each tree, or is nil if all are 0.
	groups  []int32
	scratch sync.Pool // of *vectorScratch[V]
}

// A vectorBatch adds the leaves of 64 rows to their sums, from their columns.
type vectorBatch[V number] interface{ addBlock(s *vectorScratch[V]) }

// A vectorSingle writes the leaves of a single row, and returns sum plus each of them in tree order.
type vectorSingle[V number] interface {
	addRow(s *vectorScratch[V], sum V) V
}

// vectorScratch is the memory of one call. All parts begin at multiples of 64 bytes.
type vectorScratch[V number] struct {
	ranks   []uint16 // per ranked feature, of 64 rows; of a single row, side by side
	columns []byte   // per column, of 64 rows; also a single row's bytes
	masks   []uint64 // what the functions in assembly keep
	sums    []V      // per group, of 64 rows in the order of sumIndex; of a single row, per group
	leaves  []V      // of a single row, per tree and one that pads
	rights  []uint64 // of a single row, per mask
}

// rightsFrom returns where those of the trees from first on are; nil if there are none.
func (s *vectorScratch[V]) rightsFrom(first int) *uint64 {
	if len(s.rights) == 0 {
		return nil
	}
	return &s.rights[first]
}

// newVectorProgram returns f's program, or nil if a feature has too many thresholds to hold a rank in 16 bits.
func newVectorProgram[V number](f *Forest, tests *nodeTests) *vectorProgram[V] {
	c := tests.columns
	for i := range c.ranked {
		if c.ranked[i].thresholds.count >= missingRank {
			return nil
		}
	}
	p := &vectorProgram[V]{base: numbers[V](f.Base), quantiser: newVectorQuantiser(c)}
	deepest, splits := 0, 0
	depth := make([]int, len(f.Trees))
	for i := range f.Trees {
		depth[i] = f.Trees[i].depth()
		deepest = max(deepest, depth[i])
		splits += len(f.Trees[i].Nodes) / 2
		p.groups = append(p.groups, int32(f.Trees[i].Group))
	}
	if f.NumGroup == 1 {
		p.groups = nil
	}
	switch mean := splits / max(1, len(f.Trees)); {
	case tests.sets == nil: // masks are of one row
	case deepest <= blockDepth && mean > leafwiseSplits:
		p.batch = newVectorTrees[V](f, tests)
	case mean <= streamedSplits || !fitsTall(f, depth):
		p.batch = newLeafwiseForest[V](f, tests)
	}
	p.setSingle(f, tests, deepest <= blockDepth)
	if p.masks != nil && p.quantiser.scattered() > maxScattered*len(f.Trees) {
		p.batch = nil
	}
	groups, trees, ranks, count, masks := f.NumGroup, len(f.Trees), len(c.ranked), c.count, 0
	if len(p.masks) > 0 {
		masks = p.masks[0].trees
	}
	p.scratch.New = func() any {
		return &vectorScratch[V]{
			ranks:   alignedSlice[uint16](max(1, ranks) * blockRows),
			columns: alignedSlice[byte](max(4, count) * blockRows),
			masks:   alignedSlice[uint64](maskWords),
			sums:    alignedSlice[V](groups * blockRows),
			leaves:  alignedSlice[V](trees + 1),
			rights:  make([]uint64, masks),
		}
	}
	return p
}

// A rowSize is how single rows are held: in two registers, in four, or in four for the numbers and in masks for categories.
type rowSize int

const (
	halfRow rowSize = iota
	longRow
	maskedRow
)

// setSingle chooses how single rows are scored, if they can be.
func (p *vectorProgram[V]) setSingle(f *Forest, tests *nodeTests, shallow bool) {
	p.rows = &p.quantiser
	size := halfRow
	switch {
	case tests.sets == nil:
		size = maskedRow
	case tests.columns.count > maxPermuted:
		size = maskedRow
		if len(tests.columns.categorical) == 0 {
			return
		}
		numeric, err := newNumericTests(f)
		if err != nil {
			return
		}
		tests = numeric
	case tests.columns.count > halfPermuted:
		size = longRow
	}
	if tests.columns.count > maxPermuted {
		return
	}
	single, splits, count := newSingle[V](f, tests, size, shallow)
	if single == nil {
		return
	}
	if size == maskedRow {
		masks, ok := newCategoryMasks(f, splits, count)
		if !ok {
			return
		}
		rows := newVectorQuantiser(tests.columns)
		p.rows, p.masks = &rows, masks
	}
	p.single = single
}

// newSingle returns f's trees for rows of the size, nil if they are too large, and their splits with so many masks.
func newSingle[V number](f *Forest, tests *nodeTests, size rowSize, shallow bool) (single vectorSingle[V], splits []placedSplit, masks int) {
	if shallow {
		return newPermutedBlocks[V](f, tests, size), blockSplits(f.Trees), len(f.Trees)
	}
	single, splits = newMatchedForest[V](f, tests, size)
	return single, splits, (len(f.Trees) + 1) / 2
}

// complete reports whether marginsTo scores any number of rows.
func (p *vectorProgram[V]) complete() bool { return p.single != nil }

// batches reports whether marginsTo scores full blocks of rows.
func (p *vectorProgram[V]) batches() bool { return p.batch != nil }

// marginsTo scores the first rows, as many as it is made for, and returns how many those are.
func (p *vectorProgram[V]) marginsTo(f *Forest, dst, rows []float64) int {
	s := p.scratch.Get().(*vectorScratch[V])
	defer p.scratch.Put(s)
	n := len(rows) / f.NumFeature
	for first := 0; first < n; {
		count := min(blockRows, n-first)
		if p.batch == nil || count < minVectorRows {
			count = 1
		}
		if count == 1 && p.single == nil {
			return first
		}
		out, in := dst[first*f.NumGroup:(first+count)*f.NumGroup], rows[first*f.NumFeature:(first+count)*f.NumFeature]
		if count == 1 {
			p.row(f, s, out, in)
		} else {
			p.block(f, s, out, in)
		}
		first += count
	}
	return n
}

// quantiseRow writes the bytes of one row to dst, a multiple of 64 bytes. See [vectorQuantiser.quantiseRow].
func (p *vectorProgram[V]) quantiseRow(dst []byte, ranks []uint16, row []float64) {
	p.quantiser.quantiseRow(dst, ranks, row)
}

// row scores one row.
func (p *vectorProgram[V]) row(f *Forest, s *vectorScratch[V], dst, row []float64) {
	p.rows.quantiseRow(s.columns, s.ranks, row)
	for k := range p.masks {
		m := &p.masks[k]
		masks := m.of(m.place(row[m.feature]))
		if k == 0 {
			copy(s.rights, masks)
			continue
		}
		for i, mask := range masks {
			s.rights[i] |= mask
		}
	}
	sum := p.single.addRow(s, p.base[0])
	if f.NumGroup == 1 {
		dst[0] = float64(sum)
		return
	}
	copy(s.sums, p.base)
	for i, group := range p.groups {
		s.sums[group] += s.leaves[i]
	}
	for g := range dst {
		dst[g] = float64(s.sums[g])
	}
}

// block scores up to 64 rows.
func (p *vectorProgram[V]) block(f *Forest, s *vectorScratch[V], dst, rows []float64) {
	p.quantiser.quantiseBlock(s.columns, s.ranks, rows, f.NumFeature)
	for i := range s.sums {
		s.sums[i] = p.base[i/blockRows]
	}
	p.batch.addBlock(s)
	for i := range dst {
		r, g := i/f.NumGroup, i%f.NumGroup
		dst[i] = float64(s.sums[g*blockRows+sumIndex[V](r)])
	}
}

// sumIndex returns where the sum of a row is kept: unpacking bytes to float32 leaves rows that are four
// apart side by side, and to float64 rows that are two apart.
func sumIndex[V number](row int) int {
	if unsafe.Sizeof(V(0)) == 8 {
		return row>>1&7*8 + row>>4*2 + row&1
	}
	return row>>2&3*16 + row>>4*4 + row&3
}
