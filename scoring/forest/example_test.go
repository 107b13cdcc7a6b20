package forest_test

import (
	"errors"
	"fmt"
	"log"
	"math"
	"os"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

// load reads a model that predicts the probability of one class from six features.
func load() *forest.Forest {
	data, err := os.ReadFile("xgboost/testdata/missing/model.ubj")
	if err != nil {
		log.Fatal(err)
	}
	f, err := xgboost.Load(data, xgboost.Options{})
	if err != nil {
		log.Fatal(err)
	}
	return f
}

// A file that is broken or too large is refused, and the error says where or by how much.
func Example_load() {
	data, err := os.ReadFile("xgboost/testdata/missing/model.ubj")
	if err != nil {
		log.Fatal(err)
	}
	if _, err = xgboost.Load(data[:len(data)/2], xgboost.Options{}); err != nil {
		fmt.Println(err)
	}
	_, err = xgboost.Load(data, xgboost.Options{Forest: forest.Options{MaxMemory: 100 << 10}})
	if large, ok := errors.AsType[*forest.MemoryError](err); ok {
		fmt.Println("too large for", large.Limit, "bytes")
	}
	f, err := xgboost.Load(data, xgboost.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.Objective, f.FeatureNames)
	// Output:
	// xgboost model: as UBJSON, at byte 22689: a count is negative or larger than the rest of the file
	// too large for 102400 bytes
	// binary:logistic [share velocity count hours tiny sparse]
}

// Score one row. NaN is a missing value.
func ExampleForest_MarginsTo() {
	f := load()
	row := []float64{0.9, 120, 3, math.NaN(), 0, 0}
	margin, probability := make([]float64, f.NumGroup), make([]float64, f.NumGroup)
	f.MarginsTo(margin, row)
	f.PredictionsTo(probability, margin)
	fmt.Printf("margin %.4f, probability %.4f\n", margin[0], probability[0])
	// Output:
	// margin 1.6284, probability 0.8360
}

// Score a matrix, row by row in one slice. The margins' memory may take the predictions.
func ExampleForest_PredictionsTo() {
	f := load()
	rows := []float64{
		0.9, 120, 3, -2.5, 0, 0,
		0.1, 300, 1, 12, 0, 0,
		0.4, math.NaN(), 2, 0, 0, 0,
	}
	n, err := f.CheckRows(rows)
	if err != nil {
		log.Fatal(err)
	}
	scores := make([]float64, n*f.NumGroup)
	f.MarginsTo(scores, rows)
	f.PredictionsTo(scores, scores)
	for i, p := range scores {
		fmt.Printf("row %d: %.4f\n", i, p)
	}
	// Output:
	// row 0: 0.8360
	// row 1: 0.4141
	// row 2: 0.2826
}

// Explain a row: what each feature adds to the margin, and what a row of which nothing is known has.
func ExampleForest_ContributionsTo() {
	f := load()
	row := []float64{0.9, 120, 3, -2.5, 0, 0}
	contributions := make([]float64, f.NumGroup*(f.NumFeature+1))
	f.ContributionsTo(contributions, row)
	sum := 0.0
	for _, phi := range contributions {
		sum += phi
	}
	fmt.Printf("bias %+.4f, margin %.4f\n", contributions[f.NumFeature], sum)
	// Output:
	// bias -0.4633, margin 1.6284
}

// Name the three features that matter most to a row.
func ExampleTopTo() {
	f := load()
	row := []float64{0.9, 120, 3, -2.5, 0, 0}
	contributions := make([]float64, f.NumFeature+1)
	f.ContributionsTo(contributions, row)
	for _, i := range forest.TopTo(make([]int, 3), contributions[:f.NumFeature]) {
		fmt.Printf("%-8s %+.4f\n", f.FeatureNames[i], contributions[i])
	}
	// Output:
	// share    +1.1235
	// velocity +0.8329
	// count    +0.6801
}

// Rows of another model do not fit, which is an error where they come from elsewhere.
func ExampleForest_CheckRows() {
	f := load()
	_, err := f.CheckRows(make([]float64, 7))
	fmt.Println(err)
	// Output:
	// forest: len(rows) = 7 is not a multiple of the 6 values of a row
}
