package xgboost

import (
	"fmt"
	"slices"
	"strconv"
)

// Bounds of a decoded file, so that a small hostile one cannot become a large tree of values.
const (
	maxNesting = 32      // objects and arrays inside one another; XGBoost writes 8
	maxValues  = 1 << 20 // names and values other than numbers in arrays: about 50,000 trees
	maxText    = 1 << 24 // bytes of one text in UBJSON
)

// A value is a part of a model file in the form that both decoders produce, and its path in the file.
// raw is nil, bool, float64, string, numbers (an array that is empty or of numbers alone), []any or
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
	if numbers, isNumbers := v.raw.(numbers); !ok && (!isNumbers || numbers.count > 0) {
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
	case numbers:
		return elements.count
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

// array returns the member called name, an array of numbers.
func (v value) array(name string) (numbers, error) {
	member, err := v.get(name)
	if err != nil {
		return numbers{}, err
	}
	array, ok := member.raw.(numbers)
	if !ok {
		return numbers{}, member.errorf("it is not an array of numbers")
	}
	return array, nil
}

// appendNumbers appends the numbers of the member called name to dst.
func (v value) appendNumbers(dst []float64, name string) ([]float64, error) {
	array, err := v.array(name)
	if err != nil {
		return dst, err
	}
	return array.appendTo(slices.Grow(dst, array.count)), nil
}

// integers returns the member called name, an array of at most as many integers from low to high.
func (v value) integers(name string, most, low, high int) ([]int, error) {
	array, err := v.array(name)
	if err != nil {
		return nil, err
	}
	if array.count > most {
		member, _ := v.find(name)
		return nil, member.errorf("it has %d elements; at most %d are read", array.count, most)
	}
	floats := array.appendTo(make([]float64, 0, array.count))
	return appendIntegers(v, make([]int, 0, len(floats)), name, floats, low, high)
}

// appendIntegers appends the numbers of the member called name to dst, integers from low to high.
func appendIntegers[T int | int32 | uint32](v value, dst []T, name string, floats []float64, low, high int) ([]T, error) {
	for i, x := range floats {
		if !(x >= float64(low) && x <= float64(high)) || x != float64(int(x)) {
			member, _ := v.find(name)
			return nil, member.errorf("[%d] is not an integer from %d to %d", i, low, high)
		}
		dst = append(dst, T(x))
	}
	return dst, nil
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

// spend takes n from what is left, and reports whether that was enough.
func spend(left *int, n int) bool {
	if n > *left {
		return false
	}
	*left -= n
	return true
}
