package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

func newBenchCommand() *cobra.Command {
	var (
		model, rows string
		asJSON      bool
		seconds     float64
	)
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what scoring and explaining cost with a model on this machine",
		Long: `Measure what scoring and explaining cost with a model on this machine: a row a call and 1024 rows a call, on one core
and on all, the time and memory to load, and how many orders a second one core decides. Every figure is the median of
5 rounds, and each round visits every case, so that a busy moment touches all of them alike.

The rows are those of a CSV file as predict reads it (as many as are measured, repeated if there are fewer), or
are drawn from the gaps between the model's own thresholds, 5% of the values missing.
The plan is for the engine alone: parsing, Kafka and the network come on top. ` + kernelEnv + `=go compares with the
kernel in pure Go.`,
		Example: "  riskctl bench --model models/trendbuy_xgb_v1.0.0/model.ubj --seconds 20",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !(seconds > 0 && seconds <= 3600) {
				return usage(errors.New("--seconds must be above 0 and at most 3600"))
			}
			load, err := modelLoader(cmd, model, false)
			if err != nil {
				return err
			}
			b := benchmark{budget: time.Duration(seconds * float64(time.Second)), progress: benchProgress()}
			report, err := b.run(cmd.Context(), load, func(f *forest.Forest) (matrix, error) { return benchMatrix(cmd, f, rows) })
			if err != nil {
				return err
			}
			report.Model.File = filepath.Base(model)
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return dependency(enc.Encode(report))
			}
			return dependency(report.print(cmd.OutOrStdout()))
		},
	}
	cmd.Flags().StringVar(&model, "model", "", "model file: XGBoost JSON or UBJSON, or LightGBM text")
	cmd.Flags().StringVar(&rows, "rows", "", "CSV file of rows; without it, rows are drawn from the model's thresholds")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().Float64Var(&seconds, "seconds", 10, "time to measure for, loading aside; slow models take longer")
	required(cmd, "model")
	return cmd
}

// benchMatrix returns the rows to measure with: those of the CSV file, or drawn from the forest where name is empty.
func benchMatrix(cmd *cobra.Command, f *forest.Forest, name string) (matrix, error) {
	if name == "" {
		return matrix{rows: drawRows(f, benchRows), source: "drawn from the model's thresholds"}, nil
	}
	in, err := openInput(cmd, name)
	if err != nil {
		return matrix{}, err
	}
	defer in.Close()
	p := newPrediction(f, false)
	records, err := p.open(in)
	if err != nil {
		return matrix{}, err
	}
	m := matrix{source: filepath.Base(name)}
	for n := predictRows; n == predictRows && len(m.rows) < benchRows*f.NumFeature; m.rows = append(m.rows, p.rows...) {
		if n, err = p.read(records, len(m.rows)/f.NumFeature); err != nil {
			return matrix{}, notHeld(err)
		}
	}
	if len(m.rows) == 0 {
		return matrix{}, notHeld(fmt.Errorf("%s has no rows", name))
	}
	m.rows = repeatRows(m.rows, benchRows*f.NumFeature)
	return m, nil
}

// print writes the report for people.
func (r *benchReport) print(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "model\t%s: %d trees, %d features, engine %s\n", r.Model.File, r.Model.Trees, r.Model.Features, r.Model.Engine)
	fmt.Fprintf(out, "machine\t%s, %d cores, %s, %s\n", r.Machine.CPU, r.Machine.Cores, r.Machine.Platform, r.Machine.Go)
	fmt.Fprintf(out, "load\t%.3f s, %.1f MiB of heap\n", r.LoadSeconds, float64(r.HeapBytes)/(1<<20))
	fmt.Fprintf(out, "rows\t%d, %s\n\n", r.Rows, r.RowSource)
	if err := out.Flush(); err != nil {
		return err
	}
	out = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "work\trows/call\tcores\tus/row\trows/s\tallocations/call\t")
	for _, c := range r.Costs {
		fmt.Fprintf(out, "%s\t%d\t%d\t%.3f\t%.0f\t%d\t\n", c.Work, c.RowsPerCall, c.Cores, c.NanosecondsPerRow/1e3, c.RowsPerSecond, c.AllocationsPerCall)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	work := "score and explain"
	if !r.Explains {
		work = "score only: the model file has no covers, so nothing can be explained"
	}
	_, err := fmt.Fprintf(w, "\nplan with %.0f orders/s/core (%s; batches, all cores busy)\n", r.OrdersPerSecondPerCore, work)
	return err
}
