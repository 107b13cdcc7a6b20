package main

import (
	"errors"
	"math"
	"strconv"
)

// categoryNames are a feature's categories by name. The zero value is of a feature without names.
type categoryNames struct {
	codes map[string]float64
	// numbers has the codes of the names that are numbers, as 38 and 38.0 are the same one.
	numbers map[float64]float64
}

func newCategoryNames(names []string) (c categoryNames) {
	if names == nil {
		return c
	}
	c.codes = make(map[string]float64, len(names))
	for code, name := range names {
		c.codes[name] = float64(code)
		if x, err := strconv.ParseFloat(name, 64); err == nil {
			if c.numbers == nil {
				c.numbers = make(map[float64]float64)
			}
			c.numbers[x] = float64(code)
		}
	}
	return c
}

// code returns a category's code, by its name, or by itself where no name is a number: a 1 would else be two categories.
func (c *categoryNames) code(text string) (float64, error) {
	if code, ok := c.codes[text]; ok {
		return code, nil
	}
	x, err := strconv.ParseFloat(text, 64)
	switch code, ok := c.numbers[x]; {
	case err == nil && ok:
		return code, nil
	case c.numbers != nil:
		return 0, errors.New("not a category of the model, by name; codes are not taken where names are numbers")
	case err != nil || x != math.Trunc(x) || x < 0 || x >= float64(len(c.codes)):
		return 0, errors.New("not a category of the model, by name or code")
	}
	return x, nil
}
