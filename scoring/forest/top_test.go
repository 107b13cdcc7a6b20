package forest_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

func TestTop(t *testing.T) {
	tests := []struct {
		name          string
		contributions []float64
		k             int
		want          []int
	}{
		{"signs do not matter", []float64{0.5, -2, 1}, 3, []int{1, 2, 0}},
		{"ties by number", []float64{1, -1, 3, 1}, 4, []int{2, 0, 1, 3}},
		{"ties at the end", []float64{1, -1, 3, 1}, 2, []int{2, 0}},
		{"no zeros", []float64{0, 1, math.Copysign(0, -1)}, 3, []int{1}},
		{"no NaN", []float64{math.NaN(), 1}, 2, []int{1}},
		{"none asked for", []float64{1, 2}, 0, nil},
		{"no features", nil, 3, nil},
		{"infinities", []float64{1, math.Inf(-1), math.Inf(1)}, 3, []int{1, 2, 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := forest.TopTo(make([]int, test.k), test.contributions); !slices.Equal(got, test.want) {
				t.Errorf("TopTo(%v): %v, want %v", test.contributions, got, test.want)
			}
		})
	}
}

// TestTopIsASort compares with sorting them all.
func TestTopIsASort(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		contributions := make([]float64, random.IntN(20))
		want := []int{}
		for i := range contributions {
			if contributions[i] = float64(random.IntN(9) - 4); contributions[i] != 0 {
				want = append(want, i)
			}
		}
		slices.SortStableFunc(want, func(a, b int) int {
			return cmp.Compare(math.Abs(contributions[b]), math.Abs(contributions[a]))
		})
		k := random.IntN(22)
		if got := forest.TopTo(make([]int, k), contributions); !slices.Equal(got, want[:min(k, len(want))]) {
			t.Fatalf("the top %d of %v: %v, want %v", k, contributions, got, want)
		}
	}
}

func TestTopDoesNotAllocate(t *testing.T) {
	contributions, top := []float64{3, 1, -4, 1, -5, 9, 2, 6}, make([]int, 3)
	if n := testing.AllocsPerRun(100, func() { forest.TopTo(top, contributions) }); n != 0 {
		t.Errorf("TopTo allocates %v times", n)
	}
}
