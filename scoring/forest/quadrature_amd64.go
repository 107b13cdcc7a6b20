//go:build amd64 && !purego

package forest

import (
	"sync"
	"unsafe"
)

const (
	// groupRows is how many rows a register holds a number of each.
	groupRows = 8
	// maxBlockBytes bounds the inputs and contributions of a block of rows, save where 8 rows take more.
	maxBlockBytes = 1 << 20
	// stepsPerCall and splitsPerCall bound a call in assembly, which nothing can interrupt.
	stepsPerCall, splitsPerCall = 128, 1 << 12
	// vectorSplitBytes is what a split takes beyond the tables; a part has two steps, but more than one split
	// save in odd trees.
	vectorSplitBytes = int(unsafe.Sizeof(splitTest{}) + unsafe.Sizeof(pathOp{}) + 2*unsafe.Sizeof(pathStep{}))
)

// A vectorQuadrature computes what [quadrature] does for 8 rows at a time, one in each lane of a register: the
// same operations, in the same order. What differs between rows is the way they take at a split,
// which becomes a mask. A single row takes a register of its own, which pays even so.
type vectorQuadrature struct {
	inputs []pathInput
	// numbers has the number of each input, by [pathInput.index].
	numbers []int32
	trees   []vectorPaths
	// order has the trees with splits, by group and then as in the forest.
	order []int
	// groups is how many groups of 8 rows make a block.
	groups int
	// stateBytes is the room for the states of any tree.
	stateBytes uint32
	scratch    sync.Pool // of *vectorQuadratureScratch
}

// vectorPaths is a tree.
type vectorPaths struct {
	tests []splitTest
	// categorical and odd are the splits of those kinds.
	categorical, odd []int32
	ops              []pathOp
	steps            []pathStep
}

// vectorQuadratureScratch is the memory of one call. All parts but factors begin at multiples of 64 bytes.
type vectorQuadratureScratch struct {
	inputs  []float64 // by input, then row
	ways    ways
	states  []float64 // by state, point and row, of 8 rows
	parts   []float64 // by split, what 8 rows' feature gets there
	phi     []float64 // by group of 8 rows, feature and row
	factors []factors // per split, if some tree's are not kept
}

// vectorCallBytes returns the most memory of a vectorQuadratureScratch, without factors.
func vectorCallBytes(splits, features int) int {
	const states = firstState + MaxDepth*2*partSplits*stateBytes
	block := max(maxBlockBytes, groupRows*8*features*(1+numInputs))
	return splits*groupRows*8 + states + block
}

// newVectorQuadrature returns one that has no trees yet, or nil if this CPU cannot run it.
func newVectorQuadrature(f *Forest) *vectorQuadrature {
	if !hasAVX512() {
		return nil
	}
	v := &vectorQuadrature{numbers: make([]int32, f.NumFeature*numInputs), trees: make([]vectorPaths, len(f.Trees))}
	f.eachSplit(func(_ *Tree, n *Node) {
		in := inputOf(n)
		if number := &v.numbers[in.index()]; *number == 0 {
			v.inputs = append(v.inputs, in)
			*number = int32(len(v.inputs)) // from 1 on, so that 0 stands for none
		}
	})
	v.groups = min(max(1, maxBlockBytes/(groupRows*8*(f.NumFeature+len(v.inputs)))), blockRows/groupRows)
	for _, i := range treesByGroup(f) {
		if len(f.Trees[i].Nodes) > 1 {
			v.order = append(v.order, i)
		}
	}
	return v
}

// place adds tree i, and gives the places of its splits' factors to its table.
func (v *vectorQuadrature) place(f *Forest, i int, tab *table) {
	if v == nil || len(tab.splits) == 0 {
		return
	}
	t, parts := &f.Trees[i], newPartition(&f.Trees[i], tab)
	v.stateBytes = max(v.stateBytes, parts.stateBytes)
	p := vectorPaths{ops: parts.ops, steps: parts.steps, tests: make([]splitTest, len(tab.splits))}
	for place := range p.ops {
		tab.splits[p.ops[place].split].place = uint32(place)
	}
	for k := range p.tests {
		n := &t.Nodes[tab.splits[k].node]
		test, kind := newSplitTest(f, t, n)
		test.input = uint32(v.numbers[inputOf(n).index()]-1) * uint32(v.groups*groupRows*8)
		switch p.tests[k] = test; kind {
		case byCategory:
			p.categorical = append(p.categorical, int32(k))
		case byRow:
			p.odd = append(p.odd, int32(k))
		case byNumber:
		}
	}
	v.trees[i] = p
}

// finish makes it ready for use. The largest tree has so many splits, and the largest one whose factors are
// not kept so many.
func (v *vectorQuadrature) finish(f *Forest, largest, computed int) {
	if v == nil {
		return
	}
	v.numbers = nil
	rows, inputs, states, features := v.groups*groupRows, max(1, len(v.inputs)), int(v.stateBytes/8), f.NumFeature
	v.scratch.New = func() any {
		return &vectorQuadratureScratch{
			inputs:  alignedSlice[float64](inputs * rows),
			ways:    newWays(largest),
			states:  alignedSlice[float64](states),
			parts:   alignedSlice[float64](largest * groupRows),
			phi:     alignedSlice[float64](features * rows),
			factors: make([]factors, computed),
		}
	}
}

func (v *vectorQuadrature) explain(f *Forest, tables []table, dst, rows []float64) {
	s := v.scratch.Get().(*vectorQuadratureScratch)
	defer v.scratch.Put(s)
	n, width, block := len(rows)/f.NumFeature, f.NumGroup*(f.NumFeature+1), v.groups*groupRows
	for first := 0; first < n; first += block {
		last := min(first+block, n)
		v.explainBlock(f, tables, s, dst[first*width:last*width], rows[first*f.NumFeature:last*f.NumFeature])
	}
}

func (v *vectorQuadrature) explainBlock(f *Forest, tables []table, s *vectorQuadratureScratch, dst, rows []float64) {
	n, width, stride := len(rows)/f.NumFeature, f.NumFeature+1, f.NumGroup*(f.NumFeature+1)
	groups := (n + groupRows - 1) / groupRows
	v.setInputs(f, s, rows)
	for first := 0; first < len(v.order); {
		group := f.Trees[v.order[first]].Group
		clear(s.phi[:groups*groupRows*f.NumFeature])
		for first < len(v.order) && f.Trees[v.order[first]].Group == group {
			t, tab, p := &f.Trees[v.order[first]], &tables[v.order[first]], &v.trees[v.order[first]]
			p.setRights(f, t, tab, s, groups, rows)
			s.ways.follow(tab.splits)
			for r := range tab.rules {
				p.add(f, tab, r, s, groups)
			}
			first++
		}
		for r := range n {
			phi, from := dst[r*stride+group*width:][:f.NumFeature], s.phi[r/groupRows*groupRows*f.NumFeature+r%groupRows:]
			for i := range phi {
				phi[i] = from[i*groupRows] // it was 0
			}
		}
	}
}

// setRights finds the ways of the rows at the tree's splits.
func (p *vectorPaths) setRights(f *Forest, t *Tree, tab *table, s *vectorQuadratureScratch, groups int, rows []float64) {
	for first := 0; first < len(p.tests); first += splitsPerCall {
		count := min(splitsPerCall, len(p.tests)-first)
		findRightsAVX512(&s.ways.right[first], &p.tests[first], count, &s.inputs[0], groups)
	}
	n := len(rows) / f.NumFeature
	for _, k := range p.categorical {
		test := &p.tests[k]
		s.ways.right[k] = test.right(s.inputs[test.input/8:][:n])
	}
	for _, k := range p.odd {
		s.ways.right[k] = tab.right(f, t, int(k), rows)
	}
}

// add adds what the tree contributes at the points of one rule.
func (p *vectorPaths) add(f *Forest, tab *table, rule int, s *vectorQuadratureScratch, groups int) {
	factors, weights := tab.factorsOf(rule, s.factors), tab.rules[rule].weights
	for point, w := range [...]float64{weights.a, weights.b, weights.c, weights.d} {
		for lane := range groupRows {
			s.states[point*groupRows+lane] = w
		}
	}
	for g := range groups {
		// The group's bits are a byte of each mask.
		satisfied := (*uint8)(unsafe.Add(unsafe.Pointer(&s.ways.satisfied[0]), g))
		for first := 0; first < len(p.steps); first += stepsPerCall {
			n := min(stepsPerCall, len(p.steps)-first)
			walkAVX512(&s.parts[0], &s.states[0], satisfied, &factors[0], &p.ops[0], &p.steps[first], n)
		}
		phi := &s.phi[g*groupRows*f.NumFeature]
		for last := len(p.tests); last > 0; last -= splitsPerCall {
			first := max(0, last-splitsPerCall)
			addPartsAVX512(phi, &s.parts[first*groupRows], &p.tests[first], last-first)
		}
	}
}

// The functions of quadrature_amd64.s rely on the sizes and places of the types that they name, and on what
// newPartition and setTests make: ops, states, edges and inputs exist.

// findRightsAVX512 sets bytes 0 to groups-1 of each of n > 0 rights: a bit for each row that goes right.
//
//go:noescape
func findRightsAVX512(rights *uint64, tests *splitTest, n int, inputs *float64, groups int)

// walkAVX512 takes n > 0 steps for 8 rows. It sets the parts of the splits whose steps go up.
//
//go:noescape
func walkAVX512(parts, states *float64, satisfied *uint8, factors *factors, ops *pathOp, steps *pathStep, n int)

// addPartsAVX512 adds the parts of n > 0 splits, the last one first, to their features' phi.
//
//go:noescape
func addPartsAVX512(phi, parts *float64, tests *splitTest, n int)
