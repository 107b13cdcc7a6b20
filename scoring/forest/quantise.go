package forest

import "math"

// A quantised row answers every split of a forest by one comparison of bytes: the row goes right at a
// split if the byte in the split's column exceeds the split's byte. See [columns.quantise].
//
// A feature's byte is the rank of its value among the thresholds that the forest tests it against, so
// that equal ranks take equal ways at every split. A byte tells 256 ranks apart: a feature of more than
// 255 thresholds has several chunks of 255, each with its own rank. Missing values cost nothing: where
// the splits on a chunk differ in the default side, it has two columns, one with 0 for a missing value
// and one with 255. A category set becomes a column of its own, with 1 for the categories that go right.
const (
	chunkThresholds = 255
	// neverRight is the byte of a split that no row goes right at.
	neverRight = 255
	// maxColumns bounds a quantised row; beyond it, a row's bytes no longer stay in the cache.
	maxColumns = 1 << 14
	// strideUnit divides a quantised row's length: the width of a vector register.
	strideUnit = 64
	// maxPages is how many times 64 categories of a feature a block of rows is looked up in by vectors.
	maxPages = 4
)

// columns says how a row is quantised for one forest. It is immutable.
type columns struct {
	// count is the number of bytes in use; stride is count rounded up to strideUnit,
	// which it is at least.
	count, stride int
	ranked        []rankedFeature
	categorical   []categoricalFeature
}

// A rankedFeature holds the thresholds of one feature, as keys, and the columns made of it.
type rankedFeature struct {
	feature    int
	thresholds sortedKeys
	columns    []rankColumn
}

// A rankColumn holds the rank in one chunk of thresholds.
type rankColumn struct {
	column int
	// below is the number of thresholds in the chunks below.
	below int
	// missing is the byte of a missing value: 0 goes left, 255 right.
	missing uint8
}

// A categoricalFeature holds the adjacent columns of all sets of one feature.
type categoricalFeature struct {
	feature int
	// codes are the categories that some set has.
	codes sortedKeys
	// first is the first of width columns.
	first, width int
	// bytes has width bytes for each of codes, then for any other category, then for a missing value.
	bytes []byte
}

// quantise writes the count bytes of a row to dst. It leaves the padding up to stride alone.
func (c *columns) quantise(dst []byte, row []float64) {
	for i := range c.ranked {
		r := &c.ranked[i]
		x := float32(row[r.feature])
		if x != x {
			for _, col := range r.columns {
				dst[col.column] = col.missing
			}
			continue
		}
		rank := r.thresholds.rank(orderedKey(x))
		for _, col := range r.columns {
			dst[col.column] = uint8(min(max(rank-col.below, 0), chunkThresholds))
		}
	}
	for i := range c.categorical {
		f := &c.categorical[i]
		copy(dst[f.first:f.first+f.width], f.row(float32(row[f.feature])))
	}
}

// row returns the bytes of a category.
func (f *categoricalFeature) row(x float32) []byte {
	at := f.place(x)
	return f.bytes[at*f.width : (at+1)*f.width]
}

// place returns which row of bytes is a category's. As in XGBoost, fractions are cut off, and codes that a
// float32 cannot tell apart are in no set.
func (f *categoricalFeature) place(x float32) int {
	other, missing := f.codes.count, f.codes.count+1
	switch {
	case x != x:
		return missing
	case x >= 0 && x <= MaxCategory:
		if i := f.codes.rank(uint32(x)) - 1; i >= 0 && f.codes.keys[i] == uint32(x) {
			return i
		}
	}
	return other
}

// orderedKey returns an integer that compares as x does, infinities included, with 0 equal to -0. Save
// for a NaN, it is less than the largest integer.
func orderedKey(x float32) uint32 {
	b := math.Float32bits(x + 0) // the addition turns -0 into 0
	return b ^ (uint32(int32(b)>>31) | 1<<31)
}

// sortedKeys are ascending keys without repetition, made for a search without branches.
type sortedKeys struct {
	count int
	// step is the first step of the search: the number of keys, padding included, is 2*step - 1.
	step int
	// keys are padded with the largest integer, which no key that is searched for reaches.
	keys []uint32
}

func newSortedKeys(keys []uint32) sortedKeys {
	s := sortedKeys{count: len(keys)}
	padded := 0
	for padded < len(keys) {
		padded = 2*padded + 1
	}
	s.step = (padded + 1) / 2
	s.keys = make([]uint32, padded)
	for i := copy(s.keys, keys); i < padded; i++ {
		s.keys[i] = math.MaxUint32
	}
	return s
}

// floats returns the numbers whose ordered keys these are.
func (s *sortedKeys) floats() []float32 {
	floats := make([]float32, s.count)
	for i, key := range s.keys[:s.count] {
		floats[i] = math.Float32frombits(key ^ (^uint32(int32(key)>>31) | 1<<31))
	}
	return floats
}

// rank returns how many keys are at most key. With x the row's value, this is what decides x < t at
// every threshold t: the row goes right at the j-th smallest, counted from 0, if the rank exceeds j.
func (s *sortedKeys) rank(key uint32) int {
	rank := 0
	for step := s.step; step > 0; step >>= 1 {
		// The sign of the difference, spread over the word, stands in for a branch that is a coin flip.
		less := (int64(key) - int64(s.keys[rank+step-1])) >> 63
		rank += step &^ int(less)
	}
	return rank
}
