package lightgbm_test

import (
	"fmt"
	"log"
	"math"
	"os"

	"github.com/trendbuy/riskscorer/scoring/forest/lightgbm"
)

// Load a model, score one row and explain it.
func Example() {
	data, err := os.ReadFile("testdata/binary/model.txt")
	if err != nil {
		log.Fatal(err)
	}
	f, err := lightgbm.Load(data, lightgbm.Options{})
	if err != nil {
		log.Fatal(err)
	}
	row := []float64{0.9, 120, 3, -2.5, math.NaN(), 0}
	margin, probability := make([]float64, f.NumGroup), make([]float64, f.NumGroup)
	f.MarginsTo(margin, row)
	f.PredictionsTo(probability, margin)
	fmt.Printf("margin %.4f, probability %.4f\n", margin[0], probability[0])
	contributions := make([]float64, f.NumGroup*(f.NumFeature+1))
	f.ContributionsTo(contributions, row)
	for i, name := range f.FeatureNames {
		fmt.Printf("%-8s %+.4f\n", name, contributions[i])
	}
	fmt.Printf("%-8s %+.4f\n", "bias", contributions[f.NumFeature])
	// Output:
	// margin 1.3066, probability 0.7870
	// share    +0.5693
	// velocity +0.5885
	// count    +0.7619
	// hours    +0.1150
	// tiny     -0.2237
	// sparse   -0.0425
	// bias     -0.4618
}
