package xgboost

import (
	"encoding/binary"
	"math"
	"strconv"
)

// numbers is an array of numbers as the file has them. They stay encoded until they are asked for: most of a tree's
// arrays never are, and those that are need not all be in memory at a time.
type numbers struct {
	// marker is the type of the numbers in UBJSON, or 0 where text has them.
	marker byte
	data   []byte // in UBJSON, without markers; in JSON, without brackets
	count  int
}

// appendTo appends the numbers to dst. In text, an integer is read exactly, any other number as the float32 nearest
// to its digits, which is infinite for one too large for that, and null as NaN.
func (n numbers) appendTo(dst []float64) []float64 {
	if n.marker == 0 {
		return n.appendText(dst)
	}
	data, width := n.data, numberWidth(n.marker)
	switch n.marker {
	case 'd':
		for ; len(data) >= width; data = data[width:] {
			dst = append(dst, float64(math.Float32frombits(binary.BigEndian.Uint32(data))))
		}
	case 'l':
		for ; len(data) >= width; data = data[width:] {
			dst = append(dst, float64(int32(binary.BigEndian.Uint32(data))))
		}
	default:
		for ; len(data) >= width; data = data[width:] {
			dst = append(dst, number(n.marker, data))
		}
	}
	return dst
}

// appendText appends the numbers of a text whose syntax the decoder has checked.
func (n numbers) appendText(dst []float64) []float64 {
	for i := 0; i < len(n.data); {
		if !inNumber(n.data[i]) {
			i++
			continue
		}
		start := i
		for i < len(n.data) && inNumber(n.data[i]) {
			i++
		}
		dst = append(dst, textNumber(n.data[start:i]))
	}
	return dst
}

// inNumber reports whether a byte belongs to a number or to null, and not to what is between them.
func inNumber(b byte) bool { return b > ' ' && b != ',' }

// textNumber reads a number of JSON, or null.
func textNumber(text []byte) float64 {
	whole, digits := 0.0, text
	if digits[0] == '-' {
		digits = digits[1:]
	}
	exact := len(digits) <= 15 // digits that a float64 holds
	for _, d := range digits {
		exact = exact && d >= '0' && d <= '9'
		whole = whole*10 + float64(d-'0')
	}
	switch {
	case text[0] == 'n':
		return math.NaN()
	case exact && text[0] == '-':
		return -whole
	case exact:
		return whole
	}
	bits := 64
	for _, b := range text {
		if b == '.' || b == 'e' || b == 'E' {
			bits = 32
		}
	}
	x, err := strconv.ParseFloat(string(text), bits)
	if err != nil && !math.IsInf(x, 0) {
		return math.NaN() // what JSON has no syntax for
	}
	return x
}
