package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
)

func newScoreCommand() *cobra.Command {
	var dir, input, output string
	cmd := &cobra.Command{
		Use:   "score",
		Short: "Decide the orders of a JSON lines file, as POST /score would",
		Long: `Decide the orders of a JSON lines file, as POST /score?explain=full would: one order a line in, one answer a line out.
A refused order's line is {"line": N, "errors": [...]}; its neighbours are scored.`,
		Example: "  riskctl score --bundle models/trendbuy_xgb_v1.0.0 --input orders.jsonl --output results.jsonl",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := openBundle(cmd, dir, nil)
			if err != nil {
				return err
			}
			return transform(cmd, input, output, func(w io.Writer, in *source) error {
				start := time.Now()
				scored, refused, err := scoreLines(cmd.Context(), w, in, newScorer(b, b.Forest))
				if err == nil {
					in.report("%d orders scored, %d refused, in %.1f s", scored, refused, time.Since(start).Seconds())
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&dir, "bundle", "", "bundle directory or tar")
	cmd.Flags().StringVar(&input, "input", "-", "JSON lines file to read, - for standard input")
	cmd.Flags().StringVar(&output, "output", "-", "JSON lines file to write, - for standard output")
	required(cmd, "bundle")
	return cmd
}

// openBundle opens a bundle; one that fails a check is a thing that does not hold.
func openBundle(cmd *cobra.Command, path string, keys []string) (*bundle.Bundle, error) {
	options, err := modelOptions(cmd)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Open(path, bundle.Options{PublicKeys: keys, Model: options})
	if _, failed := errors.AsType[*bundle.CheckError](err); failed {
		return nil, notHeld(refusedMemory(err))
	}
	return b, dependency(err)
}

// refusal is the answer to an order that is not scored.
type refusal struct {
	Line   int            `json:"line"`
	Errors []refusalError `json:"errors"`
}

type refusalError struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

func newRefusal(line int, err error) refusal {
	r := refusal{Line: line}
	var syntax *schemas.SyntaxError
	var invalid *schemas.Invalid
	switch {
	case errors.As(err, &syntax):
		r.Errors = []refusalError{{syntax.Pointer, syntax.Detail}}
	case errors.As(err, &invalid):
		for _, p := range invalid.Problems {
			r.Errors = append(r.Errors, refusalError{p.Pointer, p.Detail})
		}
	}
	return r
}

func scoreLines(ctx context.Context, w io.Writer, r io.Reader, s *scoring.Scorer) (scored, refused int, err error) {
	model := schemas.Model{Version: s.Manifest().Version, Digest: s.Digest().String(), Engine: s.EngineID()}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, schemas.MaxEventBytes)
	out := bufio.NewWriterSize(w, 1<<16)
	var line []byte
	for number := 1; lines.Scan() && ctx.Err() == nil; number++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		order, err := schemas.ParseOrder(lines.Bytes(), s.Contract(), schemas.RefuseExtra)
		if err != nil {
			refused++
			if line, err = json.Marshal(newRefusal(number, err)); err != nil {
				return scored, refused, fmt.Errorf("line %d: %w", number, err)
			}
		} else {
			scored++
			d := &s.Decide(nil, []scoring.Order{order})[0]
			line = schemas.AppendAnswer(line[:0], model, &order, d, s.AllReasons(d, &order))
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return scored, refused, dependency(err)
		}
	}
	if err := errors.Join(lines.Err(), context.Cause(ctx)); err != nil {
		return scored, refused, fmt.Errorf("read line %d: %w", scored+refused+1, err)
	}
	return scored, refused, dependency(out.Flush())
}
