package forest

import (
	"maps"
	"math"
	"slices"
)

// categories are those of a feature that some set has. Every other category is like the next, and so is every missing
// value: each category has one of a few places.
type categories struct {
	feature int
	// narrow and zero are those of columns and of a rankedFeature.
	narrow, zero bool
	codes        sortedKeys
}

// newCategories returns those of the codes, which it sorts.
func newCategories(of rankedAs, narrow bool, codes []uint64) categories {
	slices.Sort(codes)
	return categories{of.feature(), narrow, of.zero(), newSortedKeys(slices.Compact(codes))}
}

// places is how many places there are: one for each code, then for any other category, then for a missing value.
func (c *categories) places() int { return c.codes.count + 2 }

// place returns a value's place, by the rules of [contains].
func (c *categories) place(x float64) int {
	other, missing := c.places()-2, c.places()-1
	if x = splitValue(x, c.narrow, c.zero); !c.narrow {
		x = math.Trunc(x)
	}
	switch {
	case x != x:
		return missing
	case x >= 0 && x <= MaxCategory:
		if i := c.codes.rank(uint64(x)) - 1; i >= 0 && c.codes.keys[i] == uint64(x) {
			return i
		}
	}
	return other
}

// maxMaskBytes bounds the masks of a forest's categorical features.
const maxMaskBytes = 16 << 20

// categoryMasks answer all splits on one feature at once: its category picks, for each tree, a mask of the splits at which
// the row goes right. Where a forest has many sets, that is a load for each tree, and columns were a byte for each set.
type categoryMasks struct {
	categories
	// masks are by place, then by tree.
	masks []uint64
	trees int
}

// A placedSplit is a split with the mask, and the bit of it, that its outcome is.
type placedSplit struct {
	tree      *Tree
	node      *Node
	mask, bit int
}

// newCategoryMasks returns the masks of the splits on categories, so many for each category, and whether they are within
// maxMaskBytes.
func newCategoryMasks(f *Forest, splits []placedSplit, trees int) ([]categoryMasks, bool) {
	codes := make(map[rankedAs][]uint64)
	for _, s := range splits {
		if s.node.Set >= 0 {
			of := codes[s.node.rankedAs()]
			for _, code := range s.tree.Sets[s.node.Set] {
				of = append(of, uint64(code))
			}
			codes[s.node.rankedAs()] = of
		}
	}
	features, size := make(map[rankedAs]*categoryMasks, len(codes)), 0
	all := make([]categoryMasks, 0, len(codes))
	for _, of := range slices.Sorted(maps.Keys(codes)) {
		m := categoryMasks{categories: newCategories(of, !f.Wide, codes[of]), trees: trees}
		if size += m.places() * trees * 8; size > maxMaskBytes {
			return nil, false
		}
		m.masks = make([]uint64, m.places()*trees)
		all = append(all, m)
		features[of] = &all[len(all)-1]
	}
	for _, s := range splits {
		if s.node.Set >= 0 {
			features[s.node.rankedAs()].add(s)
		}
	}
	return all, true
}

// add adds a split to the masks of the categories that go right at it.
func (m *categoryMasks) add(s placedSplit) {
	for _, code := range s.tree.Sets[s.node.Set] {
		m.masks[(m.codes.rank(uint64(code))-1)*m.trees+s.mask] |= 1 << s.bit
	}
	if s.tree.missingRight(s.node) {
		m.masks[(m.places()-1)*m.trees+s.mask] |= 1 << s.bit
	}
}

// of returns the masks of a place.
func (m *categoryMasks) of(place int) []uint64 { return m.masks[place*m.trees:][:m.trees] }
