package forest

// ContributionsTo writes the exact path-dependent SHAP values of the n rows in rows (n x NumFeature)
// to dst (n x NumGroup x (NumFeature+1)), in margin units; the last value of each group is the bias,
// the same for every row. A group's values add up to its margin, save for the rounding of the margin.
//
// These are the values of Lundberg's TreeSHAP and of XGBoost's and LightGBM's own, computed in float64.
// If no tree is deeper than 6, they come from tables in float32, of at most 64 MiB, and are within 1e-6 of
// the sum of what the trees contribute, signs aside. They depend on the row alone, not on its neighbours
// or on the kernel. ContributionsTo does not allocate once its scratch memory is pooled; it panics with a *[ShapeError] if the
// shapes do not fit, and if [Forest.Explains] is false.
func (f *Forest) ContributionsTo(dst, rows []float64) {
	if f.explainer == nil {
		panic("forest: ContributionsTo of a forest without covers, or not made by New")
	}
	n, width := mustNumRows("rows", rows, f.NumFeature), f.NumGroup*(f.NumFeature+1)
	checkShape("dst", dst, n, width)
	f.explainer.explain(f, dst, rows)
}

// An explainer computes contributions from tables where the trees allow them, else by quadrature. The
// two differ in the last bits, so nothing but the trees decides: not the CPU, nor a setting.
type explainer struct {
	bias       []float64      // per group
	tables     *patternTables // or nil
	quadrature *quadrature    // where there are no tables
}

func newExplainer(f *Forest, tests *nodeTests, progress *Progress) (e *explainer, err error) {
	e = &explainer{bias: f.bias()}
	if e.tables, err = newPatternTables(f, tests, progress); err == nil && e.tables == nil {
		e.quadrature, err = newQuadrature(f, maxFactorBytes, progress)
	}
	return e, err
}

// bias returns the margin of each group for a row of which nothing is known.
func (f *Forest) bias() []float64 {
	bias := make([]float64, f.NumGroup)
	for g, b := range f.Base {
		bias[g] = float64(b)
	}
	for i := range f.Trees {
		t := &f.Trees[i]
		bias[t.Group] += t.mean()
	}
	return bias
}

func (e *explainer) explain(f *Forest, dst, rows []float64) {
	width, stride := f.NumFeature+1, f.NumGroup*(f.NumFeature+1)
	clear(dst)
	for g, b := range e.bias {
		for out := g*width + f.NumFeature; out < len(dst); out += stride {
			dst[out] = b
		}
	}
	if e.tables != nil {
		e.tables.explain(f, dst, rows)
	} else {
		e.quadrature.explain(f, dst, rows)
	}
}
