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
)

// A vectorProgram scores blocks of 64 rows, or single rows, by AVX-512.
type vectorProgram[V number] struct {
	base      []V // the forest's
	quantiser vectorQuantiser
	// batch and single are nil where the trees are too large for them, or columns too many.
	batch  vectorBatch[V]
	single *singleRows[V]
	// groups has the group of each tree, or is nil if all are 0.
	groups  []int32
	scratch sync.Pool // of *vectorScratch[V]
}

// A vectorBatch adds the leaves of 64 rows to their sums, from their columns.
type vectorBatch[V number] interface{ addBlock(s *vectorScratch[V]) }

// vectorScratch is the memory of one call. All parts begin at multiples of 64 bytes.
type vectorScratch[V number] struct {
	ranks   []uint16 // per ranked feature, of 64 rows; of a single row, side by side
	columns []byte   // per column, of 64 rows; also a single row's bytes
	masks   []uint64 // what the functions in assembly keep
	sums    []V      // per group, of 64 rows in the order of sumIndex; of a single row, per group
	leaves  []V      // of a single row, per tree and those that pad
	// outcomes are those of a single row, by word.
	outcomes []uint64
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
	p.single = newSingleRows[V](f, tests, &p.quantiser, deepest <= blockDepth)
	if p.single != nil && p.single.masks != nil && p.quantiser.scattered() > maxScattered*len(f.Trees) {
		p.batch = nil
	}
	groups, words, ranks, count := f.NumGroup, 0, len(c.ranked), c.count
	if p.single != nil {
		words = len(p.single.words)
	}
	p.scratch.New = func() any {
		return &vectorScratch[V]{
			ranks:   alignedSlice[uint16](max(1, ranks) * blockRows),
			columns: alignedSlice[byte](max(4, count) * blockRows),
			masks:   alignedSlice[uint64](maskWords),
			sums:    alignedSlice[V](groups * blockRows),
			leaves:  alignedSlice[V](2 * words), // of as many trees as a word may have

			outcomes: alignedSlice[uint64](words),
		}
	}
	return p
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
	sum := p.single.addRow(s, row, p.base[0])
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
