package main

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// repeatRows returns exactly n values: rows again and again, the last time in part.
func repeatRows(rows []float64, n int) []float64 {
	for len(rows) < n {
		rows = append(rows, rows[:min(len(rows), n-len(rows))]...)
	}
	return rows[:n]
}

// drawRows draws n rows, the same for the same forest. A number lies in one of the gaps between its feature's
// thresholds, each as likely, so that every split is tried; 5% of the values are missing.
func drawRows(f *forest.Forest, n int) []float64 {
	random := rand.New(rand.NewPCG(1, uint64(f.NumFeature))) // #nosec G404 -- rows to measure with
	edges := splitPoints(f)
	rows := make([]float64, n*f.NumFeature)
	for i := range rows {
		at := edges[i%f.NumFeature]
		gap := random.IntN(len(at) + 1)
		switch {
		case random.IntN(20) == 0:
			rows[i] = math.NaN()
		case len(at) == 0:
			rows[i] = random.Float64()
		case f.Categorical != nil && f.Categorical[i%f.NumFeature]:
			rows[i] = at[min(gap, len(at)-1)]
		case gap == 0:
			rows[i] = at[0] - 1
		case gap == len(at):
			rows[i] = at[gap-1]
		default:
			rows[i] = at[gap-1] + (at[gap]-at[gap-1])*random.Float64()
		}
	}
	return rows
}

// splitPoints returns each feature's distinct thresholds in order, or the categories that its splits name.
func splitPoints(f *forest.Forest) [][]float64 {
	points := make([][]float64, f.NumFeature)
	for _, tree := range f.Trees {
		for _, n := range tree.Nodes {
			switch t := float64(n.Threshold); {
			case n.Left == 0:
			case n.Set >= 0:
				for _, code := range tree.Sets[n.Set] {
					points[n.Feature] = append(points[n.Feature], float64(code))
				}
			case !math.IsInf(t, 0):
				points[n.Feature] = append(points[n.Feature], t)
			}
		}
	}
	for i := range points {
		slices.Sort(points[i])
		points[i] = slices.Compact(points[i])
	}
	return points
}
