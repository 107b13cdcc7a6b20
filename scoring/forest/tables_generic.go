//go:build !amd64 || purego

package forest

// vectorTables are not made in this build.
type vectorTables struct{}

func newVectorTables(*patternTables) *vectorTables { return nil }

func (*vectorTables) find(*[tableTrees][blockRows]uint64, *outcomes, int, int, []byte, int) bool {
	return false
}

func (*vectorTables) add(*tableScratch, *patternTables, int, int, int) {}

func (*vectorTables) sum(*tableScratch, []entry, int, int, int) {}
