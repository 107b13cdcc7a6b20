package forest

import (
	"math"
	"math/bits"
)

// A quantised row answers every split of a forest by one comparison of bytes: the row goes right at a
// split if the byte in the split's column exceeds the split's byte. See [columns.quantise].
//
// A feature's byte is the rank of its value among the thresholds that the forest tests it against, so
// that equal ranks take equal ways at every split. A byte tells 256 ranks apart: a feature of more than
// 255 thresholds has several chunks of 255, each with its own rank. Missing values cost nothing: where
// the splits on a chunk differ in what they do with NaN, it has a column for each: with 0 for a missing
// value that goes left, with 255 for one that goes right, and with the rank of 0 where NaN counts as 0.
// Category sets that lie in one another share a column, as thresholds do: see [setChain].
const (
	chunkThresholds = 255
	// neverRight is the byte of a split that no row goes right at.
	neverRight = 255
	// maxColumns bounds a quantised row; beyond it, a row's bytes no longer stay in the cache.
	maxColumns = 1 << 14
	// strideUnit divides a quantised row's length: the width of a vector register.
	strideUnit = 64
	// maxPermuted is how many columns of a single row the assembly holds in registers.
	maxPermuted = 256
	// maxPages is how many times 64 categories of a feature a block of rows is looked up in.
	maxPages = 4
)

// columns says how a row is quantised for one forest. It is immutable.
type columns struct {
	// count is the number of bytes in use; stride is count rounded up to strideUnit,
	// which it is at least.
	count, stride int
	// narrow says that a value is rounded to float32 first.
	narrow      bool
	ranked      []rankedFeature
	categorical []categoricalFeature
}

// A rankedFeature holds the thresholds of one feature, as keys, and the columns made of it.
type rankedFeature struct {
	feature int
	// zero says that what counts as zero is missing, as NaN is. A feature whose splits differ in that is
	// ranked twice.
	zero       bool
	thresholds sortedKeys
	columns    []rankColumn
}

// A rankColumn holds the rank in one chunk of thresholds.
type rankColumn struct {
	column int
	// below is the number of thresholds in the chunks below.
	below int
	// missing is the byte of a missing value.
	missing uint8
}

// A categoricalFeature holds the adjacent columns of one feature's chains of sets.
type categoricalFeature struct {
	categories
	// first is the first of width columns.
	first, width int
	// bytes has width bytes for each of the feature's places.
	bytes []byte
}

// quantise writes the count bytes of a row to dst. It leaves the padding up to stride alone.
func (c *columns) quantise(dst []byte, row []float64) {
	for i := range c.ranked {
		r := &c.ranked[i]
		x := splitValue(row[r.feature], c.narrow, r.zero)
		if x != x {
			for _, col := range r.columns {
				dst[col.column] = col.missing
			}
			continue
		}
		rank := r.thresholds.rank(orderedKey(x))
		for _, col := range r.columns {
			dst[col.column] = chunkRank(rank, col.below)
		}
	}
	for i := range c.categorical {
		f := &c.categorical[i]
		copy(dst[f.first:f.first+f.width], f.row(row[f.feature]))
	}
}

// splitValue returns what splits compare for a feature's value, NaN if it is missing.
func splitValue(x float64, narrow, zero bool) float64 {
	if narrow {
		x = float64(float32(x))
	}
	if zero && math.Abs(x) <= ZeroBound {
		return math.NaN()
	}
	return x
}

// chunkRank returns the rank in a chunk of one among all thresholds.
func chunkRank(rank, below int) uint8 { return uint8(min(max(rank-below, 0), chunkThresholds)) }

// row returns the bytes of a category.
func (f *categoricalFeature) row(x float64) []byte {
	at := f.place(x)
	return f.bytes[at*f.width : (at+1)*f.width]
}

// orderedKey returns an integer that compares as x does, infinities included, with 0 equal to -0. Save
// for a NaN, it and the next are less than the largest integer.
func orderedKey(x float64) uint64 {
	b := math.Float64bits(x + 0) // the addition turns -0 into 0
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// sortedKeys are ascending keys without repetition, made for a search without branches.
type sortedKeys struct {
	count int
	// step is the first step of the search: the number of keys, padding included, is 2*step - 1.
	step int
	// keys are padded with the largest integer, which no key that is searched for reaches.
	keys []uint64
}

func newSortedKeys(keys []uint64) sortedKeys {
	s := sortedKeys{count: len(keys)}
	padded := 0
	for padded < len(keys) {
		padded = 2*padded + 1
	}
	s.step = (padded + 1) / 2
	s.keys = make([]uint64, padded)
	for i := copy(s.keys, keys); i < padded; i++ {
		s.keys[i] = math.MaxUint64
	}
	return s
}

// rank returns how many keys are at most key. With x the row's value, this is what decides x < t at
// every threshold t: the row goes right at the j-th smallest, counted from 0, if the rank exceeds j.
func (s *sortedKeys) rank(key uint64) int {
	rank := 0
	for step := s.step; step > 0; step >>= 1 {
		// The borrow of a subtraction stands in for a branch that is a coin flip.
		_, less := bits.Sub64(key, s.keys[rank+step-1], 0)
		rank += step & (int(less) - 1)
	}
	return rank
}
