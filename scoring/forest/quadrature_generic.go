//go:build !amd64 || purego

package forest

// vectorSplitBytes is what a split takes beyond the tables: nothing in this build.
const vectorSplitBytes = 0

func vectorCallBytes(int, int) int { return 0 }

// A vectorQuadrature is not made in this build.
type vectorQuadrature struct{}

func newVectorQuadrature(*Forest) *vectorQuadrature { return nil }

func (*vectorQuadrature) place(*Forest, int, *table) {}

func (*vectorQuadrature) finish(*Forest, int, int) {}

func (*vectorQuadrature) explain(*Forest, []table, []float64, []float64) {}
