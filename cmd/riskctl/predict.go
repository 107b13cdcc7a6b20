package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
)

func newPredictCommand() *cobra.Command {
	var (
		model, input, output    string
		contributions, allTrees bool
	)
	cmd := &cobra.Command{
		Use:   "predict",
		Short: "Score the rows of a CSV file with any supported model file",
		Long: `Score the rows of a CSV file with any supported model file; no bundle is needed.
The header names the features (any order, all of them); an empty field is a missing value; a category stands by
name, or by code where the model has no names or none of them is a number. Out come margin and prediction (margin_0.. for several classes), and with
--contributions every feature's SHAP value and the bias. Numbers are the shortest that read back as the same float64.
` + memoryEnv + ` bounds the memory that loading the model may take, as in the service.`,
		Example: "  riskctl predict --model model.ubj --input rows.csv --contributions --output out.csv",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			load, err := modelLoader(cmd, model, allTrees)
			if err != nil {
				return err
			}
			f, err := load()
			if err != nil {
				return err
			}
			if contributions && !f.Explains() {
				return notHeld(errors.New("--contributions: the model file has no covers, or some below 0, or its leaves are linear, so nothing can be explained"))
			}
			return transform(cmd, input, output, func(w io.Writer, in *source) error {
				start := time.Now()
				rows, err := newPrediction(f, contributions).run(cmd.Context(), w, in)
				if err == nil {
					in.report("%d rows in %.1f s, %.0f rows/s", rows, time.Since(start).Seconds(), float64(rows)/time.Since(start).Seconds())
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&model, "model", "", "model file: XGBoost JSON or UBJSON, or LightGBM text")
	cmd.Flags().StringVar(&input, "input", "-", "CSV file to read, - for standard input")
	cmd.Flags().StringVar(&output, "output", "-", "CSV file to write, - for standard output")
	cmd.Flags().BoolVar(&contributions, "contributions", false, "add every feature's SHAP contribution")
	cmd.Flags().BoolVar(&allTrees, "all-trees", false, "use every tree, as XGBoost's Booster.predict does, instead of the best iteration")
	required(cmd, "model")
	return cmd
}

// memoryEnv bounds the memory that loading a model takes, as in the service.
const memoryEnv = "MODEL_MEMORY_LIMIT"

// kernelEnv chooses the kernel of forests, for comparisons: reference, go or avx512. All have the same bits.
const kernelEnv = "FOREST_KERNEL"

// modelOptions bound a model's memory as the service's setting does, and print progress once it takes over a second.
func modelOptions(cmd *cobra.Command) (forest.Options, error) {
	var s struct {
		Memory int64 `env:"MODEL_MEMORY_LIMIT"`
	}
	if err := envconfig.Process(cmd.Context(), &s); err != nil || s.Memory < 0 {
		return forest.Options{}, usage(fmt.Errorf("%s is not a number of bytes", memoryEnv))
	}
	return forest.Options{MaxMemory: s.Memory, Progress: forest.NewProgress(func(part float64) error {
		fmt.Fprintf(cmd.ErrOrStderr(), "preparing the model: %.0f%%\n", 100*part)
		return context.Cause(cmd.Context())
	})}, nil
}

// refusedMemory names the setting behind an error, if it is one of memory.
func refusedMemory(err error) error {
	if _, large := errors.AsType[*forest.MemoryError](err); large {
		return fmt.Errorf("%w; %s sets the limit", err, memoryEnv)
	}
	return err
}

// modelLoader reads a model file and returns what makes a forest of it, as often as it is called.
func modelLoader(cmd *cobra.Command, name string, allTrees bool) (func() (*forest.Forest, error), error) {
	data, err := os.ReadFile(name) // #nosec G304 -- the user names the file
	if err != nil {
		return nil, dependency(err)
	}
	options, err := modelOptions(cmd)
	if err != nil {
		return nil, err
	}
	return func() (*forest.Forest, error) {
		f, err := bundle.LoadModel(data, allTrees, options)
		if err != nil {
			return nil, notHeld(refusedMemory(fmt.Errorf("load %s: %w", name, err)))
		}
		kernel := os.Getenv(kernelEnv)
		if kernel == "" {
			return f, nil
		}
		if f, err = f.WithKernel(forest.Kernel(kernel)); err != nil {
			return nil, usage(fmt.Errorf("%s: %w", kernelEnv, err))
		}
		return f, nil
	}, nil
}

// source is an input with its progress: a bar on a terminal, once the work has taken a second.
type source struct {
	io.Reader
	file   *os.File // nil for standard input
	bar    *progressbar.ProgressBar
	stderr io.Writer
}

func openInput(cmd *cobra.Command, name string) (*source, error) {
	if name == "-" {
		return &source{Reader: cmd.InOrStdin(), stderr: cmd.ErrOrStderr()}, nil
	}
	f, err := os.Open(name) // #nosec G304 -- the user names the file
	if err != nil {
		return nil, dependency(err)
	}
	s := &source{Reader: f, file: f, stderr: cmd.ErrOrStderr()}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() && isTerminal(os.Stderr) {
		s.bar = progressbar.NewOptions64(info.Size(), progressbar.OptionSetWriter(os.Stderr),
			progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(time.Second))
		s.Reader = io.TeeReader(f, s.bar)
	}
	return s, nil
}

// report prints one line for people, beneath the bar.
func (s *source) report(format string, args ...any) {
	if s.bar != nil {
		_ = s.bar.Finish()
	}
	fmt.Fprintf(s.stderr, format+"\n", args...)
}

// Close closes a file; its reading is done, so there is nothing to hear of it.
func (s *source) Close() {
	if s.file != nil {
		_ = s.file.Close()
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// transform has work read the input and write the output, each a file or "-" for a standard stream.
func transform(cmd *cobra.Command, input, output string, work func(io.Writer, *source) error) error {
	in, err := openInput(cmd, input)
	if err != nil {
		return err
	}
	defer in.Close()
	return writeOutput(cmd, output, func(w io.Writer) error { return work(w, in) })
}

func writeOutput(cmd *cobra.Command, name string, write func(io.Writer) error) error {
	if name == "-" {
		return write(cmd.OutOrStdout())
	}
	return writeFile(name, write)
}

// required marks flags as required; the names are this file's own, so an error is a mistake in the program.
func required(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
}
