package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// predictRows is how many rows are held in memory at a time.
const predictRows = 1024

// prediction streams CSV rows through a forest.
type prediction struct {
	forest        *forest.Forest
	contributions bool
	columns       []int // column -> feature
	categories    []categoryNames
	line          int // of the input, of the row that was read last

	rows, margins, predictions, phi []float64
}

func newPrediction(f *forest.Forest, contributions bool) *prediction {
	p := &prediction{
		forest:        f,
		contributions: contributions,
		categories:    make([]categoryNames, f.NumFeature),
		margins:       make([]float64, predictRows*f.NumGroup),
		predictions:   make([]float64, predictRows*f.NumGroup),
	}
	if contributions {
		p.phi = make([]float64, predictRows*f.NumGroup*(f.NumFeature+1))
	}
	for i, names := range f.Categories {
		p.categories[i] = newCategoryNames(names)
	}
	return p
}

// run reads rows from r, writes their predictions to w, and returns how many there were.
func (p *prediction) run(ctx context.Context, w io.Writer, r io.Reader) (int, error) {
	in, err := p.open(r)
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	if _, err := out.Write(p.header()); err != nil {
		return 0, dependency(err)
	}
	var line []byte
	for rows := 0; ; {
		n, err := p.read(in, rows)
		if err != nil {
			return rows, notHeld(err)
		}
		p.predict(n)
		for i := range n {
			line = p.appendRow(line[:0], i)
			if _, err := out.Write(line); err != nil {
				return rows, dependency(err)
			}
		}
		rows += n
		if n < predictRows {
			return rows, dependency(out.Flush())
		}
		if ctx.Err() != nil {
			return rows, context.Cause(ctx)
		}
	}
}

// open reads the header of the CSV in r and returns the reader of its rows. Spreadsheets begin a file with a byte order mark.
func (p *prediction) open(r io.Reader) (*csv.Reader, error) {
	const mark = "\ufeff"
	buffered := bufio.NewReaderSize(r, 1<<16)
	if begin, _ := buffered.Peek(len(mark)); string(begin) == mark {
		_, _ = buffered.Discard(len(mark)) // which was peeked at
	}
	in := csv.NewReader(buffered)
	in.ReuseRecord = true
	header, err := in.Read()
	if err != nil {
		return nil, notHeld(fmt.Errorf("read header: %w", err))
	}
	p.line, _ = in.FieldPos(0)
	return in, notHeld(p.matchColumns(header))
}

// matchColumns finds the feature of each column: by name, or by position where the model has no names.
func (p *prediction) matchColumns(header []string) error {
	names := p.forest.FeatureNames
	if len(header) != p.forest.NumFeature {
		return fmt.Errorf("the input has %d columns, the model %d features", len(header), p.forest.NumFeature)
	}
	p.columns = make([]int, len(header))
	for column, name := range header {
		p.columns[column] = column
		if names == nil {
			continue
		}
		feature := slices.Index(names, name)
		if feature < 0 || slices.Contains(header[:column], name) {
			return fmt.Errorf("column %q is not a feature of the model, or is there twice", name)
		}
		p.columns[column] = feature
	}
	return nil
}

// read fills rows with at most predictRows rows and returns their number.
func (p *prediction) read(in *csv.Reader, before int) (int, error) {
	p.rows = p.rows[:0]
	width := p.forest.NumFeature
	for n := range predictRows {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("row %d: %w", before+n+1, err)
		}
		if err := p.follows(in, record); err != nil {
			return n, err
		}
		start := len(p.rows)
		p.rows = slices.Grow(p.rows, width)[:start+width]
		for column, text := range record {
			feature := p.columns[column]
			x, err := p.value(feature, text)
			if err != nil {
				return n, fmt.Errorf("row %d, column %d: %w", before+n+1, column+1, err)
			}
			p.rows[start+feature] = x
		}
	}
	return predictRows, nil
}

// follows refuses empty lines of a single column, which the reader skips, though each may be a missing value.
func (p *prediction) follows(in *csv.Reader, record []string) error {
	line, _ := in.FieldPos(0)
	if before := p.line; len(record) == 1 && line > before+1 {
		return fmt.Errorf("line %d is empty: write \"\" for a missing value", before+1)
	}
	p.line = line + strings.Count(record[0], "\n")
	return nil
}

// value reads one field: empty is missing, a category stands by name or code.
func (p *prediction) value(feature int, text string) (float64, error) {
	if text == "" {
		return math.NaN(), nil
	}
	if names := &p.categories[feature]; names.codes != nil {
		return names.code(text)
	}
	x, err := strconv.ParseFloat(text, 64)
	switch {
	case err == nil:
	case p.forest.Categorical != nil && p.forest.Categorical[feature]:
		return 0, errors.New("not a category's code: the model file has no names of this feature's categories")
	case text == "True" || text == "False":
		return 0, errors.New("not a number: write 1 for True and 0 for False")
	}
	held, precision := x, 64
	if !p.forest.Wide {
		held, precision = float64(float32(x)), 32
	}
	if err != nil || math.IsNaN(x) || math.IsInf(held, 0) {
		return 0, fmt.Errorf("not a number that the model's %d-bit floating point can hold; leave a missing value empty", precision)
	}
	return x, nil
}

func (p *prediction) predict(n int) {
	f := p.forest
	p.margins, p.predictions = p.margins[:n*f.NumGroup], p.predictions[:n*f.NumGroup]
	f.MarginsTo(p.margins, p.rows)
	f.PredictionsTo(p.predictions, p.margins)
	if p.contributions {
		p.phi = p.phi[:n*f.NumGroup*(f.NumFeature+1)]
		f.ContributionsTo(p.phi, p.rows)
	}
}

// header names margins, predictions, then contributions, each group's in turn.
func (p *prediction) header() []byte {
	f := p.forest
	var names []string
	for _, name := range []string{"margin", "prediction"} {
		for g := range f.NumGroup {
			names = append(names, p.grouped(name, g))
		}
	}
	for g := 0; p.contributions && g < f.NumGroup; g++ {
		for i := range f.NumFeature {
			name := "f" + strconv.Itoa(i)
			if f.FeatureNames != nil {
				name = f.FeatureNames[i]
			}
			names = append(names, p.grouped("contrib", g)+":"+name)
		}
		names = append(names, p.grouped("contrib", g)+":bias")
	}
	return appendCSV(nil, names)
}

func (p *prediction) grouped(name string, group int) string {
	if p.forest.NumGroup == 1 {
		return name
	}
	return name + "_" + strconv.Itoa(group)
}

func (p *prediction) appendRow(dst []byte, row int) []byte {
	groups := p.forest.NumGroup
	width := groups * (p.forest.NumFeature + 1)
	dst = appendNumbers(dst, p.margins[row*groups:(row+1)*groups])
	dst = appendNumbers(append(dst, ','), p.predictions[row*groups:(row+1)*groups])
	if p.contributions {
		dst = appendNumbers(append(dst, ','), p.phi[row*width:(row+1)*width])
	}
	return append(dst, '\n')
}

func appendNumbers(dst []byte, numbers []float64) []byte {
	for i, x := range numbers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(dst, x, 'g', -1, 64)
	}
	return dst
}

// appendCSV appends one line, quoting the names that need it.
func appendCSV(dst []byte, fields []string) []byte {
	w := csv.NewWriter((*appender)(&dst))
	// Writing to memory does not fail.
	_ = w.Write(fields)
	w.Flush()
	return dst
}

type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}
