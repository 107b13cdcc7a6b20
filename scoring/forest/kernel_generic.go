//go:build !amd64 || purego

package forest

// A vectorProgram is not made in this build.
type vectorProgram[V number] struct{}

func hasAVX512() bool { return false }

func newVectorProgram[V number](*Forest, *nodeTests) *vectorProgram[V] { return nil }

func (*vectorProgram[V]) complete() bool { return false }

func (*vectorProgram[V]) batches() bool { return false }

func (*vectorProgram[V]) marginsTo(*Forest, []float64, []float64) int { return 0 }

func (*vectorProgram[V]) quantiseRow([]byte, []uint16, []float64) {}
