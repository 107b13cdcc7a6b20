//go:build amd64 && !purego

package forest

import "math"

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
	features []int       // per feature of columns.ranked, its place in a row
	tables   []rankTable // likewise; empty for one of more thresholds, which the search in Go serves
	expand   []expandBlock
	// categories are those of columns.categorical, for blocks of rows.
	categories []vectorCategories
}

// A rankTable holds up to 256 thresholds, padded with NaN, and the last of each 16 of them.
type rankTable struct {
	last       [16]float32
	thresholds [17 * 16]float32
}

// An expandBlock makes 32 columns of a single row: from which rank, less how much, and their byte for
// a missing value. Ranks have at least a column each, in order, so that 32 ranks from first on suffice.
type expandBlock struct {
	rank, below [expandColumns]uint16
	missing     [expandColumns]uint8
	first       int
}

func newVectorQuantiser(c *columns) vectorQuantiser {
	q := vectorQuantiser{columns: c, expand: newExpandBlocks(c)}
	for i := range c.ranked {
		r := &c.ranked[i]
		q.features = append(q.features, r.feature)
		q.tables = append(q.tables, newRankTable(r.thresholds.floats()))
	}
	for i := range c.categorical {
		q.categories = append(q.categories, newVectorCategories(&c.categorical[i]))
	}
	return q
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
	for i := range c.ranked {
		if r := &c.ranked[i]; r.thresholds.count > maxTabled {
			ranks[i] = r.rank16(row[r.feature])
		}
	}
	if len(q.expand) > 0 {
		expandAVX512(&dst[0], &ranks[0], &q.expand[0], len(q.expand))
	}
	for i := range c.categorical {
		f := &c.categorical[i]
		copy(dst[f.first:f.first+f.width], f.row(float32(row[f.feature])))
	}
}

// quantiseBlock writes the columns of up to 64 rows.
func (q *vectorQuantiser) quantiseBlock(s *vectorScratch, rows []float64, width int) {
	c, n := q.columns, len(rows)/width
	for i := range c.ranked {
		r, ranks := &c.ranked[i], s.ranks[i*blockRows:(i+1)*blockRows]
		if r.thresholds.count <= maxTabled {
			rankColumnAVX512(&ranks[0], &rows[r.feature], width*8, n, &q.tables[i])
		} else {
			for k := range n {
				ranks[k] = r.rank16(rows[k*width+r.feature])
			}
		}
		for _, col := range r.columns {
			columnAVX512(&s.columns[col.column*blockRows], &ranks[0], uint16(col.below), col.missing)
		}
	}
	for i := range q.categories {
		q.categories[i].columns(s, rows, width)
	}
}

// rank16 returns the rank of x, or missingRank.
func (r *rankedFeature) rank16(x float64) uint16 {
	if x != x {
		return missingRank
	}
	return uint16(r.thresholds.rank(orderedKey(float32(x))))
}

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

// expandAVX512 writes n > 0 times 32 columns of one row whose ranks are side by side.
//
//go:noescape
func expandAVX512(row *byte, ranks *uint16, blocks *expandBlock, n int)
