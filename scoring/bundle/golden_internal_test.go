package bundle

import (
	"math"
	"testing"
)

// TestANaNIsTheWorstContribution wherever it stands: a later, smaller difference must not hide it.
func TestANaNIsTheWorstContribution(t *testing.T) {
	feature, difference := worstContribution([]float64{0.5, math.NaN(), 0.25}, []float64{0.5, 0, 0})
	if feature != 1 || !math.IsNaN(difference) {
		t.Errorf("contribution %d differs by %v, want 1 by NaN", feature, difference)
	}
	feature, difference = worstContribution([]float64{0.5, 3, 0.25}, []float64{0.5, 1, 0})
	if feature != 1 || difference != 2/1.5 {
		t.Errorf("contribution %d differs by %v, want 1 by %v", feature, difference, 2/1.5)
	}
}
