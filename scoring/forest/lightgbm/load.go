// Package lightgbm provides the loader of LightGBM's text model files into a [forest.Forest].
//
// It reads the versions v2, v3 and v4, which LightGBM 2.1 to 4.7 write. A file is taken as hostile: its size,
// counts, indices and numbers are checked before they are relied on.
package lightgbm

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// DefaultMaxBytes bounds a model file where Options does not: 5,000 trees of 500 leaves take about 230 MiB.
const DefaultMaxBytes = 256 << 20

// Options say how a model file is read. A text file holds the trees that predict, up to the best iteration
// if there was early stopping, so all of them are kept.
type Options struct {
	// MaxBytes bounds the file; 0 means DefaultMaxBytes.
	MaxBytes int
	// Forest bounds and watches how the forest is made. Load counts the file's own bytes into what is held.
	Forest forest.Options
}

// A FileError says what is wrong with a model file: that it is broken, beyond a bound, or of a kind
// that this package does not read.
type FileError struct {
	// Line counts from 1; it is 0 where the problem is not in one line.
	Line int
	// Tree counts from 0 as in the file; it is -1 outside the trees.
	Tree int
	// Problem is a sentence for the person who has the file.
	Problem string
	// Err is the cause where the forest could not be made: a *[forest.InvalidError], a *[forest.MemoryError], or
	// what Progress returned; else nil.
	Err error
}

// Error returns the line, the tree and the problem.
func (e *FileError) Error() string {
	var b strings.Builder
	b.WriteString("lightgbm model: ")
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Tree >= 0 {
		fmt.Fprintf(&b, "tree %d: ", e.Tree)
	}
	b.WriteString(e.Problem)
	return b.String()
}

// Unwrap returns the cause, if there is one.
func (e *FileError) Unwrap() error { return e.Err }

// Load reads a model that Booster.save_model or model_to_string wrote. Every error is a *[FileError]. The
// forest does not share memory with data.
func Load(data []byte, o Options) (*forest.Forest, error) {
	limit := o.MaxBytes
	if limit == 0 {
		limit = DefaultMaxBytes
	}
	if len(data) > limit {
		return nil, problem("it has %d bytes; at most %d are read", len(data), limit)
	}
	// Not a copy: nothing keeps a part of it.
	text := unsafe.String(unsafe.SliceData(data), len(data))
	o.Forest.Held += int64(len(data))
	if err := o.Forest.Fits(countNodes(text)); err != nil {
		return nil, &FileError{Tree: -1, Problem: err.Error(), Err: err}
	}
	description, err := readModel(&lines{rest: text}, o.Forest.Progress)
	if err != nil {
		return nil, err
	}
	f, err := forest.NewWith(*description, o.Forest)
	if err != nil {
		return nil, &FileError{Tree: -1, Problem: strings.TrimPrefix(err.Error(), "forest: "), Err: err}
	}
	return f, nil
}

// problem returns an error about the file as a whole.
func problem(format string, args ...any) error {
	return &FileError{Tree: -1, Problem: fmt.Sprintf(format, args...)}
}
