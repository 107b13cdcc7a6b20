//go:build amd64 && !purego

package forest

import (
	"math"
	"slices"
)

const (
	// expandColumns is how many ranks a register holds.
	expandColumns = 32
	// maxTabled is how many thresholds a rankTable holds.
	maxTabled = 256
	// missingRank stands for NaN among ranks.
	missingRank = math.MaxUint16
)

// A vectorQuantiser quantises rows by AVX-512: blocks of 64 into columns, or single rows.
type vectorQuantiser struct {
	columns  *columns
	features []int // per feature of columns.ranked, its place in a row
	// tables are likewise, those of float32 if the columns are narrow. The features that are searched have
	// empty tables: the search in Go serves them.
	tables    []rankTable[float32]
	f64Tables []rankTable[float64]
	searched  []bool
	zeros     []float64 // likewise, the largest distance from zero that is missing, or -1
	expand    []expandBlock
	// categories are those of columns.categorical, for blocks of rows.
	categories []vectorCategories
}

// A rankTable holds up to 256 thresholds, padded with NaN, and the last of each 16 of them.
type rankTable[V number] struct {
	last       [16]V
	thresholds [17 * 16]V
}

// An expandBlock makes 32 columns of a single row: from which rank, less how much, and their byte for
// a missing value. Ranks have at least a column each, in order, so that 32 ranks from first on suffice.
type expandBlock struct {
	rank, below [expandColumns]uint16
	missing     [expandColumns]uint8
	first       int
}

func newVectorQuantiser(c *columns) vectorQuantiser {
	n := len(c.ranked)
	q := vectorQuantiser{columns: c, features: make([]int, n), searched: make([]bool, n), zeros: make([]float64, n), expand: newExpandBlocks(c)}
	if c.narrow {
		q.tables = make([]rankTable[float32], n)
	} else {
		q.f64Tables = make([]rankTable[float64], n)
	}
	for i := range c.ranked {
		r := &c.ranked[i]
		thresholds := r.thresholds.floats()
		searched := len(thresholds) > maxTabled
		if c.narrow {
			// No library's forest needs that, and so the assembly has nothing for it.
			searched = searched || r.zero || slices.ContainsFunc(thresholds, func(t float64) bool { return float64(float32(t)) != t })
		}
		if searched {
			thresholds = nil
		}
		if c.narrow {
			q.tables[i] = newRankTable(numbers[float32](thresholds))
		} else {
			q.f64Tables[i] = newRankTable(thresholds)
		}
		q.features[i], q.searched[i], q.zeros[i] = r.feature, searched, -1
		if r.zero {
			q.zeros[i] = ZeroBound
		}
	}
	for i := range c.categorical {
		q.categories = append(q.categories, newVectorCategories(&c.categorical[i]))
	}
	return q
}

// floats returns the numbers whose ordered keys these are; that beyond infinity is NaN.
func (s *sortedKeys) floats() []float64 {
	floats := make([]float64, s.count)
	for i, key := range s.keys[:s.count] {
		floats[i] = math.Float64frombits(key ^ (^uint64(int64(key)>>63) | 1<<63))
	}
	return floats
}

func newRankTable[V number](thresholds []V) (t rankTable[V]) {
	for i := range t.thresholds {
		t.thresholds[i] = V(math.NaN())
	}
	copy(t.thresholds[:], thresholds)
	for i := range t.last {
		t.last[i] = t.thresholds[16*i+15]
	}
	return t
}

func newExpandBlocks(c *columns) []expandBlock {
	ranked := 0 // the columns of ranks come first
	for i := range c.ranked {
		ranked += len(c.ranked[i].columns)
	}
	blocks := make([]expandBlock, (ranked+expandColumns-1)/expandColumns)
	last := -1 // the block that has columns last
	for i := range c.ranked {
		for _, col := range c.ranked[i].columns {
			b, k := &blocks[col.column/expandColumns], col.column%expandColumns
			if col.column/expandColumns > last {
				last, b.first = col.column/expandColumns, i
			}
			b.rank[k], b.below[k], b.missing[k] = uint16(i-b.first), uint16(col.below), col.missing
		}
	}
	return blocks
}

// quantiseRow writes the bytes of one row to dst, which is a multiple of 32 bytes long. It keeps ranks, of
// which there are expandColumns more than features.
func (q *vectorQuantiser) quantiseRow(dst []byte, ranks []uint16, row []float64) {
	c := q.columns
	if len(q.tables) > 0 {
		rankRowAVX512(&ranks[0], &row[0], &q.features[0], len(q.tables), &q.tables[0])
	}
	if len(q.f64Tables) > 0 {
		rankRowF64AVX512(&ranks[0], &row[0], &q.features[0], len(q.f64Tables), &q.f64Tables[0], &q.zeros[0])
	}
	for i, searched := range q.searched {
		if searched {
			ranks[i] = c.rank16(&c.ranked[i], row[q.features[i]])
		}
	}
	if len(q.expand) > 0 {
		expandAVX512(&dst[0], &ranks[0], &q.expand[0], len(q.expand))
	}
	for i := range c.categorical {
		f := &c.categorical[i]
		copy(dst[f.first:f.first+f.width], f.row(row[f.feature]))
	}
}

// quantiseBlock writes the columns of up to 64 rows to dst. It keeps 64 ranks of each feature.
func (q *vectorQuantiser) quantiseBlock(dst []byte, kept []uint16, rows []float64, width int) {
	c, n := q.columns, len(rows)/width
	for i := range c.ranked {
		r, ranks := &c.ranked[i], kept[i*blockRows:(i+1)*blockRows]
		switch {
		case q.searched[i]:
			for k := range n {
				ranks[k] = c.rank16(r, rows[k*width+r.feature])
			}
		case c.narrow:
			rankColumnAVX512(&ranks[0], &rows[r.feature], width*8, n, &q.tables[i])
		default:
			rankColumnF64AVX512(&ranks[0], &rows[r.feature], width*8, n, &q.f64Tables[i], q.zeros[i])
		}
		for _, col := range r.columns {
			columnAVX512(&dst[col.column*blockRows], &ranks[0], uint16(col.below), col.missing)
		}
	}
	for i := range q.categories {
		q.categories[i].columns(dst, rows, width)
	}
}

// rank16 returns the rank of x, or missingRank.
func (c *columns) rank16(r *rankedFeature, x float64) uint16 {
	if x = splitValue(x, c.narrow, r.zero); x != x {
		return missingRank
	}
	return uint16(r.thresholds.rank(orderedKey(x)))
}

// rankColumnAVX512 writes the ranks of n > 0 values that are rowBytes apart.
//
//go:noescape
func rankColumnAVX512(ranks *uint16, rows *float64, rowBytes, n int, table *rankTable[float32])

//go:noescape
func rankColumnF64AVX512(ranks *uint16, rows *float64, rowBytes, n int, table *rankTable[float64], zero float64)

// rankRowAVX512 writes the ranks of n > 0 features of one row, each in its own table.
//
//go:noescape
func rankRowAVX512(ranks *uint16, row *float64, features *int, n int, tables *rankTable[float32])

//go:noescape
func rankRowF64AVX512(ranks *uint16, row *float64, features *int, n int, tables *rankTable[float64], zeros *float64)

// columnAVX512 writes 64 ranks as bytes.
//
//go:noescape
func columnAVX512(column *byte, ranks *uint16, below uint16, missing uint8)

// expandAVX512 writes n > 0 times 32 columns of one row whose ranks are side by side.
//
//go:noescape
func expandAVX512(row *byte, ranks *uint16, blocks *expandBlock, n int)
