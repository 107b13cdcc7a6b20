package forest

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"
)

// Kernel names a way to compute margins and contributions. All give the same bits.
type Kernel string

// The kernels.
const (
	// KernelReference follows the pointers of every tree.
	KernelReference Kernel = "reference"
	// KernelGo quantises rows and walks trees without branches, on any CPU.
	KernelGo Kernel = "go"
	// KernelAVX512 does so for many trees or rows at a time, on CPUs with AVX-512 and VBMI.
	KernelAVX512 Kernel = "avx512"
)

// Kernels returns the kernels that this CPU and build have, the fastest last.
func Kernels() []Kernel {
	if hasAVX512() {
		return []Kernel{KernelReference, KernelGo, KernelAVX512}
	}
	return []Kernel{KernelReference, KernelGo}
}

// WithKernel returns a forest that differs from f in its kernel only, for comparisons; [New] has chosen
// the fastest one already, which "" stands for. It fails for an unknown kernel, one that this CPU has not,
// and a forest whose rows cannot be quantised: one that takes too many columns, or has linear leaves.
// KernelAVX512 walks the trees that are too large for its registers as KernelGo does, and KernelReference and
// KernelGo compute contributions in Go, too. The two forests share what does not depend on the kernel.
func (f *Forest) WithKernel(k Kernel) (*Forest, error) {
	g := *f
	g.program, g.scalar = nil, k != "" && k != KernelAVX512
	switch k {
	case KernelReference:
		return &g, nil
	case "", KernelGo, KernelAVX512:
	default:
		return nil, fmt.Errorf("forest: unknown kernel %q; there are %q, %q and %q", k, KernelReference, KernelGo, KernelAVX512)
	}
	if k == KernelAVX512 && !hasAVX512() {
		return nil, fmt.Errorf("forest: kernel %q: this CPU or build has no AVX-512 with VBMI", k)
	}
	tests, err := newNodeTests(f)
	switch {
	case k == "":
		g.program = fastest(f, tests)
	case err == nil:
		g.program = compile(f, tests, k == KernelAVX512, false)
	case k == KernelAVX512:
		g.program = withMasks(f)
	}
	if g.program == nil && k != "" {
		return nil, fmt.Errorf("forest: kernel %q: %w", k, err)
	}
	return &g, nil
}

// Kernel returns the kernel that computes f's margins.
func (f *Forest) Kernel() Kernel {
	if f.program == nil {
		return KernelReference
	}
	return f.program.kernel()
}

// A program is a forest compiled to quantised rows.
type program interface {
	kernel() Kernel
	// batches reports whether blocks of rows are scored as vectors, which pays for any forest, and complete whether any
	// number of rows is.
	batches() bool
	complete() bool
	marginsTo(f *Forest, dst, rows []float64)
}

// A compiled forest is a program that adds leaves of V. It is immutable but for its pool.
type compiled[V number] struct {
	base     []V // the forest's
	columns  *columns
	segments []segment[V]
	// vector, if it is not nil, does in place of columns and segments what it can; there are no segments if
	// that is all.
	vector *vectorProgram[V]
	// walk says that the reference walk scores what vector leaves.
	walk    bool
	scratch sync.Pool // of *scratch[V]
}

// A segment is a run of consecutive trees of one layout, whose leaves it adds in tree order.
type segment[V number] interface {
	// addOne adds the leaves of the first row of s.rows to s.sums.
	addOne(s *scratch[V])
	// addBlock adds the leaves of the first n rows. It may go through up to narrowInterleave-1 rows more.
	addBlock(s *scratch[V], n int)
}

// scratch is the memory of one call.
type scratch[V number] struct {
	stride, groups int
	// rows holds blockRows quantised rows; it starts at a multiple of 64 bytes.
	rows []byte
	// ranks is what vectorProgram.quantiseRow keeps; it starts like rows.
	ranks []uint16
	// sums holds the margins of each row.
	sums []V
}

// minRun is the fewest consecutive shallow trees that are worth a segment between deep ones.
const minRun = 8

// fastest returns the best program for f on this CPU, or nil if the reference walk is best, as it is where
// rows cannot be quantised and tests are nil.
func fastest(f *Forest, tests *nodeTests) program {
	if tests == nil {
		return withMasks(f)
	}
	walk := !pays(f, tests.columns)
	p := compile(f, tests, hasAVX512(), walk)
	if walk && !p.batches() {
		return nil
	}
	return p
}

// withMasks returns the program for a forest whose categories would take too many columns: it scores row by row. It is nil
// where masks would be too many, too, where this CPU has no assembly, and for linear leaves.
func withMasks(f *Forest) program {
	if !hasAVX512() {
		return nil
	}
	tests := numericTests(f, nil)
	if tests == nil {
		return nil
	}
	if p := compile(f, tests, true, true); p.complete() {
		return p
	}
	return nil
}

func compile(f *Forest, tests *nodeTests, vector, walk bool) program {
	if f.Wide {
		return newCompiled[float64](f, tests, vector, walk)
	}
	return newCompiled[float32](f, tests, vector, walk)
}

func newCompiled[V number](f *Forest, tests *nodeTests, vector, walk bool) *compiled[V] {
	c := tests.columns
	p := &compiled[V]{base: numbers[V](f.Base), columns: c, walk: walk}
	if vector {
		p.vector = newVectorProgram[V](f, tests)
	}
	switch {
	case walk || p.complete():
	case c.count <= 1<<8:
		p.segments = newSegments[uint8, V](f, tests)
	default:
		p.segments = newSegments[uint16, V](f, tests)
	}
	stride, groups, ranks := c.stride, f.NumGroup, len(c.ranked)+strideUnit
	p.scratch.New = func() any {
		return &scratch[V]{
			stride: stride, groups: groups,
			rows:  alignedSlice[byte](blockRows * stride),
			ranks: alignedSlice[uint16](ranks),
			sums:  make([]V, blockRows*groups),
		}
	}
	return p
}

// pays reports whether quantising a row costs less than the reference walk loses: a comparison there
// is a branch that is often mispredicted, which costs about as much as a feature's whole search.
func pays(f *Forest, c *columns) bool {
	splits := 0
	for i := range f.Trees {
		splits += f.Trees[i].depth()
	}
	return splits > len(c.ranked)+c.count/8
}

// newSegments cuts f's trees into runs of one layout.
func newSegments[ID columnID, V number](f *Forest, tests *nodeTests) (segments []segment[V]) {
	depth := make([]int, len(f.Trees))
	shallow := 0 // the depth of the deepest tree that fits a block
	for i := range f.Trees {
		if depth[i] = f.Trees[i].depth(); depth[i] <= blockDepth {
			shallow = max(shallow, depth[i])
		}
	}
	run := func(first int, fits bool) int {
		last := first
		for last < len(depth) && (depth[last] <= blockDepth) == fits {
			last++
		}
		return last
	}
	tall := fitsTall(f, depth)
	for first := 0; first < len(f.Trees); {
		last := run(first, true)
		if last-first >= minRun || last-first == len(f.Trees) {
			segments = append(segments, newBlockForest[ID, V](tests, f.Trees[first:last], shallow))
			first = last
			continue
		}
		for last < len(f.Trees) {
			last = run(last, false)
			end := run(last, true)
			if end-last >= minRun {
				break
			}
			last = end
		}
		if tall {
			segments = append(segments, newTallForest[ID, V](tests, f.Trees[first:last], slices.Max(depth)))
		} else {
			segments = append(segments, newNodeForest[V](tests, f.Trees[first:last]))
		}
		first = last
	}
	return segments
}

func (p *compiled[V]) kernel() Kernel {
	if p.vector == nil {
		return KernelGo
	}
	return KernelAVX512
}

func (p *compiled[V]) batches() bool { return p.vector != nil && p.vector.batches() }

func (p *compiled[V]) complete() bool { return p.vector != nil && p.vector.complete() }

func (p *compiled[V]) marginsTo(f *Forest, dst, rows []float64) {
	n, first := len(rows)/f.NumFeature, 0
	if p.vector != nil {
		if first = p.vector.marginsTo(f, dst, rows); first == n {
			return
		}
	}
	if p.walk {
		f.referenceMargins(dst[first*f.NumGroup:], rows[first*f.NumFeature:])
		return
	}
	s := p.scratch.Get().(*scratch[V])
	defer p.scratch.Put(s)
	for first < n {
		// Fewer rows than a batch interleaves are faster one by one.
		count := min(blockRows, n-first)
		if count < interleave {
			count = 1
		}
		p.addRows(f, s, rows[first*f.NumFeature:(first+count)*f.NumFeature], count)
		for i, sum := range s.sums[:count*f.NumGroup] {
			dst[first*f.NumGroup+i] = float64(sum)
		}
		first += count
	}
}

func (p *compiled[V]) addRows(f *Forest, s *scratch[V], rows []float64, count int) {
	for r := range count {
		copy(s.sums[r*f.NumGroup:], p.base)
		to, row := s.rows[r*s.stride:(r+1)*s.stride], rows[r*f.NumFeature:(r+1)*f.NumFeature]
		if p.vector != nil {
			p.vector.quantiseRow(to, s.ranks, row)
		} else {
			p.columns.quantise(to, row)
		}
	}
	for _, segment := range p.segments {
		if count == 1 {
			segment.addOne(s)
		} else {
			segment.addBlock(s, count)
		}
	}
}

// alignedSlice returns n values, the first at a multiple of strideUnit bytes.
func alignedSlice[T byte | uint16 | uint64 | number](n int) []T {
	var one T
	size := int(unsafe.Sizeof(one))
	all := make([]T, n+strideUnit/size)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(all)))) & (strideUnit - 1) / size
	return all[skip : skip+n : skip+n]
}
