package lightgbm

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxLines bounds the lines of a file; a tree has about 22.
const maxLines = 1 << 24

// lines hands out the lines of a text, trimmed of space and of the \r of other systems' line ends.
type lines struct {
	rest   string
	number int // of the line handed out last, from 1
}

// next returns the next line, and false at the end and after maxLines.
func (l *lines) next() (string, bool) {
	if l.rest == "" || l.number == maxLines {
		return "", false
	}
	var line string
	line, l.rest, _ = strings.Cut(l.rest, "\n")
	l.number++
	return strings.TrimSpace(line), true
}

// maxFields bounds the lines of a section; LightGBM writes 21.
const maxFields = 64

// section is a run of lines key=value: the file's header, or one tree.
type section struct {
	tree   int // -1 for the header
	line   int // of its beginning
	fields []field
}

type field struct {
	key, text string
	line      int
}

// add takes a line; a key without a value has an empty text.
func (s *section) add(text string, number int) error {
	key, value, _ := strings.Cut(text, "=")
	switch _, ok := s.field(key); {
	case ok:
		return &FileError{Line: number, Tree: s.tree, Problem: quote(key) + " is there twice"}
	case len(s.fields) == maxFields:
		return &FileError{Line: number, Tree: s.tree, Problem: fmt.Sprintf("there are more than %d keys", maxFields)}
	}
	s.fields = append(s.fields, field{key, value, number})
	return nil
}

// field returns the line of a key, and whether there is one.
func (s *section) field(key string) (field, bool) {
	for i := range s.fields {
		if s.fields[i].key == key {
			return s.fields[i], true
		}
	}
	return field{}, false
}

// errorf returns an error about a key's line, or about the section where the key is missing.
func (s *section) errorf(key, format string, args ...any) error {
	e := &FileError{Line: s.line, Tree: s.tree, Problem: key + ": " + fmt.Sprintf(format, args...)}
	if f, ok := s.field(key); ok {
		e.Line = f.line
	}
	return e
}

// text returns the text of a key that must be there.
func (s *section) text(key string) (string, error) {
	f, ok := s.field(key)
	if !ok {
		return "", s.errorf(key, "it is missing")
	}
	return f.text, nil
}

// integer returns the number of a key that must be there.
func (s *section) integer(key string, least, most int) (int, error) {
	numbers, err := s.integers(nil, key, 1, least, most)
	if err != nil {
		return 0, err
	}
	return numbers[0], nil
}

// integers returns the n numbers of a key that must be there, in the memory of to if they fit.
func (s *section) integers(to []int, key string, n, least, most int) ([]int, error) {
	return list(s, to, key, n, func(text string) (int, error) {
		v, err := strconv.Atoi(text)
		if err != nil || v < least || v > most {
			return 0, s.errorf(key, "%s is not a whole number from %d to %d", quote(text), least, most)
		}
		return v, nil
	})
}

// numbers returns the n finite numbers of a key that must be there, in the memory of to if they fit.
func (s *section) numbers(to []float64, key string, n int) ([]float64, error) {
	return list(s, to, key, n, func(text string) (float64, error) {
		v, err := parseFloat(text)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, s.errorf(key, "%s is not a finite number", quote(text))
		}
		return v, nil
	})
}

// thresholds returns the n numbers of a key that must be there, in the memory of to if they fit. They may be
// infinite: LightGBM writes inf where a split only parts missing values from the others.
func (s *section) thresholds(to []float64, key string, n int) ([]float64, error) {
	return list(s, to, key, n, func(text string) (float64, error) {
		v, err := parseFloat(text)
		if err != nil && !math.IsInf(v, 0) || math.IsNaN(v) {
			return 0, s.errorf(key, "%s is not a number", quote(text))
		}
		return v, nil
	})
}

// parseFloat is strconv's, with a short way for small whole numbers, as counts are.
func parseFloat(text string) (float64, error) {
	if len(text) <= 15 {
		whole, digits := 0, 0
		for ; digits < len(text) && text[digits] >= '0' && text[digits] <= '9'; digits++ {
			whole = 10*whole + int(text[digits]-'0')
		}
		if digits == len(text) && digits > 0 {
			return float64(whole), nil
		}
	}
	return strconv.ParseFloat(text, 64)
}

// list parses the n words of a key. It counts them first: a lying count must not cost memory.
func list[T any](s *section, to []T, key string, n int, parse func(string) (T, error)) ([]T, error) {
	text, err := s.text(key)
	if err != nil {
		return nil, err
	}
	if count := countWords(text); count != n {
		return nil, s.errorf(key, "it has %d values, not %d", count, n)
	}
	values := slices.Grow(to[:0], n)
	for len(values) < n {
		var word string
		word, text = cutWord(text)
		v, err := parse(word)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// countWords returns the number of words in a line.
func countWords(line string) int {
	count, inside := 0, false
	for i := range len(line) {
		word := line[i] > ' '
		if word && !inside {
			count++
		}
		inside = word
	}
	return count
}

// cutWord returns the first word of a line that has one, and what comes after it.
func cutWord(line string) (word, rest string) {
	first := 0
	for line[first] <= ' ' {
		first++
	}
	last := first
	for last < len(line) && line[last] > ' ' {
		last++
	}
	return line[first:last], line[last:]
}

// quote returns the beginning of a text of the file, for an error.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}
