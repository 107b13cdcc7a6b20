package forest_test

import (
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// contributions returns those of all rows.
func contributions(f *forest.Forest, rows []float64) []float64 {
	phi := make([]float64, len(rows)/f.NumFeature*f.NumGroup*(f.NumFeature+1))
	f.ContributionsTo(phi, rows)
	return phi
}

// withKernel returns f with a kernel, or nil if this CPU, build or forest has it not.
func withKernel(f *forest.Forest, k forest.Kernel) *forest.Forest {
	g, err := f.WithKernel(k)
	if err != nil {
		return nil
	}
	return g
}

// checkTables holds the tables of f to quadrature, in one batch and row by row, and the kernels to one
// another.
func checkTables(t *rapid.T, f *forest.Forest, rows []float64) {
	t.Helper()
	phi, want := contributions(f, rows), contributions(forest.Quadrature(f), rows)
	size := treeSizes(f)
	for i, w := range want {
		if !(math.Abs(phi[i]-w) <= 2e-7*size[i/(f.NumFeature+1)%f.NumGroup]) {
			t.Fatalf("contribution %d is %v, by quadrature %v", i, phi[i], w)
		}
	}
	width := f.NumGroup * (f.NumFeature + 1)
	for r := range len(rows) / f.NumFeature {
		one := contributions(f, rows[r*f.NumFeature:(r+1)*f.NumFeature])
		if !sameBits(one, phi[r*width:(r+1)*width]) {
			t.Fatalf("the contributions of row %d differ from those in a batch", r)
		}
	}
	for _, k := range []forest.Kernel{forest.KernelReference, forest.KernelGo, forest.KernelAVX512} {
		if g := withKernel(f, k); g != nil && !sameBits(contributions(g, rows), phi) {
			t.Fatalf("the contributions by kernel %q differ from those by %q", k, f.Kernel())
		}
	}
}

// treeSizes returns, by group, the sum of the trees' largest leaves, but at least 1.
func treeSizes(f *forest.Forest) []float64 {
	size := make([]float64, f.NumGroup)
	for _, tree := range f.Trees {
		largest := 0.0
		for _, n := range tree.Nodes {
			largest = max(largest, math.Abs(float64(n.Leaf)))
		}
		size[tree.Group] += largest
	}
	for g := range size {
		size[g] = max(1, size[g])
	}
	return size
}

func sameBits(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })
}

func checkContributionsOfAnyForest(t *rapid.T) {
	// Up to 8 features, an entry's lanes are the features; beyond, each tree counts its own.
	f := drawForest(t, rapid.SampledFrom([]int{8, 9, 20, 80}).Draw(t, "most features"), 6, false)
	if rapid.Bool().Draw(t, "covers do not add up") {
		for _, tree := range f.Trees {
			for i := range tree.Nodes {
				tree.Nodes[i].Cover = rapid.SampledFrom([]float64{0, 1, 3, 7}).Draw(t, "cover")
			}
		}
		made, err := forest.New(*f)
		if err != nil {
			t.Fatal(err)
		}
		f = made
	}
	checkTables(t, f, drawRows(t, f))

	deep := drawForest(t, rapid.SampledFrom([]int{2, 12, 40}).Draw(t, "most features of deep trees"), 24, false)
	rows := slices.Repeat(drawRows(t, deep), rapid.IntRange(1, 17).Draw(t, "repeats"))
	compareQuadrature(t, deep, rows, len(rows)/deep.NumFeature)
}

func TestTablesAgreeWithQuadrature(t *testing.T) { rapid.Check(t, checkContributionsOfAnyForest) }

func FuzzContributions(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkContributionsOfAnyForest)) }

// The demo model stands for what training makes: against the recursion, and against the margin in float64.
func TestTablesOfDemoModel(t *testing.T) {
	f, rows := demoForest(t, 100)
	if forest.TableBytes(f) == 0 {
		t.Fatal("the demo model has no tables")
	}
	phi := contributions(f, rows)
	for r := range 100 {
		worst := 0.0
		row := rows[r*f.NumFeature : (r+1)*f.NumFeature]
		want, _ := reference(f, row, shapleyByRecursion)
		got := phi[r*len(want) : (r+1)*len(want)]
		missing, size := marginOf(f, row), 0.0
		for i, w := range want {
			missing -= got[i]
			size += math.Abs(w)
			worst = max(worst, math.Abs(got[i]-w))
		}
		if worst = max(worst, math.Abs(missing)); !(worst <= 1e-7*max(1, size)) {
			t.Errorf("row %d: contributions that add up to %.3g, signs aside, are off by %.1e", r, size, worst)
		}
	}
}

// marginOf returns the margin of the first group, added up in float64.
func marginOf(f *forest.Forest, row []float64) float64 {
	margin := f.Base[0]
	for i := range f.Trees {
		tree := &f.Trees[i]
		n := &tree.Nodes[0]
		for n.Left != 0 {
			if goesRight(f, tree, n, row) {
				n = &tree.Nodes[n.Right]
			} else {
				n = &tree.Nodes[n.Left]
			}
		}
		margin += n.Leaf
	}
	return margin
}

// A forest can take more columns than a quantised row has; its splits are then asked one by one.
func TestTablesOfForestWithTooManyColumns(t *testing.T) {
	f, rows := balanced(t, 400, 6, 60_000, 3)
	if forest.Quantised(f) {
		t.Fatal("the forest can be quantised")
	}
	q := forest.Quadrature(f)
	got, want := contributions(f, rows), contributions(q, rows)
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-6) {
			t.Fatalf("contribution %d is %v, by quadrature %v", i, got[i], want[i])
		}
	}
}

// Where a model's first tree holds the mean of the target, as LightGBM's does, its leaves are far from 0
// and close to one another; what cancels out must not cost precision.
func TestTablesOfLeavesFarFromZero(t *testing.T) {
	d, rows := balanced(t, 1, 6, 8, 70)
	nodes := d.Trees[0].Nodes
	for i := range nodes {
		nodes[i].Cover = float64(uint(1<<20) >> bits.Len(uint(i+1)))
		nodes[i].Leaf = float64(float32(1000 + nodes[i].Leaf/128))
	}
	f, err := forest.New(*d)
	if err != nil {
		t.Fatal(err)
	}
	q := forest.Quadrature(f)
	got, want := contributions(f, rows), contributions(q, rows)
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-9) {
			t.Fatalf("contribution %d is %v, by quadrature %v", i, got[i], want[i])
		}
	}
}

func TestTablesDoNotDependOnTheNumberOfCPUs(t *testing.T) {
	f, rows := balanced(t, 50, 6, 8, 70)
	want := contributions(f, rows)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	again, err := forest.New(*f)
	if err != nil {
		t.Fatal(err)
	}
	if !sameBits(contributions(again, rows), want) {
		t.Error("contributions differ when the tables are built on one CPU")
	}
}

// Leaves near float32's largest, and beyond it, could add up to infinity in an entry; quadrature adds in float64.
func TestHugeLeavesAreExplained(t *testing.T) {
	for _, leaf := range []float64{math.MaxFloat32 / 2, 1e200} {
		d := stump()
		d.Wide = leaf > math.MaxFloat32
		for i := range d.Trees[0].Nodes {
			d.Trees[0].Nodes[i].Leaf = leaf
		}
		d.Trees[0].Nodes[1].Leaf = -leaf
		f, err := forest.New(d)
		if err != nil {
			t.Fatal(err)
		}
		for i, phi := range contributions(f, []float64{0, 1}) {
			if math.IsInf(phi, 0) || math.IsNaN(phi) {
				t.Errorf("leaves of %g: contribution %d is %v", leaf, i, phi)
			}
		}
	}
}

func TestContributionsConcurrently(t *testing.T) {
	for _, features := range []int{8, 40} {
		f, rows := balanced(t, 20, 6, features, 130)
		f = widened(t, f)
		want := contributions(f, rows)
		pureGo := withKernel(f, forest.KernelGo)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 10 {
					if !sameBits(contributions(f, rows), want) || !sameBits(contributions(pureGo, rows), want) {
						t.Error("contributions differ between calls")
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestContributionsDoNotAllocate(t *testing.T) {
	for _, features := range []int{8, 40} {
		f, rows := balanced(t, 20, 6, features, 70)
		phi := make([]float64, 70*(features+1))
		for _, f := range []*forest.Forest{f, widened(t, f)} {
			for _, k := range []forest.Kernel{forest.KernelGo, forest.KernelAVX512} {
				g := withKernel(f, k)
				if g == nil {
					continue
				}
				if n := testing.AllocsPerRun(100, func() { g.ContributionsTo(phi, rows) }); n != 0 {
					t.Errorf("%d features, wide %v: ContributionsTo by kernel %q allocates %v times", features, f.Wide, k, n)
				}
			}
		}
	}
}
