// Package xgboost provides the loader of XGBoost model files, JSON and UBJSON, into a [forest.Forest].
//
// It reads what XGBoost 1.7 to 3.4 write for the boosters gbtree and dart with one value a leaf. A file is taken as
// hostile: its size, depth, counts, indices and numbers are checked before they are relied on.
package xgboost

import (
	"fmt"
	"strings"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// What bounds a model file where Options does not. 5,000 complete trees of depth 10 take 335 MiB as UBJSON, and JSON
// takes longer to read.
const (
	DefaultMaxBytes     = 512 << 20
	DefaultMaxJSONBytes = 256 << 20
)

// Options say how a model file is read. The zero value reads it as XGBoost's scikit-learn classes do.
type Options struct {
	// AllTrees keeps the trees after the best iteration of early stopping, as Booster.predict does.
	AllTrees bool
	// MaxBytes bounds the file; 0 means DefaultMaxBytes, or DefaultMaxJSONBytes for JSON.
	MaxBytes int
	// Forest bounds and watches how the forest is made. Load counts the file's own bytes into what is held.
	Forest forest.Options
}

// A FileError says what is wrong with a model file: that it is broken, beyond a bound, or of a kind
// that this package does not read.
type FileError struct {
	// Path is the part of the model, as in learner.gradient_booster.model.trees[3]; empty for the file.
	Path string
	// Problem is a sentence for the person who has the file.
	Problem string
	// Err is the cause where the forest could not be made: a *[forest.InvalidError], a *[forest.MemoryError], or
	// what Progress returned; else nil.
	Err error
}

// Error returns the path and the problem.
func (e *FileError) Error() string {
	if e.Path == "" {
		return "xgboost model: " + e.Problem
	}
	return "xgboost model: " + e.Path + ": " + e.Problem
}

// Unwrap returns the cause, if there is one.
func (e *FileError) Unwrap() error { return e.Err }

// Load reads a model that XGBoost's save_model wrote, telling JSON from UBJSON by its first bytes. Every
// error is a *[FileError]. The forest does not share memory with data.
func Load(data []byte, o Options) (*forest.Forest, error) {
	form, err := formOf(data)
	if err != nil {
		return nil, err
	}
	limit := o.MaxBytes
	if limit == 0 {
		limit = form.maxBytes
	}
	if len(data) > limit {
		return nil, &FileError{Problem: fmt.Sprintf("it has %d bytes; at most %d are read", len(data), limit)}
	}
	o.Forest.Held += int64(len(data)) * form.copies
	raw, err := form.decode(data)
	if err != nil {
		return nil, err
	}
	description, err := readModel(value{raw: raw}, o)
	if err != nil {
		return nil, err
	}
	f, err := forest.NewWith(*description, o.Forest)
	if err != nil {
		return nil, &FileError{Problem: strings.TrimPrefix(err.Error(), "forest: "), Err: err}
	}
	return f, nil
}

// A form is one of the two that model files have.
type form struct {
	decode   func([]byte) (any, error)
	maxBytes int
	copies   int64 // of the file that are in memory while it is read
}

// formOf chooses by the byte after the brace: UBJSON has the type of the key's length there.
func formOf(data []byte) (form, error) {
	if len(data) < 2 || data[0] != '{' {
		return form{}, refuseForeign(data)
	}
	switch data[1] {
	case 'i', 'U', 'I', 'l', 'L', 'N', '$', '#':
		return form{decodeUBJSON, DefaultMaxBytes, 1}, nil
	}
	return form{decodeJSON, DefaultMaxJSONBytes, 2}, nil
}
