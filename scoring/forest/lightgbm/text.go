package lightgbm

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// lines hands out the lines of a text, trimmed of space and of the \r of other systems' line ends.
type lines struct {
	rest   string
	number int // of the line handed out last, from 1
}

// next returns the next line, and false at the end.
func (l *lines) next() (string, bool) {
	if l.rest == "" {
		return "", false
	}
	var line string
	line, l.rest, _ = strings.Cut(l.rest, "\n")
	l.number++
	return strings.TrimSpace(line), true
}

// section is a run of lines key=value: the file's header, or one tree.
type section struct {
	tree   int // -1 for the header
	line   int // of its beginning
	fields map[string]field
}

type field struct {
	text string
	line int
}

func newSection(tree, line int) *section {
	return &section{tree: tree, line: line, fields: map[string]field{}}
}

// add takes a line; a key without a value has an empty text.
func (s *section) add(text string, number int) error {
	key, value, _ := strings.Cut(text, "=")
	if _, ok := s.fields[key]; ok {
		return &FileError{Line: number, Tree: s.tree, Problem: quote(key) + " is there twice"}
	}
	s.fields[key] = field{value, number}
	return nil
}

// errorf returns an error about a key's line, or about the section where the key is missing.
func (s *section) errorf(key, format string, args ...any) error {
	e := &FileError{Line: s.line, Tree: s.tree, Problem: key + ": " + fmt.Sprintf(format, args...)}
	if f, ok := s.fields[key]; ok {
		e.Line = f.line
	}
	return e
}

// text returns the text of a key that must be there.
func (s *section) text(key string) (string, error) {
	f, ok := s.fields[key]
	if !ok {
		return "", s.errorf(key, "it is missing")
	}
	return f.text, nil
}

// integer returns the number of a key that must be there.
func (s *section) integer(key string, least, most int) (int, error) {
	numbers, err := s.integers(key, 1, least, most)
	if err != nil {
		return 0, err
	}
	return numbers[0], nil
}

// integers returns the n numbers of a key that must be there.
func (s *section) integers(key string, n, least, most int) ([]int, error) {
	return list(s, key, n, func(text string) (int, error) {
		v, err := strconv.Atoi(text)
		if err != nil || v < least || v > most {
			return 0, s.errorf(key, "%s is not a whole number from %d to %d", quote(text), least, most)
		}
		return v, nil
	})
}

// numbers returns the n finite numbers of a key that must be there.
func (s *section) numbers(key string, n int) ([]float64, error) {
	return list(s, key, n, func(text string) (float64, error) {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, s.errorf(key, "%s is not a finite number", quote(text))
		}
		return v, nil
	})
}

// thresholds returns the n numbers of a key that must be there. They may be infinite: LightGBM writes inf where
// a split only parts missing values from the others.
func (s *section) thresholds(key string, n int) ([]float64, error) {
	return list(s, key, n, func(text string) (float64, error) {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil && !math.IsInf(v, 0) || math.IsNaN(v) {
			return 0, s.errorf(key, "%s is not a number", quote(text))
		}
		return v, nil
	})
}

// list parses the n words of a key. It counts them first: a lying count must not cost memory.
func list[T any](s *section, key string, n int, parse func(string) (T, error)) ([]T, error) {
	text, err := s.text(key)
	if err != nil {
		return nil, err
	}
	count := 0
	for range strings.FieldsSeq(text) {
		count++
	}
	if count != n {
		return nil, s.errorf(key, "it has %d values, not %d", count, n)
	}
	values := make([]T, 0, n)
	for word := range strings.FieldsSeq(text) {
		v, err := parse(word)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// quote returns the beginning of a text of the file, for an error.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}
