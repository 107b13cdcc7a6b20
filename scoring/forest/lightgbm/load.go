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

// DefaultMaxBytes bounds a model file where Options does not.
const DefaultMaxBytes = 64 << 20

// Options say how a model file is read. A text file holds the trees that predict, up to the best iteration
// if there was early stopping, so all of them are kept.
type Options struct {
	// MaxBytes bounds the file; 0 means DefaultMaxBytes.
	MaxBytes int
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
	description, err := readModel(&lines{rest: unsafe.String(unsafe.SliceData(data), len(data))}) // not a copy: nothing keeps a part of it
	if err != nil {
		return nil, err
	}
	f, err := forest.New(*description)
	if err != nil {
		return nil, problem("%s", strings.TrimPrefix(err.Error(), "forest: "))
	}
	return f, nil
}

// problem returns an error about the file as a whole.
func problem(format string, args ...any) error {
	return &FileError{Tree: -1, Problem: fmt.Sprintf(format, args...)}
}
