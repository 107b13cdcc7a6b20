//go:build amd64 && !purego

package forest

// vectorCategories make the columns of a categorical feature for 64 rows at a time, column by column: a
// column is its bytes by category, permuted by the rows' categories.
type vectorCategories struct {
	*categoricalFeature
	// pages is how many registers hold a column's bytes by category; 0 if there are more than maxPages.
	pages int
	// tables has those of each column, pages * 64 bytes.
	tables []byte
}

func newVectorCategories(f *categoricalFeature) vectorCategories {
	places := f.places()
	v := vectorCategories{categoricalFeature: f, pages: (places + blockRows - 1) / blockRows}
	if v.pages > maxPages {
		v.pages = 0
		return v
	}
	v.tables = make([]byte, f.width*v.pages*blockRows)
	for at := range places {
		for column := range f.width {
			v.tables[column*v.pages*blockRows+at] = f.bytes[at*f.width+column]
		}
	}
	return v
}

// columns writes the feature's columns of up to 64 rows to their places in dst.
func (v *vectorCategories) columns(dst []byte, rows []float64, width int) {
	columns := dst[v.first*blockRows:]
	var places [blockRows]byte // within a page
	var pages [maxPages]uint64 // of the rows whose category is in the page
	for k := range len(rows) / width {
		x := rows[k*width+v.feature]
		if v.pages == 0 {
			for j, b := range v.row(x) {
				columns[j*blockRows+k] = b
			}
			continue
		}
		at := v.place(x)
		places[k] = byte(at % blockRows)
		pages[at/blockRows] |= 1 << k
	}
	if v.pages > 0 {
		permuteAVX512(&columns[0], &places, &pages, &v.tables[0], v.pages, v.width)
	}
}

// scattered is how many bytes of a row are written one by one.
func (q *vectorQuantiser) scattered() (bytes int) {
	for i := range q.categories {
		if v := &q.categories[i]; v.pages == 0 {
			bytes += v.width
		}
	}
	return bytes
}

// permuteAVX512 writes n > 0 columns of 64 rows: for each row, the byte at its place in its page.
//
//go:noescape
func permuteAVX512(columns *byte, places *[blockRows]byte, masks *[maxPages]uint64, tables *byte, pages, n int)
