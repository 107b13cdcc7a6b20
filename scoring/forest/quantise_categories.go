package forest

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
)

const (
	// maxCategoryBytes bounds the tables of all categorical features.
	maxCategoryBytes = 16 << 20
	// maxChain is how many sets one byte tells apart.
	maxChain = neverRight
	// maxTried bounds the chains that a set is compared with, for models of many thousands of sets.
	maxTried = 1024
)

// A categorySet is what goes right at a split on a category.
type categorySet struct {
	of           rankedAs
	missingRight bool
	codes        string // four bytes each, to be comparable
}

func (t *Tree) categorySet(n *Node) categorySet {
	set := t.Sets[n.Set]
	codes := make([]byte, 0, 4*len(set))
	for _, code := range set {
		codes = binary.LittleEndian.AppendUint32(codes, code)
	}
	return categorySet{n.rankedAs(), t.missingRight(n), string(codes)}
}

// missingRight says whether a missing value goes right at a split on a category.
func (t *Tree) missingRight(n *Node) bool {
	if n.Missing == MissingNone {
		return slices.Contains(t.Sets[n.Set], 0)
	}
	return !n.DefaultLeft
}

func (s categorySet) eachCode(visit func(code uint64)) {
	for codes := []byte(s.codes); len(codes) > 0; codes = codes[4:] {
		visit(uint64(binary.LittleEndian.Uint32(codes)))
	}
}

// compare orders sets: by no map, so that a model has the same columns in every process.
func (s categorySet) compare(t categorySet) int {
	switch {
	case s.missingRight == t.missingRight:
		return strings.Compare(s.codes, t.codes)
	case t.missingRight:
		return -1
	}
	return 1
}

// addCategorical adds the columns that sets need, those of one feature side by side, and writes their tests to sets.
func (c *columns) addCategorical(sets map[categorySet]nodeTest) error {
	byFeature := make(map[rankedAs][]categorySet)
	for s := range sets {
		byFeature[s.of] = append(byFeature[s.of], s)
	}
	size := 0
	for _, of := range slices.Sorted(maps.Keys(byFeature)) {
		var codes []uint64
		for _, s := range byFeature[of] {
			s.eachCode(func(code uint64) { codes = append(codes, code) })
		}
		f := categoricalFeature{categories: newCategories(of, c.narrow, codes), first: c.count}
		if f.places()*len(byFeature[of])/8 > maxCategoryBytes { // what making chains takes
			return fmt.Errorf("its category sets take more than %d bytes", maxCategoryBytes)
		}
		chains := newSetChains(&f, byFeature[of])
		f.width = len(chains)
		if size += f.places() * f.width; size > maxCategoryBytes {
			return fmt.Errorf("its category sets take a table of more than %d bytes", maxCategoryBytes)
		}
		f.bytes = make([]byte, f.places()*f.width)
		for i, chain := range chains {
			chain.place(&f, i, sets)
		}
		c.categorical = append(c.categorical, f)
		c.count += f.width
	}
	return nil
}

// A setChain is sets of one feature each of which holds the one before it. One column serves all of them: its byte is how
// many of them hold the row's category, and the k-th from the largest does if the byte exceeds k. Libraries make sets
// by sorting categories by their gradients and cutting, so that many sets lie in one another: chains are a quarter
// of the sets or less.
type setChain []memberSet

func (s setChain) last() *memberSet { return &s[len(s)-1] }

// A memberSet is a set with its places in a feature's table as bits.
type memberSet struct {
	categorySet
	places []uint64
	count  int
}

// newSetChains covers a feature's sets by chains, each set in the chain that ends with the largest set within it.
func newSetChains(f *categoricalFeature, sets []categorySet) []setChain {
	members := make([]memberSet, len(sets))
	for i, s := range sets {
		members[i] = newMemberSet(f, s)
	}
	slices.SortFunc(members, func(a, b memberSet) int {
		return cmp.Or(cmp.Compare(a.count, b.count), a.compare(b.categorySet))
	})
	var chains []setChain
	for _, m := range members {
		best := -1
		for i := max(0, len(chains)-maxTried); i < len(chains); i++ {
			last := chains[i].last()
			if len(chains[i]) < maxChain && (best < 0 || last.count > chains[best].last().count) && last.within(&m) {
				best = i
			}
		}
		if best < 0 {
			chains = append(chains, setChain{m})
			continue
		}
		chains[best] = append(chains[best], m)
	}
	return chains
}

func newMemberSet(f *categoricalFeature, s categorySet) memberSet {
	m := memberSet{categorySet: s, places: make([]uint64, (f.places()+63)/64)}
	s.eachCode(func(code uint64) {
		at := f.codes.rank(code) - 1
		m.places[at/64] |= 1 << (at % 64)
	})
	if missing := f.places() - 1; s.missingRight {
		m.places[missing/64] |= 1 << (missing % 64)
	}
	for _, word := range m.places {
		m.count += bits.OnesCount64(word)
	}
	return m
}

func (m *memberSet) within(other *memberSet) bool {
	for i, word := range m.places {
		if word&^other.places[i] != 0 {
			return false
		}
	}
	return true
}

// place writes the chain's column of a feature, and the tests of its sets.
func (s setChain) place(f *categoricalFeature, column int, tests map[categorySet]nodeTest) {
	for k, m := range s {
		for at := range f.places() {
			f.bytes[at*f.width+column] += byte(m.places[at/64] >> (at % 64) & 1)
		}
		tests[m.categorySet] = nodeTest{column: uint16(f.first + column), threshold: uint8(len(s) - 1 - k)}
	}
}
