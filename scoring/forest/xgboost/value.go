package xgboost

import (
	"fmt"
	"strconv"
)

// Bounds of a decoded file, so that a small hostile one cannot become a large tree of values.
const (
	maxNesting = 32      // objects and arrays inside one another; XGBoost writes 8
	maxValues  = 1 << 20 // names and values other than numbers in arrays: about 50,000 trees
	maxNumbers = 1 << 24 // numbers in arrays: about 1.6 million nodes
)

// A value is a part of a model file in the form that both decoders produce, and its path in the file.
// raw is nil, bool, float64, string, []float64 (an array that is empty or of numbers alone), []any or
// map[string]any. A number that is not an integer has the value of its float32, as in XGBoost.
type value struct {
	path string
	raw  any
}

// errorf returns a FileError about the value.
func (v value) errorf(format string, args ...any) error {
	return &FileError{Path: v.path, Problem: fmt.Sprintf(format, args...)}
}

// find returns a member of an object, and whether it is there.
func (v value) find(name string) (value, bool) {
	member := value{path: v.path + "." + name}
	if v.path == "" {
		member.path = name
	}
	object, _ := v.raw.(map[string]any)
	raw, ok := object[name]
	member.raw = raw
	return member, ok
}

// get returns a member that must be there, through any number of objects.
func (v value) get(names ...string) (value, error) {
	for _, name := range names {
		member, ok := v.find(name)
		if !ok {
			return value{}, member.errorf("it is missing")
		}
		v = member
	}
	return v, nil
}

// list returns the elements of an array.
func (v value) list() ([]value, error) {
	elements, ok := v.raw.([]any)
	if numbers, isNumbers := v.raw.([]float64); !ok && (!isNumbers || len(numbers) > 0) {
		return nil, v.errorf("it is not a list of objects or strings")
	}
	list := make([]value, len(elements))
	for i, e := range elements {
		list[i] = value{path: v.path + "[" + strconv.Itoa(i) + "]", raw: e}
	}
	return list, nil
}

// length returns the number of elements of an array, 0 for another value.
func (v value) length() int {
	switch elements := v.raw.(type) {
	case []float64:
		return len(elements)
	case []any:
		return len(elements)
	}
	return 0
}

// strings returns the member called name, a list of strings; nil if it is empty or not there.
func (v value) strings(name string) ([]string, error) {
	member, ok := v.find(name)
	if !ok {
		return nil, nil
	}
	list, err := member.list()
	if err != nil || len(list) == 0 {
		return nil, err
	}
	texts := make([]string, len(list))
	for i, e := range list {
		if texts[i], ok = e.raw.(string); !ok {
			return nil, e.errorf("it is not a string")
		}
	}
	return texts, nil
}

// text returns the member called name, a string.
func (v value) text(name string) (string, error) {
	member, err := v.get(name)
	if err != nil {
		return "", err
	}
	text, ok := member.raw.(string)
	if !ok {
		return "", member.errorf("it is not a string")
	}
	return text, nil
}

// numbers returns the member called name, an array of numbers.
func (v value) numbers(name string) ([]float64, error) {
	member, err := v.get(name)
	if err != nil {
		return nil, err
	}
	numbers, ok := member.raw.([]float64)
	if !ok {
		return nil, member.errorf("it is not an array of numbers")
	}
	return numbers, nil
}

// integers returns the member called name, an array of integers from low to high.
func (v value) integers(name string, low, high int) ([]int, error) {
	numbers, err := v.numbers(name)
	if err != nil {
		return nil, err
	}
	integers := make([]int, len(numbers))
	for i, x := range numbers {
		if !(x >= float64(low) && x <= float64(high)) || x != float64(int(x)) {
			member, _ := v.find(name)
			return nil, member.errorf("[%d] is not an integer from %d to %d", i, low, high)
		}
		integers[i] = int(x)
	}
	return integers, nil
}

// parameter returns the member called name, an integer from low to high that XGBoost writes as a string.
func (v value) parameter(name string, low, high int) (int, error) {
	text, err := v.text(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		member, _ := v.find(name)
		return 0, member.errorf("it is not an integer from %d to %d", low, high)
	}
	return n, nil
}

// A budget counts down what may still be decoded.
type budget struct{ values, numbers int }

func newBudget() budget { return budget{values: maxValues, numbers: maxNumbers} }

// spend takes n from what is left, and reports whether that was enough.
func spend(left *int, n int) bool {
	if n > *left {
		return false
	}
	*left -= n
	return true
}
