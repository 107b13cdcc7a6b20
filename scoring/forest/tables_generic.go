//go:build !amd64 || purego

package forest

// vectorTables are not made in this build.
type vectorTables struct{}

func newVectorTables(*patternTables) *vectorTables { return nil }

func (*vectorTables) finds(*outcomes) bool { return false }

func (*vectorTables) find(*tableScratch, *outcomes, int, int, int) {}

func (*vectorTables) add(*tableScratch, *patternTables, int, int, int) {}

func (*vectorTables) sum(*tableScratch, []entry, int, int, int) {}
