package forest

// Quadrature returns f with its contributions by quadrature, whatever its trees; a forest of shallow trees
// takes them from tables.
func Quadrature(f *Forest) (*Forest, error) {
	g := *f
	q, err := newQuadrature(f)
	if err != nil {
		return nil, err
	}
	g.explainer = &explainer{bias: f.explainer.bias, quadrature: q}
	return &g, nil
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
