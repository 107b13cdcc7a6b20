package xgboost_test

import (
	"fmt"
	"log"
	"os"

	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

// Load a model, score one row and explain it.
func Example() {
	data, err := os.ReadFile("testdata/missing/model.ubj")
	if err != nil {
		log.Fatal(err)
	}
	f, err := xgboost.Load(data, xgboost.Options{})
	if err != nil {
		log.Fatal(err)
	}
	row := []float64{0.9, 120, 3, -2.5, 0, 0}
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
	// margin 1.6284, probability 0.8360
	// share    +1.1235
	// velocity +0.8329
	// count    +0.6801
	// hours    +0.0207
	// tiny     -0.2685
	// sparse   -0.2969
	// bias     -0.4633
}
