//go:build !amd64 || purego

package forest

// A vectorProgram is not made in this build.
type vectorProgram struct{}

func hasAVX512() bool { return false }

func newVectorProgram(*Forest, *columns, *nodeTests) *vectorProgram { return nil }

func (*vectorProgram) complete() bool { return false }

func (*vectorProgram) batches() bool { return false }

func (*vectorProgram) marginsTo(*Forest, []float64, []float64) int { return 0 }

func (*vectorProgram) quantiseRow([]byte, []uint16, []float64) {}
