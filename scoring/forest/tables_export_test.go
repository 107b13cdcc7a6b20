package forest

// Quadrature returns f with its contributions by quadrature, whatever its trees; a forest of shallow trees
// takes them from tables.
func Quadrature(f *Forest) *Forest { return QuadratureKeeping(f, maxFactorBytes) }

// QuadratureKeeping is Quadrature that keeps factors of up to a number of bytes.
func QuadratureKeeping(f *Forest, bytes int) *Forest {
	g := *f
	q, _ := newQuadrature(f, bytes, nil) // without progress, nothing ends it
	g.explainer = &explainer{bias: f.explainer.bias, quadrature: q}
	return &g
}

// Scalar returns f with its quadrature in Go.
func Scalar(f *Forest) *Forest {
	g := *f
	g.scalar = true
	return &g
}

// TableBytes returns the size of f's pattern tables, or 0 if it has none.
func TableBytes(f *Forest) int {
	if f.explainer.tables == nil {
		return 0
	}
	return len(f.explainer.tables.entries) * entryLanes * 4
}

// Quantised reports whether f's pattern tables are looked up by quantised rows.
func Quantised(f *Forest) bool { return f.explainer.tables.columns != nil }

// QuadratureBytes returns what quadrature may take for f, with paths of so many features.
func QuadratureBytes(f *Forest, features int) int {
	splits := 0
	f.eachSplit(func(*Tree, *Node) { splits++ })
	return quadratureBytes(len(f.Trees), splits, numBlocks(features))
}

// QuadratureCallBytes returns what a call may take for f.
func QuadratureCallBytes(f *Forest) int {
	largest := 0
	for i := range f.Trees {
		largest = max(largest, len(f.Trees[i].Nodes)/2)
	}
	return quadratureCallBytes(largest, f.NumFeature)
}
